package outlast

// #include "shim.h"
import "C"

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// Source is what becomes an object: [File], [Bytes], [ReaderAt] or [Reader].
type Source struct {
	// Sets the source's fields and calls begin. What begin needs is valid while it runs.
	apply func(fields *fields, raw *C.outlast_upload_options, begin func() error) (*feed, error)
}

// File is the file of a path. It is read by position, a part at a time, and can be resumed: the same call goes on where the
// last one stopped, in this process or another. FIFOs and devices are read as streams.
func File(path string) Source {
	return Source{func(fields *fields, raw *C.outlast_upload_options, begin func() error) (*feed, error) {
		raw.source = C.OUTLAST_SOURCE_PATH
		raw.file = fields.text(path)
		return nil, begin()
	}}
}

// Bytes are bytes in memory, which must not change until the upload has ended. They are pinned, not copied, and can be resumed
// under the same [UploadOptions.SourceName].
func Bytes(data []byte) Source {
	return Source{func(_ *fields, raw *C.outlast_upload_options, begin func() error) (*feed, error) {
		raw.source = C.OUTLAST_SOURCE_BYTES
		feed := &feed{}
		if len(data) > 0 {
			// The one Go pointer that the library keeps: to memory without pointers, pinned until it is given back.
			feed.pinner.Pin(&data[0])
			raw.bytes = C.outlast_str{data: (*C.char)(unsafe.Pointer(&data[0])), len: C.size_t(len(data))}
		}
		feed.lend(raw)
		return feed, begin()
	}}
}

// ReaderAt is the first size bytes of r. An ordinary *os.File of that size is read by position and can be resumed; any other r
// is read once and in order, as a stream of which size bytes have to come. It must not change until the upload has ended.
func ReaderAt(r io.ReaderAt, size int64) Source {
	if r == nil || size < 0 {
		return failing(invalid(fmt.Sprintf("ReaderAt needs a reader and a size, not %T and %d", r, size)))
	}
	if file, ok := r.(*os.File); ok && isPlain(file, size) {
		return descriptor(file)
	}
	return Reader(&exactly{r: io.NewSectionReader(r, 0, size), left: size})
}

// Reader is a stream of unknown length: r is read to its end, once and in order, on a thread of the library. At most Parallel
// parts and one more are in memory. It cannot be resumed.
//
// r is not closed. After a cancelled upload a Read that is under way is left to end by itself.
func Reader(r io.Reader) Source {
	if r == nil {
		return failing(invalid("Reader needs a reader, not nil"))
	}
	return Source{func(_ *fields, raw *C.outlast_upload_options, begin func() error) (*feed, error) {
		raw.source = C.OUTLAST_SOURCE_READ
		raw.read_fn = C.outlast_read_fn(C.outlast_go_read)
		feed := &feed{reader: r}
		feed.lend(raw)
		return feed, begin()
	}}
}

func failing(err error) Source {
	return Source{func(*fields, *C.outlast_upload_options, func() error) (*feed, error) { return nil, err }}
}

func isPlain(file *os.File, size int64) bool {
	if file == nil {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

func descriptor(file *os.File) Source {
	return Source{func(fields *fields, raw *C.outlast_upload_options, begin func() error) (*feed, error) {
		path, err := filepath.Abs(file.Name())
		if err != nil {
			path = file.Name()
		}
		raw.source = C.OUTLAST_SOURCE_FD
		if raw.file.len == 0 {
			raw.file = fields.text(path)
		}
		conn, err := file.SyscallConn()
		if err == nil {
			var result error
			// The library duplicates the descriptor before begin returns.
			err = conn.Control(func(fd uintptr) {
				raw.fd = C.int32_t(fd)
				result = begin()
			})
			if err == nil {
				return nil, result
			}
		}
		return nil, &Error{Code: ErrSource, Message: "opening " + path, Retry: RetryNever, cause: err}
	}}
}

// exactly fails when there are fewer bytes than were promised.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = fmt.Errorf("%d bytes are missing: %w", e.left, io.ErrUnexpectedEOF)
	}
	return n, err
}

// feed is what the library uses until it says that it is done.
type feed struct {
	reader io.Reader
	pinner runtime.Pinner
	// What a Read said together with its last bytes. Used by one thread of the library at a time.
	pending error

	mu      sync.Mutex
	failure error
}

// lend hands the feed to the library, which gives it back by outlastGoRelease, exactly once, however the upload ends.
func (f *feed) lend(raw *C.outlast_upload_options) {
	setNumber(&raw.source_data, uintptr(cgo.NewHandle(f)))
	raw.free_fn = C.outlast_free_fn(C.outlast_go_release)
}

func (f *feed) release() { f.pinner.Unpin() }

// fill reads the next bytes: how many, 0 at the end, -1 for a failure, which is kept.
func (f *feed) fill(buffer []byte) int {
	n, err := f.read(buffer)
	switch {
	case n > 0:
		f.pending = err
		return n
	case err == io.EOF:
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	return -1
}

// read gives at least one byte or an error. A panic of the reader becomes an error: it must not unwind into the library.
func (f *feed) read(buffer []byte) (n int, err error) {
	if f.pending != nil {
		return 0, f.pending
	}
	defer func() {
		if problem := recover(); problem != nil {
			n, err = 0, fmt.Errorf("the source's reader panicked: %v", problem)
		}
	}()
	const patience = 100 // as in bufio
	for range patience {
		n, err = f.reader.Read(buffer[:min(len(buffer), math.MaxInt32)])
		if n < 0 || n > len(buffer) {
			return 0, fmt.Errorf("the source's reader says that it read %d of %d bytes", n, len(buffer))
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// cause is what the reader failed with.
func (f *feed) cause() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}
