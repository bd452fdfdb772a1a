// Package outlast uploads files under credentials that live shorter than the upload does.
//
// There are three depths of use:
//
//   - a [Session] keeps a credential alive and gives fresh tokens and signed headers for requests that you send yourself;
//   - an [Uploader] makes objects of files, bytes and streams, and outlives the tokens it uses;
//   - [Upload.Events] and [Client.Events] tell what happens, for progress bars and supervisors.
//
// The package is a thin layer over liboutlast. Options are named as the flags of the outlast command are and mean the same;
// sizes are bytes. Zero values are the defaults.
//
// Contexts: every call that may wait takes one and returns as soon as it ends, with an error that wraps [context.Canceled]
// or [context.DeadlineExceeded]. The context given to [Uploader.Start] or [Uploader.Upload] cancels the upload itself; what is
// stored by then is kept for resuming, or aborted, as [UploadOptions.OnFailure] says. A renewal of a credential belongs to
// nobody's call and goes on.
//
// Errors: failures of the library are *[Error]; errors.Is finds their [Code], for example [ErrNotFound].
//
// Goroutines: all types may be used by many at a time. A client has one goroutine that drains its events; it ends with
// [Client.Close]. What is forgotten without being closed is closed some time after it became unreachable.
package outlast
