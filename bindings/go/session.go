package outlast

// #include "shim.h"
import "C"

import (
	"cmp"
	"context"
	"crypto/sha256"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// What outlast.h says of supply_timeout_ms.
const defaultSupplyTimeout = 60 * time.Second

// SessionOptions says which credential to keep alive, and for which service. Names are those of the command line's flags.
//
// It is the session of an OCI profile, found as the official tools find it, by the same environment variables and defaults;
// with Name a session of the sessions file (OAuth 2.0, OpenID providers, FOLIO, credential programs, token files); with Supply
// one whose credentials you give.
type SessionOptions struct {
	// Name of a session of the sessions file, as for "outlast token NAME".
	Name string
	// SessionsFile: --sessions-file; "": $OUTLAST_SESSIONS, else ~/.config/outlast/sessions.conf.
	SessionsFile string
	// ConfigFile: --config-file; "": ~/.oci/config.
	ConfigFile string
	// Profile: --profile; "": DEFAULT.
	Profile string
	// CLIRCFile: --cli-rc-file, defaults for what is not given of a profile's options; "": $OCI_CLI_RC_FILE, else
	// ~/.oci/oci_cli_rc.
	CLIRCFile string
	// Auth: "security_token" or "api_key"; "": what the profile is.
	Auth string
	// Region: --region; "": the profile's.
	Region string
	// Endpoint is the base URL of Object Storage; "": the region's. Needed with Supply.
	Endpoint string
	// AuthEndpoint is the base URL of the auth service, where refresh goes; "": the region's.
	AuthEndpoint string
	// RealmSpecificEndpoint makes the host of Object Storage the realm's own, where the realm has one. It begins with Namespace.
	RealmSpecificEndpoint bool
	// EnableDualStack makes it the one with addresses of IPv4 and IPv6.
	EnableDualStack bool
	// Namespace, if it is known; [Session.Namespace] then asks nobody.
	Namespace string
	// Passphrase of the private key, when the profile has none.
	Passphrase string
	// WaitForLogin is how long callers wait, parked, for somebody to sign in; 0: fail at once.
	WaitForLogin time.Duration
	// Timer refreshes even when nobody asks. An upload in progress and [Session.Hold] imply it.
	Timer bool
	// ReadOnly never rewrites the token file.
	ReadOnly bool
	// MintSession, with an API key, mints session tokens of so many minutes (5 to 60) and signs with them; 0: it does not.
	MintSession int

	// Supply is called, on a goroutine of its own, each time a credential is needed. Its context ends when the session does,
	// and when nobody waits for the answer any more. An error that is [ErrSignInNeeded] says that only a person can help; all
	// others are passing trouble, and it is asked again later.
	Supply func(context.Context) (Credential, error)
	// Title is words for messages about a supplied session, for example "the token broker's session".
	Title string
	// SupplyTimeout is how long Supply may take; 0: 60 s.
	SupplyTimeout time.Duration
}

// SessionState is how well a session is.
type SessionState string

// The states.
const (
	// SessionEmpty: nothing loaded yet.
	SessionEmpty SessionState = "empty"
	// SessionFresh: the credential is good.
	SessionFresh SessionState = "fresh"
	// SessionAdvisory: the credential is good and being renewed, or about to be.
	SessionAdvisory SessionState = "advisory"
	// SessionMandatory: callers wait for the next credential.
	SessionMandatory SessionState = "mandatory"
	// SessionParked: only a person can help; callers wait as long as WaitForLogin says.
	SessionParked SessionState = "parked"
	// SessionDead: nothing can help.
	SessionDead SessionState = "dead"
)

var sessionStates = map[C.uint32_t]SessionState{
	C.OUTLAST_SESSION_EMPTY:     SessionEmpty,
	C.OUTLAST_SESSION_FRESH:     SessionFresh,
	C.OUTLAST_SESSION_ADVISORY:  SessionAdvisory,
	C.OUTLAST_SESSION_MANDATORY: SessionMandatory,
	C.OUTLAST_SESSION_PARKED:    SessionParked,
	C.OUTLAST_SESSION_DEAD:      SessionDead,
}

// SessionStatus is a look at a session. Moments are zero where there is none or it is not known.
type SessionStatus struct {
	State SessionState
	// Generation of the current credential; 0 before the first.
	Generation uint64
	IssuedAt   time.Time
	ExpiresAt  time.Time
	// Horizon is the moment beyond which only a person can extend the session.
	Horizon time.Time
	// Refreshes by this client that succeeded.
	Refreshes uint64
}

// Session is a credential that is kept alive.
type Session struct {
	client *Client
	// The client ends with the session it was made for.
	ownClient bool
	state     *sessionState
	// The namespace, once it is known.
	namespace atomic.Pointer[string]

	mu     sync.Mutex
	flight *flight
}

// sessionState is what the draining goroutine knows of a session.
type sessionState struct {
	hub    *hub
	number uintptr
	// Set before opened is closed, and never again.
	handle *C.outlast_session
	opened chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	supply func(context.Context) (Credential, error)
	// How long the library waits for what supply says.
	patience time.Duration

	mu      sync.Mutex
	uploads map[*uploadState]struct{}
}

// OpenSession opens a session with a client of its own, which ends with it.
//
// Errors: [ErrConfig] (files, missing or malformed values), [ErrInvalid] (endpoints, options). What is wrong with the
// credential itself is told by the first call that needs it.
func OpenSession(options SessionOptions) (*Session, error) {
	client, err := NewClient(nil)
	if err != nil {
		return nil, err
	}
	session, err := client.OpenSession(options)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	session.ownClient = true
	return session, nil
}

// OpenSession opens a session; see [OpenSession].
func (c *Client) OpenSession(options SessionOptions) (*Session, error) {
	h, err := c.open()
	if err != nil {
		return nil, err
	}
	state := &sessionState{hub: h, opened: make(chan struct{}), supply: options.Supply, uploads: map[*uploadState]struct{}{}}
	state.patience = cmp.Or(options.SupplyTimeout, defaultSupplyTimeout)
	state.ctx, state.cancel = context.WithCancel(context.Background())
	state.number = h.listen(state)
	fields := newFields()
	defer fields.free()
	switch {
	case options.Supply != nil:
		err = state.openSupplied(fields, &options)
	case options.Name != "" || options.SessionsFile != "":
		err = state.openDefined(fields, &options)
	default:
		err = state.openOCI(fields, &options)
	}
	if err != nil {
		h.forget(state.number)
		state.cancel()
		return nil, err
	}
	close(state.opened)
	session := &Session{client: c, state: state}
	runtime.AddCleanup(session, (*sessionState).close, state)
	return session, nil
}

func (s *sessionState) openOCI(fields *fields, options *SessionOptions) error {
	raw := structOf[C.outlast_oci_options](fields)
	raw.size = C.sizeof_outlast_oci_options
	raw.config_file = fields.text(options.ConfigFile)
	raw.profile = fields.text(options.Profile)
	raw.cli_rc_file = fields.text(options.CLIRCFile)
	raw.auth = fields.text(options.Auth)
	raw.region = fields.text(options.Region)
	raw.endpoint = fields.text(options.Endpoint)
	raw.auth_endpoint = fields.text(options.AuthEndpoint)
	raw.realm_specific_endpoint = fields.flag(options.RealmSpecificEndpoint)
	raw.enable_dual_stack = fields.flag(options.EnableDualStack)
	raw.namespace_name = fields.text(options.Namespace)
	raw.passphrase = fields.text(options.Passphrase)
	raw.wait_for_login_ms = fields.millis("WaitForLogin", options.WaitForLogin)
	raw.timer = fields.flag(options.Timer)
	raw.read_only = fields.flag(options.ReadOnly)
	raw.mint_session_minutes = fields.u32("MintSession", options.MintSession)
	if options.Title != "" || options.SupplyTimeout != 0 {
		fields.fail("Title or SupplyTimeout", "is given without Supply")
	}
	setNumber(&raw.user_data, s.number)
	if err := fields.failed(); err != nil {
		return err
	}
	var slot *C.outlast_error
	return check(C.outlast_session_open_oci(s.hub.handle, raw, &s.handle, &slot), slot)
}

// profile says whether there are options that only a profile has.
func (o *SessionOptions) profile() bool {
	texts := o.ConfigFile + o.Profile + o.CLIRCFile + o.Auth + o.Region + o.AuthEndpoint + o.Namespace + o.Passphrase
	return texts != "" || o.RealmSpecificEndpoint || o.EnableDualStack || o.ReadOnly || o.MintSession != 0
}

func (s *sessionState) openDefined(fields *fields, options *SessionOptions) error {
	raw := structOf[C.outlast_defined_options](fields)
	raw.size = C.sizeof_outlast_defined_options
	raw.name = fields.text(options.Name)
	raw.sessions_file = fields.text(options.SessionsFile)
	raw.endpoint = fields.text(options.Endpoint)
	raw.wait_for_login_ms = fields.millis("WaitForLogin", options.WaitForLogin)
	raw.timer = fields.flag(options.Timer)
	if options.profile() {
		fields.fail("Name", "is given together with options of a profile")
	}
	if options.Title != "" || options.SupplyTimeout != 0 {
		fields.fail("Title or SupplyTimeout", "is given without Supply")
	}
	setNumber(&raw.user_data, s.number)
	if err := fields.failed(); err != nil {
		return err
	}
	var slot *C.outlast_error
	return check(C.outlast_session_open_defined(s.hub.handle, raw, &s.handle, &slot), slot)
}

func (s *sessionState) openSupplied(fields *fields, options *SessionOptions) error {
	raw := structOf[C.outlast_supplied_options](fields)
	raw.size = C.sizeof_outlast_supplied_options
	raw.endpoint = fields.text(options.Endpoint)
	raw.title = fields.text(options.Title)
	raw.supply_timeout_ms = fields.millis("SupplyTimeout", options.SupplyTimeout)
	raw.wait_for_login_ms = fields.millis("WaitForLogin", options.WaitForLogin)
	raw.timer = fields.flag(options.Timer)
	if options.profile() || options.Name != "" || options.SessionsFile != "" {
		fields.fail("Supply", "is given together with options of a profile or of the sessions file")
	}
	setNumber(&raw.user_data, s.number)
	if err := fields.failed(); err != nil {
		return err
	}
	var slot *C.outlast_error
	return check(C.outlast_session_open_supplied(s.hub.handle, raw, &s.handle, &slot), slot)
}

// hear is called by the draining goroutine.
func (s *sessionState) hear(event Event) {
	switch event.Kind {
	case EventCredentialWanted:
		if s.supply != nil {
			go s.answer(event.request)
		}
	case EventClosed:
		s.cancel()
		return
	}
	// What happens to the session happens to its uploads.
	s.mu.Lock()
	defer s.mu.Unlock()
	for upload := range s.uploads {
		upload.hear(event)
	}
}

func (s *sessionState) close() {
	s.cancel()
	s.hub.forget(s.number)
	C.outlast_session_free(s.handle)
}

func (s *Session) open() (*C.outlast_session, error) {
	stress()
	if s == nil || s.state == nil {
		return nil, invalid("this session was not made by OpenSession")
	}
	return s.state.handle, nil
}

// closed is an error once the client is closed.
func (s *Session) closed() error {
	if !s.state.hub.over.Load() {
		return nil
	}
	return &Error{Code: ErrCancelled, Message: "the client is closed", Retry: RetryNever}
}

// do calls the library with the session's handle.
func (s *Session) do(call func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status) error {
	handle, err := s.open()
	if err != nil {
		return err
	}
	var slot *C.outlast_error
	err = check(call(handle, &slot), slot)
	runtime.KeepAlive(s)
	return err
}

// Client is the client that the session belongs to.
func (s *Session) Client() *Client {
	if s == nil {
		return nil
	}
	return s.client
}

// Number is the session's number in events.
func (s *Session) Number() uint64 {
	handle, err := s.open()
	if err != nil {
		return 0
	}
	number := uint64(C.outlast_session_number(handle))
	runtime.KeepAlive(s)
	return number
}

// Token gives the current token, refreshed before if need be. A fresh one comes from memory.
//
// Errors: [ErrSignInNeeded], [ErrAuth], [ErrConfig], [ErrNetwork]; the context's, while the refresh goes on.
func (s *Session) Token(ctx context.Context) (Token, error) {
	handle, err := s.open()
	if err != nil {
		return Token{}, err
	}
	for {
		token, status, err := fetchToken(handle)
		runtime.KeepAlive(s)
		if err == nil {
			// A credential that is still in memory is not handed out any more.
			err = s.closed()
		}
		if err == nil {
			return token, nil
		}
		if status != C.OUTLAST_E_TIMEOUT {
			return Token{}, err
		}
		if err := s.ready(ctx); err != nil {
			return Token{}, err
		}
	}
}

// scratch is what a call for a token needs besides the text itself. Pointers handed to C would otherwise cost an allocation
// each; the call may call back into Go (freeing what the last user of a session left), so the compiler cannot be told better.
type scratch struct {
	facts  C.outlast_token
	slot   *C.outlast_error
	buffer [4096]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// fetchToken copies the token without waiting: OUTLAST_E_TIMEOUT says that there is none at the moment.
func fetchToken(handle *C.outlast_session) (Token, C.outlast_status, error) {
	at := scratches.Get().(*scratch)
	defer scratches.Put(at)
	token, status, err := at.fetch(handle, at.buffer[:])
	for status == C.OUTLAST_E_BUFFER {
		token, status, err = at.fetch(handle, make([]byte, at.facts.len+1))
	}
	return token, status, err
}

func (at *scratch) fetch(handle *C.outlast_session, buffer []byte) (Token, C.outlast_status, error) {
	at.facts, at.slot = C.outlast_token{size: C.sizeof_outlast_token}, nil
	status := C.outlast_session_token(handle, 0, (*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)), &at.facts, &at.slot)
	if status != C.OUTLAST_OK {
		return Token{}, status, check(status, at.slot)
	}
	text := buffer[:at.facts.len]
	token := Token{Value: string(text), Generation: uint64(at.facts.generation), ExpiresAt: moment(at.facts.expires_unix_ms)}
	clear(text)
	return token, status, nil
}

// Sign gives headers for a request that you send yourself, exactly as given here, to any service that takes this credential.
//
// Errors: [ErrInvalid] (method, URL, a covered body without type), otherwise as [Session.Token].
func (s *Session) Sign(ctx context.Context, request Request) (*SignedHeaders, error) {
	handle, err := s.open()
	if err != nil {
		return nil, err
	}
	fields := newFields()
	defer fields.free()
	raw := structOf[C.outlast_request](fields)
	raw.size = C.sizeof_outlast_request
	raw.method = fields.text(request.Method)
	raw.url = fields.text(request.URL)
	raw.sign_body = fields.flag(request.SignBody)
	raw.content_type = fields.text(request.ContentType)
	raw.body = fields.bytes(request.Body)
	for {
		var out *C.outlast_headers
		var slot *C.outlast_error
		status := C.outlast_session_sign(handle, raw, 0, &out, &slot)
		runtime.KeepAlive(s)
		err := check(status, slot)
		if status == C.OUTLAST_OK {
			return headers(out), s.closed()
		}
		if status != C.OUTLAST_E_TIMEOUT {
			return nil, err
		}
		if err := s.ready(ctx); err != nil {
			return nil, err
		}
	}
}

// SignDigest signs a SHA-256 digest with the session's private key (RSA, PKCS#1 v1.5), for clients that build and sign their
// requests themselves. It gives the generation whose key it was. Prefer [Session.Sign].
func (s *Session) SignDigest(ctx context.Context, digest [sha256.Size]byte) (signature []byte, generation uint64, err error) {
	handle, err := s.open()
	if err != nil {
		return nil, 0, err
	}
	buffer := make([]byte, 512)
	for {
		var length C.size_t
		var slot *C.outlast_error
		var found C.uint64_t
		status := C.outlast_session_sign_digest(handle, (*C.uint8_t)(unsafe.Pointer(&digest[0])), C.size_t(len(digest)), 0,
			(*C.uint8_t)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)), &length, &found, &slot)
		runtime.KeepAlive(s)
		err := check(status, slot)
		if status == C.OUTLAST_OK {
			return buffer[:length], uint64(found), s.closed()
		}
		if status != C.OUTLAST_E_TIMEOUT {
			return nil, 0, err
		}
		if err := s.ready(ctx); err != nil {
			return nil, 0, err
		}
	}
}

// Reject tells that a service answered 401 to a request made with a generation: get the next credential and send again. One
// refresh follows, however many tell it. Two fresh credentials refused in a row end the session.
func (s *Session) Reject(generation uint64) error {
	return s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_reject(handle, C.uint64_t(generation), slot)
	})
}

// Accept tells that a service answered something other than 401 to a request made with a generation: it keeps a later 401
// from looking like the refusal of a fresh credential. Worth telling once per generation.
func (s *Session) Accept(generation uint64) error {
	return s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_accept(handle, C.uint64_t(generation), slot)
	})
}

// Refresh asks for the next credential now, whatever the windows say. When the context ends before, the refresh goes on.
func (s *Session) Refresh(ctx context.Context) error {
	return s.detached(ctx, "waiting for the refresh", func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_refresh(handle, -1, slot)
	})
}

// Touch tells that somebody signed in: look now. Changed files are noticed without this.
func (s *Session) Touch() error {
	return s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_touch(handle, slot)
	})
}

// Hold keeps the session alive while nobody asks, until [Session.Release] was called as often or the session ends. Uploads
// do so by themselves.
func (s *Session) Hold() error {
	return s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_hold(handle, slot)
	})
}

// Release is the opposite of [Session.Hold].
func (s *Session) Release() error {
	return s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_release(handle, slot)
	})
}

// Status looks at the session; it loads and refreshes nothing.
func (s *Session) Status() (SessionStatus, error) {
	var raw C.outlast_session_status
	raw.size = C.sizeof_outlast_session_status
	err := s.do(func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		return C.outlast_session_look(handle, &raw, slot)
	})
	if err != nil {
		return SessionStatus{}, err
	}
	return SessionStatus{
		State:      sessionStates[raw.state],
		Generation: uint64(raw.generation),
		IssuedAt:   moment(raw.issued_unix_ms),
		ExpiresAt:  moment(raw.expires_unix_ms),
		Horizon:    moment(raw.horizon_unix_ms),
		Refreshes:  uint64(raw.refreshes),
	}, nil
}

// Namespace asks the service for the tenancy's Object Storage namespace; what it answered is kept.
func (s *Session) Namespace(ctx context.Context) (string, error) {
	if s != nil {
		if known := s.namespace.Load(); known != nil {
			return *known, nil
		}
	}
	fields := newFields()
	var length C.size_t
	const capacity = 1024
	buffer := fields.alloc(capacity)
	var found string
	err := s.detached(ctx, "waiting for the namespace", func(handle *C.outlast_session, slot **C.outlast_error) C.outlast_status {
		defer fields.free()
		status := C.outlast_session_namespace(handle, (*C.char)(buffer), capacity, &length, slot)
		if status == C.OUTLAST_OK {
			found = C.GoStringN((*C.char)(buffer), C.int(length))
		}
		return status
	})
	if err != nil {
		return "", err
	}
	s.namespace.Store(&found)
	return found, nil
}

// Uploader gives an uploader under this session, which stays the caller's to close.
func (s *Session) Uploader() *Uploader { return &Uploader{session: s} }

// Close ends the session, and its client if that was made with it. May be repeated.
func (s *Session) Close() error {
	if s == nil || s.state == nil {
		return nil
	}
	var err error
	if s.ownClient {
		err = s.client.Close()
	}
	s.state.close()
	runtime.KeepAlive(s)
	return err
}
