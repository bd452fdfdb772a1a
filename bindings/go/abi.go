package outlast

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Version is that of the library that was loaded, for example "0.1.0".
func Version() string { return C.GoString(C.outlast_version()) }

// HasFeature tells whether the library that was loaded can do something; outlast.h lists the names.
func HasFeature(name string) bool {
	fields := newFields()
	defer fields.free()
	return C.outlast_has_feature(fields.text(name)) == 1
}

// errABI says that the library found at run time is not the one this package was compiled for. Constructors return it:
// no other call can be made without what they make.
var errABI = checkABI(uint32(C.outlast_abi_version()))

func checkABI(found uint32) error {
	if found == C.OUTLAST_ABI_VERSION {
		return nil
	}
	return &Error{
		Code:    ErrInternal,
		Retry:   RetryNever,
		Message: fmt.Sprintf("liboutlast %s has ABI %d and this package needs %d: build both from one release", Version(), found, C.OUTLAST_ABI_VERSION),
	}
}

// fields is C memory for option structs and their texts, so that no Go pointer is in them. It is wiped when it is freed,
// since some of the texts are secret. The first value that does not fit is kept as err.
type fields struct {
	blocks []block
	err    *Error
}

type block struct {
	memory unsafe.Pointer
	size   C.size_t
}

func newFields() *fields { return &fields{} }

func (f *fields) alloc(size uintptr) unsafe.Pointer {
	memory := C.calloc(1, C.size_t(max(size, 1)))
	if memory == nil {
		panic("outlast: out of memory")
	}
	f.blocks = append(f.blocks, block{memory, C.size_t(size)})
	return memory
}

// structOf gives a zeroed struct in C memory. The caller sets its size field.
func structOf[T any](f *fields) *T {
	var zero T
	return (*T)(f.alloc(unsafe.Sizeof(zero)))
}

func (f *fields) free() {
	stress()
	for _, block := range f.blocks {
		C.outlast_go_wipe(block.memory, block.size)
		C.free(block.memory)
	}
	f.blocks = nil
}

// text copies s; an empty one is "not given".
func (f *fields) text(s string) C.outlast_str {
	if s == "" {
		return C.outlast_str{}
	}
	memory := f.alloc(uintptr(len(s)))
	copy(unsafe.Slice((*byte)(memory), len(s)), s)
	return C.outlast_str{data: (*C.char)(memory), len: C.size_t(len(s))}
}

// bytes copies b; an empty one is "not given".
func (f *fields) bytes(b []byte) C.outlast_str {
	if len(b) == 0 {
		return C.outlast_str{}
	}
	memory := f.alloc(uintptr(len(b)))
	copy(unsafe.Slice((*byte)(memory), len(b)), b)
	return C.outlast_str{data: (*C.char)(memory), len: C.size_t(len(b))}
}

func (f *fields) fail(name, problem string) {
	if f.err == nil {
		f.err = invalid(name + " " + problem)
	}
}

func (f *fields) failed() error {
	if f.err == nil {
		return nil
	}
	return f.err
}

func (f *fields) u32(name string, value int) C.uint32_t {
	if value < 0 || int64(value) > math.MaxUint32 {
		f.fail(name, fmt.Sprintf("is %d, which is not between 0 and %d", value, uint32(math.MaxUint32)))
		return 0
	}
	return C.uint32_t(value)
}

func (f *fields) u64(name string, value int64) C.uint64_t {
	if value < 0 {
		f.fail(name, fmt.Sprintf("is %d; it cannot be below 0", value))
		return 0
	}
	return C.uint64_t(value)
}

// millis rounds up, so that a time that was given never becomes 0, which would be the default.
func (f *fields) millis(name string, value time.Duration) C.uint64_t {
	if value < 0 {
		f.fail(name, fmt.Sprintf("is %v; it cannot be below 0", value))
		return 0
	}
	count := value / time.Millisecond
	if value%time.Millisecond != 0 {
		count++
	}
	return C.uint64_t(count)
}

func (f *fields) flag(value bool) C.uint32_t {
	if value {
		return 1
	}
	return 0
}

// choice is a number for one of a few words; "" is the default.
func choice[T ~string](f *fields, name string, value T, numbers map[T]C.uint32_t) C.uint32_t {
	number, known := numbers[value]
	if value != "" && !known {
		f.fail(name, fmt.Sprintf("is %q, which is not one of its values", string(value)))
	}
	return number
}

func goText(view C.outlast_str) string {
	if view.len == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(view.data)), int(view.len)))
}

// moment is a time of the library; its 0 is the zero time.
func moment(unixMillis C.int64_t) time.Time {
	if unixMillis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(unixMillis))
}

func unixMillis(at time.Time) C.int64_t {
	if at.IsZero() {
		return 0
	}
	return C.int64_t(at.UnixMilli())
}

// setNumber puts a number where the struct, which is in C memory, has a void pointer.
func setNumber(place *unsafe.Pointer, number uintptr) {
	*(*uintptr)(unsafe.Pointer(place)) = number
}

func number(place *unsafe.Pointer) uintptr {
	return *(*uintptr)(unsafe.Pointer(place))
}
