package outlast

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"unsafe"
)

// ObjectWriter is an io.WriteCloser whose bytes become an object, at the pace of the network and of any length. At most Parallel
// parts and one more are in memory. Writes that follow one another are one goroutine's.
type ObjectWriter struct {
	// The upload's context: its end cancels the upload, which ends a Write that waits.
	ctx    context.Context
	upload *Upload
	handle *C.outlast_writer
	closed bool
}

// Writer begins an upload of what will be written. Close completes it; without Close there is no object. When the context
// ends, the upload is cancelled. It cannot be resumed.
//
// Errors: see [Uploader.Start].
func (u *Uploader) Writer(ctx context.Context, options UploadOptions) (*ObjectWriter, error) {
	writer := &ObjectWriter{ctx: ctx}
	var slot *C.outlast_error
	if errABI != nil {
		return nil, errABI
	}
	if err := check(C.outlast_writer_new(&writer.handle, &slot), slot); err != nil {
		return nil, err
	}
	handle := writer.handle
	upload, err := u.Start(ctx, Source{func(_ *fields, raw *C.outlast_upload_options, begin func() error) (*feed, error) {
		raw.source = C.OUTLAST_SOURCE_WRITER
		raw.writer = handle
		return nil, begin()
	}}, options)
	if err != nil {
		C.outlast_writer_free(handle)
		return nil, err
	}
	writer.upload = upload
	runtime.AddCleanup(writer, func(handle *C.outlast_writer) { C.outlast_writer_free(handle) }, handle)
	return writer, nil
}

// Upload is the upload: its progress, its events, its result after the end.
func (w *ObjectWriter) Upload() *Upload {
	if w == nil {
		return nil
	}
	return w.upload
}

func (w *ObjectWriter) open() error {
	stress()
	if w == nil || w.upload == nil {
		return invalid("this writer was not made by Uploader.Writer")
	}
	if w.closed {
		return invalid("this writer is closed")
	}
	return nil
}

// Write hands on all of p. The only copy is into the buffers that are sent from.
//
// Errors: what the upload has failed with.
func (w *ObjectWriter) Write(p []byte) (int, error) {
	if err := w.open(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	var written C.size_t
	var slot *C.outlast_error
	err := check(C.outlast_writer_write(w.handle, (*C.uint8_t)(unsafe.Pointer(&p[0])), C.size_t(len(p)), -1, &written, &slot), slot)
	runtime.KeepAlive(w)
	if errors.Is(err, ErrCancelled) {
		// The upload has ended, and knows better why.
		if _, why := w.upload.finish(w.ctx); why != nil {
			err = why
		}
	}
	return int(written), err
}

// Close tells that all has been written, and waits until the object is there. Its error is what went wrong.
func (w *ObjectWriter) Close() error {
	return w.end(func(slot **C.outlast_error) C.outlast_status { return C.outlast_writer_finish(w.handle, slot) })
}

// Abandon tells that the rest will not come: no object is made.
func (w *ObjectWriter) Abandon() error {
	err := w.end(func(slot **C.outlast_error) C.outlast_status { return C.outlast_writer_abandon(w.handle, slot) })
	if errors.Is(err, ErrSource) || errors.Is(err, ErrCancelled) {
		return nil
	}
	return err
}

func (w *ObjectWriter) end(call func(slot **C.outlast_error) C.outlast_status) error {
	if w == nil || w.upload == nil || w.closed {
		return nil
	}
	w.closed = true
	var slot *C.outlast_error
	err := check(call(&slot), slot)
	if err != nil {
		// Whatever that was, nothing more will be written.
		_ = w.upload.Cancel(w.upload.options.OnFailure)
	}
	if _, why := w.upload.finish(w.ctx); why != nil {
		err = why
	}
	C.outlast_writer_free(w.handle)
	runtime.KeepAlive(w)
	return err
}
