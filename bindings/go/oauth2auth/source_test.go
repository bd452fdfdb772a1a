package oauth2auth_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"outlast.example/go"
	"outlast.example/go/internal/cloudtest"
	"outlast.example/go/oauth2auth"
)

func TestTokensAreTheSessionsOfTheMoment(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(3*time.Second, nil)
	source := oauth2auth.TokenSource(t.Context(), session)
	seen := map[string]bool{}
	for begun := time.Now(); time.Since(begun) < 9*time.Second; time.Sleep(200 * time.Millisecond) {
		token, err := source.Token()
		cloudtest.Check(t, err)
		if !token.Expiry.After(time.Now()) || token.Type() != "Bearer" {
			t.Fatalf("until %v, %s", token.Expiry, token.Type())
		}
		seen[token.AccessToken] = true
	}
	if len(seen) < 3 {
		t.Errorf("%d tokens in nine seconds", len(seen))
	}
	cloudtest.Check(t, session.Close())
	if _, err := source.Token(); !errors.Is(err, outlast.ErrInvalid) {
		t.Error(err)
	}
}

func TestItFitsWhereTokenSourcesAreTaken(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(time.Hour, nil)
	want, err := session.Token(t.Context())
	cloudtest.Check(t, err)
	var sent string
	client := &http.Client{Transport: &oauth2.Transport{
		Source: oauth2auth.TokenSource(t.Context(), session),
		Base: roundTrip(func(request *http.Request) (*http.Response, error) {
			sent = request.Header.Get("authorization")
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
		}),
	}}
	answer, err := client.Get("https://service.invalid/")
	cloudtest.Check(t, err)
	_ = answer.Body.Close()
	if sent != "Bearer "+want.Value {
		t.Error("another token was sent")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
