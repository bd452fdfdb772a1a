package outlast

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Upload is a running or ended upload.
type Upload struct {
	session *Session
	state   *uploadState
	handle  *C.outlast_upload
	options UploadOptions
	feed    *feed
	// Ends the watch over the context it was started with.
	unwatch func() bool
	telling sync.Mutex
	toldEnd bool
}

// uploadState is what the draining goroutine knows of an upload.
type uploadState struct {
	session *sessionState
	log     *eventLog
	// Holds one token while there is progress to be told.
	moved chan struct{}
	// Closed once the upload has ended.
	done chan struct{}
	// The context's error, if that cancelled it.
	cancelled atomic.Pointer[error]
	ended     bool
}

// hear is called by the draining goroutine.
func (s *uploadState) hear(event Event) {
	if s.ended {
		return
	}
	s.ended = event.Kind == EventFinished || event.Kind == EventClosed
	s.log.push(event, s.ended)
	switch event.Kind {
	case EventProgress, EventParked, EventResumed:
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
	if s.ended {
		s.session.mu.Lock()
		delete(s.session.uploads, s)
		s.session.mu.Unlock()
		close(s.done)
	}
}

func (s *Session) start(ctx context.Context, source Source, options UploadOptions, namespace string) (*Upload, error) {
	handle, err := s.open()
	if err != nil {
		return nil, err
	}
	client, err := s.client.open()
	if err != nil {
		return nil, err
	}
	if source.apply == nil {
		return nil, invalid("there is no source; make one with File, Bytes, ReaderAt or Reader")
	}
	state := &uploadState{session: s.state, log: newEventLog(), moved: make(chan struct{}, 1), done: make(chan struct{})}
	number := client.listen(state)
	s.state.mu.Lock()
	s.state.uploads[state] = struct{}{}
	s.state.mu.Unlock()
	upload := &Upload{session: s, state: state, options: options}
	fields := newFields()
	defer fields.free()
	raw := options.write(fields, namespace, number)
	if err = fields.failed(); err == nil {
		upload.feed, err = source.apply(fields, raw, func() error {
			var slot *C.outlast_error
			return check(C.outlast_upload_start(client.handle, handle, raw, &upload.handle, &slot), slot)
		})
	}
	runtime.KeepAlive(s)
	if err != nil {
		client.forget(number)
		s.state.mu.Lock()
		delete(s.state.uploads, state)
		s.state.mu.Unlock()
		return nil, err
	}
	upload.watch(ctx)
	runtime.AddCleanup(upload, func(handle *C.outlast_upload) { C.outlast_upload_free(handle) }, upload.handle)
	return upload, nil
}

// watch cancels the upload when the context ends. What it registers must not keep the Upload alive: contexts may live for ever.
func (u *Upload) watch(ctx context.Context) {
	handle, choice, state := u.handle, onFailures[u.options.OnFailure], u.state
	u.unwatch = context.AfterFunc(ctx, func() {
		why := contextError(ctx)
		state.cancelled.CompareAndSwap(nil, &why)
		// Fails when the upload was closed meanwhile, which cancels, too.
		_ = C.outlast_upload_cancel(handle, choice, nil)
	})
}

func (u *Upload) open() (*C.outlast_upload, error) {
	stress()
	if u == nil || u.state == nil {
		return nil, invalid("this upload was not made by Start")
	}
	return u.handle, nil
}

func (u *Upload) do(call func(handle *C.outlast_upload, slot **C.outlast_error) C.outlast_status) error {
	handle, err := u.open()
	if err != nil {
		return err
	}
	var slot *C.outlast_error
	err = check(call(handle, &slot), slot)
	runtime.KeepAlive(u)
	return err
}

// Wait waits for the end. When the context of Wait ends before, the upload goes on.
//
// Errors: all that an upload can fail with, see [Code]; [Error.Resumable] tells whether the same call goes on. If the context
// it was started with ended it, the error is [ErrCancelled] and wraps the context's.
func (u *Upload) Wait(ctx context.Context) (*Result, error) {
	if _, err := u.open(); err != nil {
		return nil, err
	}
	if !u.attend(ctx.Done()) {
		return nil, ended(ctx, "waiting for the upload, which goes on")
	}
	return u.result(parting)
}

// finish waits for an upload that ctx ends. What cannot be stopped in time is left to end by itself.
func (u *Upload) finish(ctx context.Context) (*Result, error) {
	if !u.attend(ctx.Done()) {
		patience, cancel := context.WithTimeout(context.Background(), parting)
		defer cancel()
		if !u.attend(patience.Done()) {
			return nil, &Error{
				Code: ErrCancelled, Message: "stopping the upload took too long; it ends in the background",
				Retry: RetryLater, Resumable: u.Resumable(), cause: contextError(ctx),
			}
		}
	}
	return u.result(parting)
}

// attend tells progress until the upload has ended; false when that is enough before.
func (u *Upload) attend(enough <-chan struct{}) bool {
	for {
		select {
		case <-u.state.done:
			u.unwatch()
			u.tell(true)
			return true
		case <-u.state.moved:
			u.tell(false)
		case <-enough:
			return false
		}
	}
}

func (u *Upload) tell(last bool) {
	if u.options.Progress == nil {
		return
	}
	u.telling.Lock()
	defer u.telling.Unlock()
	if u.toldEnd {
		return
	}
	u.toldEnd = last
	if progress, err := u.Progress(); err == nil {
		u.options.Progress(progress)
	}
}

// Done is closed when the upload has ended.
func (u *Upload) Done() <-chan struct{} {
	if u == nil || u.state == nil {
		return nil
	}
	return u.state.done
}

// Result gives the result of an upload that has ended, or what it failed with; [ErrTimeout] while it goes on.
func (u *Upload) Result() (*Result, error) {
	if _, err := u.open(); err != nil {
		return nil, err
	}
	return u.result(0)
}

func (u *Upload) result(patience time.Duration) (*Result, error) {
	var raw C.outlast_upload_result
	raw.size = C.sizeof_outlast_upload_result
	var found *Result
	err := u.do(func(handle *C.outlast_upload, slot **C.outlast_error) C.outlast_status {
		status := C.outlast_upload_wait(handle, C.int64_t(patience/time.Millisecond), &raw, slot)
		if status == C.OUTLAST_OK {
			// The texts live as long as the upload.
			found = newResult(&raw)
		}
		return status
	})
	if err == nil {
		return found, nil
	}
	var failure *Error
	if errors.As(err, &failure) {
		failure.Resumable = u.Resumable()
		failure.cause = u.feed.cause()
		if why := u.state.cancelled.Load(); why != nil && failure.Code == ErrCancelled {
			failure.cause = *why
		}
	}
	return nil, err
}

// Progress tells how far the upload is; at most a quarter of a second old. Never blocks.
func (u *Upload) Progress() (Progress, error) {
	var raw C.outlast_progress
	raw.size = C.sizeof_outlast_progress
	err := u.do(func(handle *C.outlast_upload, slot **C.outlast_error) C.outlast_status {
		return C.outlast_upload_progress(handle, &raw, slot)
	})
	if err != nil {
		return Progress{}, err
	}
	return newProgress(&raw), nil
}

// Events gives everything that happens to the upload and its session, from the start to the last event or the context's end.
// Each event is given once.
func (u *Upload) Events(ctx context.Context) iter.Seq[Event] {
	if _, err := u.open(); err != nil {
		return func(func(Event) bool) {}
	}
	return func(yield func(Event) bool) {
		u.state.log.all(ctx)(yield)
		runtime.KeepAlive(u)
	}
}

// Pause begins no further parts; those in flight are finished. The session is kept alive meanwhile.
func (u *Upload) Pause() error {
	return u.do(func(handle *C.outlast_upload, slot **C.outlast_error) C.outlast_status {
		return C.outlast_upload_pause(handle, slot)
	})
}

// Resume goes on after a pause.
func (u *Upload) Resume() error {
	return u.do(func(handle *C.outlast_upload, slot **C.outlast_error) C.outlast_status {
		return C.outlast_upload_resume(handle, slot)
	})
}

// Cancel stops the upload and returns at once; its end still follows. What is "" leaves it to the upload's own OnFailure. An
// upload that has ended is left as it is.
func (u *Upload) Cancel(what OnFailure) error {
	number, known := onFailures[what]
	if what != "" && !known {
		return invalid("Cancel takes Retain or Abort")
	}
	return u.do(func(handle *C.outlast_upload, slot **C.outlast_error) C.outlast_status {
		return C.outlast_upload_cancel(handle, number, slot)
	})
}

// Resumable tells whether the same call, made again, goes on where this one stopped. Meaningful once it has failed.
func (u *Upload) Resumable() bool {
	handle, err := u.open()
	if err != nil {
		return false
	}
	resumable := C.outlast_upload_is_resumable(handle) == 1
	runtime.KeepAlive(u)
	return resumable
}

// Number is the upload's number in events.
func (u *Upload) Number() uint64 {
	handle, err := u.open()
	if err != nil {
		return 0
	}
	number := uint64(C.outlast_upload_number(handle))
	runtime.KeepAlive(u)
	return number
}

// Close lets go of the upload. One that is still running is cancelled, as its OnFailure says, and ends in the background.
func (u *Upload) Close() error {
	if u == nil || u.state == nil {
		return nil
	}
	u.unwatch()
	select {
	case <-u.state.done:
	default:
		// Fails only when it was closed before.
		_ = C.outlast_upload_cancel(u.handle, onFailures[u.options.OnFailure], nil)
	}
	C.outlast_upload_free(u.handle)
	runtime.KeepAlive(u)
	return nil
}
