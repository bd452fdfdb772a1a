package outlast

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is what kind of failure it was, by its stable name. A code is itself an error, to be found by errors.Is:
//
//	if errors.Is(err, outlast.ErrSignInNeeded) { … }
type Code string

// The codes.
const (
	// ErrInvalid: an argument, option, name or handle that cannot be used.
	ErrInvalid Code = "invalid-input"
	// ErrConfig: the configuration file, a key or a token file cannot be used.
	ErrConfig Code = "config"
	// ErrSignInNeeded: only a person can get a new credential; the upload is resumable.
	ErrSignInNeeded Code = "sign-in-needed"
	// ErrAuth: the service refuses the credential for good.
	ErrAuth Code = "auth"
	// ErrPermission: the service says the caller may not do this.
	ErrPermission Code = "permission"
	// ErrNotFound: bucket, namespace, object or upload does not exist, or may not be seen.
	ErrNotFound Code = "not-found"
	// ErrPrecondition: the object exists, or is not the one expected.
	ErrPrecondition Code = "precondition"
	// ErrIntegrity: the bytes stored are not the bytes sent.
	ErrIntegrity Code = "integrity"
	// ErrSourceChanged: the local source changed while it was being uploaded.
	ErrSourceChanged Code = "source-changed"
	// ErrSource: the local source cannot be read.
	ErrSource Code = "source"
	// ErrNetwork: the service could not be reached, or the connection kept breaking.
	ErrNetwork Code = "network"
	// ErrService: the service answered with a failure that retries did not cure.
	ErrService Code = "service"
	// ErrTimeout: it did not happen within the given time.
	ErrTimeout Code = "timeout"
	// ErrState: the journal or its directory cannot be used.
	ErrState Code = "state"
	// ErrBusy: another process is doing the same upload.
	ErrBusy Code = "busy"
	// ErrCancelled: the caller cancelled, or the client was closed.
	ErrCancelled Code = "cancelled"
	// ErrProtocol: the service answered with something that its protocol does not allow.
	ErrProtocol Code = "protocol"
	// ErrInternal: a defect in the library.
	ErrInternal Code = "internal"
	// ErrPanic: a defect in the library that stopped a call half-way.
	ErrPanic Code = "panic"
	// ErrForked: the object was made before this process was forked off.
	ErrForked Code = "forked"
)

// Error is the code's name.
func (c Code) Error() string { return "outlast: " + string(c) }

// Retry tells whether trying again can help.
type Retry string

// What a failure says of another attempt.
const (
	RetryNever       Retry = "never"
	RetryLater       Retry = "later"
	RetryAfterSignIn Retry = "after-sign-in"
	RetryExhausted   Retry = "exhausted"
)

var retries = map[C.int32_t]Retry{
	C.OUTLAST_RETRY_NEVER:         RetryNever,
	C.OUTLAST_RETRY_LATER:         RetryLater,
	C.OUTLAST_RETRY_AFTER_SIGN_IN: RetryAfterSignIn,
	C.OUTLAST_RETRY_EXHAUSTED:     RetryExhausted,
}

// Error is a failure of the library.
type Error struct {
	Code Code
	// Message is one line: what was attempted, on what, what happened, and what to do when that is known. No secrets.
	Message string
	Retry   Retry
	// RetryAfter is how long the service wants us to wait; 0 if it did not say.
	RetryAfter time.Duration
	// HTTPStatus is that of the service's answer; 0 if it did not answer.
	HTTPStatus int
	// ServiceCode is the service's own error code, for example "NotAuthenticated"; empty if there is none.
	ServiceCode string
	// RequestID is the service's, for a support ticket; empty if there is none.
	RequestID string
	// PartNumber is that of the part in question, from 1; 0 if there is none.
	PartNumber int
	// Resumable tells whether the same upload, made again, goes on where this one stopped.
	Resumable bool

	// What ended it from our side: the context's error, or that of the source's reader.
	cause error
}

// Error is the message.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("outlast: %s: %v", e.Message, e.cause)
	}
	return "outlast: " + e.Message
}

// Is tells whether target is this error's [Code].
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap is what ended it from the caller's side, if that was so: the context's error, or that of the source's reader.
func (e *Error) Unwrap() error { return e.cause }

// Timeout is true of [ErrTimeout], and where a context's deadline was the cause.
func (e *Error) Timeout() bool {
	return e.Code == ErrTimeout || errors.Is(e.cause, context.DeadlineExceeded)
}

func invalid(message string) *Error {
	return &Error{Code: ErrInvalid, Message: message, Retry: RetryNever}
}

// ended is the error of a call that was given up because of its context.
func ended(ctx context.Context, what string) error {
	code := ErrCancelled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = ErrTimeout
	}
	return &Error{Code: code, Message: what, Retry: RetryLater, cause: contextError(ctx)}
}

// contextError is the context's error together with its cause, if it was given one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || cause == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// check turns a status and what is in the error slot, which it frees, into an error.
func check(status C.outlast_status, slot *C.outlast_error) error {
	if status == C.OUTLAST_OK {
		return nil
	}
	err := describe(status, slot)
	C.outlast_error_free(slot)
	return err
}

// describe copies an error object, which stays the caller's. Without one only the status is known.
func describe(status C.outlast_status, handle *C.outlast_error) *Error {
	stress()
	err := &Error{Code: Code(C.GoString(C.outlast_status_name(status))), Retry: RetryNever}
	err.Message = string(err.Code)
	if handle == nil {
		return err
	}
	if message := goText(C.outlast_error_message(handle)); message != "" {
		err.Message = message
	}
	if retry, known := retries[C.outlast_error_retry(handle)]; known {
		err.Retry = retry
	}
	if after := C.outlast_error_retry_after_ms(handle); after > 0 {
		err.RetryAfter = time.Duration(after) * time.Millisecond
	}
	err.HTTPStatus = int(C.outlast_error_http_status(handle))
	err.ServiceCode = goText(C.outlast_error_service_code(handle))
	err.RequestID = goText(C.outlast_error_request_id(handle))
	err.PartNumber = int(C.outlast_error_part_number(handle))
	return err
}
