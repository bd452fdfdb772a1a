package outlast

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// A call into the library cannot be interrupted: whoever waits for a context as well looks again this often.
const slice = 100 * time.Millisecond

// flight is one wait for a usable credential, shared by all goroutines that need one: a hundred waiting goroutines cost
// one waiting thread.
type flight struct {
	done    chan struct{}
	err     error
	waiters int
}

// ready waits until there is a usable credential, or until it is known that there will be none.
func (s *Session) ready(ctx context.Context) error {
	s.mu.Lock()
	f := s.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		s.flight = f
		go s.fly(f)
	}
	f.waiters++
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		s.mu.Lock()
		f.waiters--
		s.mu.Unlock()
		return ended(ctx, "waiting for a credential")
	}
}

func (s *Session) fly(f *flight) {
	var facts C.outlast_token
	facts.size = C.sizeof_outlast_token
	for {
		var slot *C.outlast_error
		begun := time.Now()
		// Without a buffer the token itself is not copied: OUTLAST_E_BUFFER says that it is there.
		status := C.outlast_session_token(s.state.handle, C.int64_t(slice/time.Millisecond), nil, 0, &facts, &slot)
		runtime.KeepAlive(s)
		err := check(status, slot)
		// A timeout before ours has passed is the session's own failure.
		waiting := status == C.OUTLAST_E_TIMEOUT && time.Since(begun) >= slice
		s.mu.Lock()
		if waiting && f.waiters > 0 {
			s.mu.Unlock()
			continue
		}
		s.flight = nil
		s.mu.Unlock()
		if status == C.OUTLAST_E_BUFFER {
			err = nil
		}
		f.err = err
		close(f.done)
		return
	}
}

// detached makes a call that blocks on a goroutine of its own, and returns when it or the context has ended. What the call
// began goes on in the latter case, and ends with the client at the latest.
func (s *Session) detached(ctx context.Context, what string, call func(*C.outlast_session, **C.outlast_error) C.outlast_status) error {
	if err := ctx.Err(); err != nil {
		return ended(ctx, what)
	}
	answer := make(chan error, 1)
	go func() { answer <- s.do(call) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ended(ctx, what)
	}
}
