package outlast

// #include <stddef.h>
// #include <stdint.h>
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// What the library calls, on threads of its own. A Go panic must not unwind through its frames: each callee recovers.

//export outlastGoRead
func outlastGoRead(buffer *C.uint8_t, capacity C.size_t, handle C.uintptr_t) C.int64_t {
	stress()
	feed := cgo.Handle(handle).Value().(*feed)
	return C.int64_t(feed.fill(unsafe.Slice((*byte)(buffer), int(capacity))))
}

//export outlastGoRelease
func outlastGoRelease(handle C.uintptr_t) {
	stress()
	held := cgo.Handle(handle)
	if feed, ok := held.Value().(*feed); ok {
		feed.release()
	}
	held.Delete()
}

//export outlastGoDebug
func outlastGoDebug(line *C.char, length C.size_t, handle C.uintptr_t) {
	stress()
	cgo.Handle(handle).Value().(debugFunc).tell(C.GoStringN(line, C.int(length)))
}

type debugFunc func(line string)

func (f debugFunc) tell(line string) {
	defer func() { _ = recover() }() // a line that could not be told is not worth the process
	f(line)
}
