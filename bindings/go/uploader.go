package outlast

import "context"

// Uploader uploads under one session.
type Uploader struct {
	session *Session
	// The session ends with the uploader it was made for.
	ownSession bool
}

// NewUploader makes an uploader and the session it uses, with a client of its own; see [OpenSession]. To share a session or
// a client, use [Session.Uploader].
func NewUploader(options SessionOptions) (*Uploader, error) {
	session, err := OpenSession(options)
	if err != nil {
		return nil, err
	}
	return &Uploader{session: session, ownSession: true}, nil
}

// Session is the session that the uploader uses.
func (u *Uploader) Session() *Session {
	if u == nil {
		return nil
	}
	return u.session
}

// Start begins an upload and returns once it is under way: when the namespace was not given, it is asked for before. When
// the context ends, the upload is cancelled. Close the upload after use.
//
// Errors: [ErrInvalid] (options, target), [ErrSource] (cannot be read), [ErrBusy] (another process is at it), [ErrState] (the
// journal cannot be used), [ErrCancelled] (closed). All else comes from [Upload.Wait].
func (u *Uploader) Start(ctx context.Context, source Source, options UploadOptions) (*Upload, error) {
	session := u.Session()
	if _, err := session.open(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, "starting the upload")
	}
	namespace := options.Namespace
	if namespace == "" {
		found, err := session.Namespace(ctx)
		if err != nil {
			return nil, err
		}
		namespace = found
	}
	return session.start(ctx, source, options, namespace)
}

// Upload makes an object of a source and waits for it. When the context ends, the upload is cancelled, and the error is
// [ErrCancelled] and wraps the context's; an upload that ends well in that moment is a success.
//
// Errors: see [Uploader.Start] and [Upload.Wait].
func (u *Uploader) Upload(ctx context.Context, source Source, options UploadOptions) (*Result, error) {
	upload, err := u.Start(ctx, source, options)
	if err != nil {
		return nil, err
	}
	defer upload.Close()
	return upload.finish(ctx)
}

// Close ends the session if it was made with the uploader, and with it whatever is running (kept for resuming).
func (u *Uploader) Close() error {
	if u == nil || !u.ownSession {
		return nil
	}
	return u.session.Close()
}
