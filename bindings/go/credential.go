package outlast

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"time"
)

const redacted = "***"

// Token is a token. It does not print its text unasked.
type Token struct {
	// Value is the compact JWT without "ST$"; for an API key it is the key id.
	Value string `json:"-"`
	// Generation is to be named in [Session.Reject] when a service answers 401.
	Generation uint64
	// ExpiresAt is when it ends; zero if it does not.
	ExpiresAt time.Time
}

// String shows everything but the text.
func (t Token) String() string {
	return fmt.Sprintf("token(generation %d, until %s, %s)", t.Generation, t.ExpiresAt.UTC().Format(time.RFC3339), redacted)
}

// GoString is String.
func (t Token) GoString() string { return t.String() }

// LogValue is String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Request is a request that you send yourself, for [Session.Sign].
type Request struct {
	// Method is GET, HEAD, POST, PUT, PATCH or DELETE.
	Method string
	// URL is the whole one, encoded as it will be sent: what is signed is what must be sent.
	URL string
	// SignBody: the body is covered by the signature. So it is for POST, PATCH, and every PUT but those of objects and
	// parts.
	SignBody bool
	// Body that is covered; may be empty.
	Body []byte
	// ContentType of a covered body, exactly as it will be sent.
	ContentType string
}

// SignedHeaders are headers to send besides your own. They do not print their values unasked.
type SignedHeaders struct {
	// Generation that signed: name it in [Session.Reject] when the service answers 401.
	Generation uint64

	list [][2]string
}

// All gives names (in lower case) and values, in the order in which they are to be sent. The value of "authorization" is a
// secret.
func (h SignedHeaders) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, pair := range h.list {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

// Get gives the value of a header by its lower-case name; "" if there is none.
func (h SignedHeaders) Get(name string) string {
	for found, value := range h.All() {
		if found == name {
			return value
		}
	}
	return ""
}

// String shows the names.
func (h SignedHeaders) String() string {
	names := make([]string, 0, len(h.list))
	for name := range h.All() {
		names = append(names, name)
	}
	return fmt.Sprintf("headers%v", names)
}

// GoString is String.
func (h SignedHeaders) GoString() string { return h.String() }

// LogValue is String.
func (h SignedHeaders) LogValue() slog.Value { return slog.StringValue(h.String()) }

// headers copies signed headers and frees them.
func headers(handle *C.outlast_headers) *SignedHeaders {
	defer C.outlast_headers_free(handle)
	signed := &SignedHeaders{Generation: uint64(C.outlast_headers_generation(handle))}
	for index := range C.outlast_headers_count(handle) {
		pair := [2]string{goText(C.outlast_headers_name(handle, index)), goText(C.outlast_headers_value(handle, index))}
		signed.list = append(signed.list, pair)
	}
	return signed
}

// Credential is what a supplier gives: a session token with the key it is bound to, a bearer token, or an API key. It prints
// no secrets.
type Credential struct {
	// Token is the session token (compact JWT, without "ST$"), whose ends are read from it; with TokenType an access token.
	Token string `json:"-"`
	// TokenType is "Bearer", or another word: Token signs nothing and is sent as it is. No key then.
	TokenType string
	// KeyID, instead of a token, is an API key's "<tenancy>/<user>/<fingerprint>".
	KeyID string
	// PrivateKey is PEM; may be left out when it is the same as before.
	PrivateKey []byte `json:"-"`
	// Passphrase of the key, if it is encrypted.
	Passphrase string `json:"-"`
	// ExpiresAt is when the credential ends; zero: what the token says. An API key and a bearer token end only if told here.
	ExpiresAt time.Time
	// Horizon is when the chain ends, and a person has to sign in; zero: what the token says.
	Horizon time.Time
}

// String shows what is no secret.
func (c Credential) String() string {
	return fmt.Sprintf("credential(key id %q, until %s, %s)", c.KeyID, c.ExpiresAt.UTC().Format(time.RFC3339), redacted)
}

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Supply brings a supplied session a credential unasked.
//
// Errors: [ErrInvalid] (not a supplied session), [ErrConfig] (token or key cannot be read, or do not belong together).
func (s *Session) Supply(credential Credential) error {
	handle, err := s.open()
	if err != nil {
		return err
	}
	err = supply(handle, 0, credential)
	runtime.KeepAlive(s)
	return err
}

func supply(handle *C.outlast_session, request uint64, credential Credential) error {
	fields := newFields()
	defer fields.free()
	raw := structOf[C.outlast_credential](fields)
	raw.size = C.sizeof_outlast_credential
	raw.token = fields.text(credential.Token)
	raw.token_type = fields.text(credential.TokenType)
	raw.key_id = fields.text(credential.KeyID)
	raw.private_key = fields.bytes(credential.PrivateKey)
	raw.passphrase = fields.text(credential.Passphrase)
	raw.expires_unix_ms = unixMillis(credential.ExpiresAt)
	raw.horizon_unix_ms = unixMillis(credential.Horizon)
	var slot *C.outlast_error
	return check(C.outlast_session_supply(handle, C.uint64_t(request), raw, &slot), slot)
}

// answer asks the host's function and hands on what it says. Runs on a goroutine of its own.
func (s *sessionState) answer(request uint64) {
	select {
	case <-s.opened:
	case <-s.ctx.Done():
		return
	}
	credential, err := s.ask()
	if err == nil {
		err = supply(s.handle, request, credential)
	}
	if err == nil || s.ctx.Err() != nil {
		return
	}
	fields := newFields()
	defer fields.free()
	var after time.Duration
	var known *Error
	if errors.As(err, &known) {
		after = known.RetryAfter
	}
	needsPerson := fields.flag(errors.Is(err, ErrSignInNeeded))
	// Fails when nobody waits for this request any more: then there is nobody to tell.
	_ = C.outlast_session_supply_failed(s.handle, C.uint64_t(request), needsPerson, fields.millis("RetryAfter", max(after, 0)), fields.text(err.Error()), nil)
}

// ask calls the host's function. Its panic is an answer, too: it would end the process on a goroutine that the host does not
// know of.
func (s *sessionState) ask() (credential Credential, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("the supplying function panicked: %v", problem)
		}
	}()
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	defer cancel()
	return s.supply(ctx)
}
