// Package ociauth lets clients of the official OCI Go SDK outlive their tokens.
//
//	provider := ociauth.ConfigurationProvider(session, common.CustomProfileSessionTokenConfigProvider("", "LAB"))
//	client, err := objectstorage.NewObjectStorageClientWithConfigurationProvider(provider)
//	ociauth.Attach(&client.BaseClient, session)
package ociauth

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/oracle/oci-go-sdk/v65/common"

	"outlast.example/go"
	"outlast.example/go/httpauth"
)

// Signer signs each request with the session's credential of the moment; for BaseClient.Signer. The session is held from now
// on: a pause between two requests may be longer than a token lives.
//
// A signer never hears of a 401: see [Attach].
func Signer(session *outlast.Session) common.HTTPRequestSigner {
	// Fails when the session is closed, which the first request will tell.
	_ = session.Hold()
	return signer{session}
}

type signer struct {
	session *outlast.Session
}

// leaseKey finds, in a signed request's context, the lease it was signed with.
type leaseKey struct{}

type lease struct {
	signer     signer
	generation uint64
}

// Sign is what the SDK calls for each request.
func (s signer) Sign(request *http.Request) error {
	described := outlast.Request{Method: request.Method, URL: httpauth.URL(request)}
	if httpauth.CoversBody(request.Method, request.URL.Path) {
		body, err := takeBody(request)
		if err != nil {
			return err
		}
		if request.Header.Get("content-type") == "" {
			request.Header.Set("content-type", "application/json")
		}
		described.SignBody, described.Body, described.ContentType = true, body, request.Header.Get("content-type")
	}
	signed, err := s.session.Sign(request.Context(), described)
	if err != nil {
		return err
	}
	for name, value := range signed.All() {
		if name == "host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	*request = *request.WithContext(context.WithValue(request.Context(), leaseKey{}, lease{s, signed.Generation}))
	return nil
}

// takeBody reads a body that the signature covers and puts it back, to be read as often as wanted.
func takeBody(request *http.Request) ([]byte, error) {
	var body []byte
	if request.Body != nil {
		var err error
		body, err = io.ReadAll(request.Body)
		_ = request.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("reading a body to sign it: %w", err)
		}
	}
	request.ContentLength = int64(len(body))
	request.GetBody = func() (io.ReadCloser, error) {
		if len(body) == 0 {
			return http.NoBody, nil
		}
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	request.Body, _ = request.GetBody()
	return body, nil
}
