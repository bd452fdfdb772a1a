// Package httpauth signs requests of net/http with a session's credential.
//
//	client := &http.Client{Transport: httpauth.New(session)}
package httpauth

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"

	"outlast.example/go"
)

// Transport is an http.RoundTripper that signs each request with the credential of the moment. A request that is refused
// with 401 is sent once more, newly signed, when its body can be had again: there is none, the signature covers it (it is in
// memory then), or the request has GetBody, as those of http.NewRequest over bytes and strings have.
type Transport struct {
	session *outlast.Session
	base    http.RoundTripper
	// The last generation that a service took.
	accepted atomic.Uint64
}

// New gives a transport that sends by way of http.DefaultTransport.
func New(session *outlast.Session) *Transport { return Over(session, http.DefaultTransport) }

// Over gives a transport that sends by way of another. The session is held from now on: a pause between two requests may be
// longer than a token lives.
func Over(session *outlast.Session, base http.RoundTripper) *Transport {
	// Fails when the session is closed, which the first request will tell.
	_ = session.Hold()
	return &Transport{session: session, base: base}
}

// RoundTrip signs and sends a request. Errors of the session are *outlast.Error.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	covered, body, err := coveredBody(request)
	if err != nil {
		return nil, err
	}
	signed, generation, err := t.sign(request, covered, body)
	if err != nil {
		closeBody(request)
		return nil, err
	}
	response, err := t.base.RoundTrip(signed)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusUnauthorized {
		t.accept(generation)
		return response, nil
	}
	if err := t.session.Reject(generation); err != nil {
		return response, nil
	}
	again, ok := renew(request, covered)
	if !ok {
		return response, nil
	}
	signed, generation, err = t.sign(again, covered, body)
	if err != nil {
		// The refusal is the better answer: it says what the service thinks.
		closeBody(again)
		return response, nil
	}
	// Read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	_ = response.Body.Close()
	response, err = t.base.RoundTrip(signed)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusUnauthorized {
		_ = t.session.Reject(generation)
	} else {
		t.accept(generation)
	}
	return response, nil
}

// accept tells the session once per generation.
func (t *Transport) accept(generation uint64) {
	if t.accepted.Swap(generation) != generation {
		_ = t.session.Accept(generation)
	}
}

// sign gives a copy of the request with what has to be sent.
func (t *Transport) sign(request *http.Request, covered bool, body []byte) (*http.Request, uint64, error) {
	signed := request.Clone(request.Context())
	if covered {
		if signed.Header.Get("content-type") == "" {
			signed.Header.Set("content-type", "application/json")
		}
		signed.ContentLength = int64(len(body))
		signed.Body = http.NoBody
		if len(body) > 0 {
			signed.Body = io.NopCloser(bytes.NewReader(body))
		}
		signed.TransferEncoding = nil
	}
	headers, err := t.session.Sign(request.Context(), outlast.Request{
		Method: method(request), URL: URL(request), SignBody: covered, Body: body, ContentType: signed.Header.Get("content-type"),
	})
	if err != nil {
		return nil, 0, err
	}
	for name, value := range headers.All() {
		switch name {
		case "host":
			signed.Host = value
		case "content-length":
			// net/http writes it from ContentLength.
		default:
			signed.Header.Set(name, value)
		}
	}
	return signed, headers.Generation, nil
}

// coveredBody reads a body that the signature covers.
func coveredBody(request *http.Request) (covered bool, body []byte, err error) {
	if !CoversBody(method(request), request.URL.Path) {
		return false, nil, nil
	}
	if request.Body == nil {
		return true, nil, nil
	}
	body, err = io.ReadAll(request.Body)
	_ = request.Body.Close()
	if err != nil {
		return true, nil, fmt.Errorf("reading a body to sign it: %w", err)
	}
	return true, body, nil
}

// renew gives the request once more, if its body can be had again.
func renew(request *http.Request, covered bool) (*http.Request, bool) {
	if covered || request.Body == nil || request.Body == http.NoBody {
		return request, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, false
	}
	again := request.Clone(request.Context())
	again.Body = body
	return again, true
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

func method(request *http.Request) string {
	if request.Method == "" {
		return http.MethodGet
	}
	return request.Method
}

// URL is a request's, as net/http sends it.
func URL(request *http.Request) string {
	host := request.Host
	if host == "" {
		host = request.URL.Host
	}
	return request.URL.Scheme + "://" + host + request.URL.RequestURI()
}

// The bytes of objects and parts stand outside the signature: PutObject and UploadPart.
var objectBytes = regexp.MustCompile(`/n/[^/]+/b/[^/]+/[ou]/.`)

// CoversBody tells whether the service wants the body of such a request signed.
func CoversBody(method, path string) bool {
	switch strings.ToUpper(method) {
	case http.MethodPut:
		return !objectBytes.MatchString(path)
	case http.MethodPost, http.MethodPatch:
		return true
	}
	return false
}
