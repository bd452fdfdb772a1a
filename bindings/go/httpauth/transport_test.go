package httpauth_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"outlast.example/go"
	"outlast.example/go/httpauth"
	"outlast.example/go/internal/cloudtest"
)

var check = cloudtest.Check

// counting counts what goes out.
type counting struct{ requests int }

func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	c.requests++
	return http.DefaultTransport.RoundTrip(request)
}

func send(t *testing.T, client *http.Client, method, url string, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	check(t, err)
	before := request.Header.Clone()
	answer, err := client.Do(request)
	check(t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	check(t, err)
	if len(request.Header) != len(before) {
		t.Errorf("the caller's request was changed: %v", request.Header)
	}
	return answer.StatusCode, string(content)
}

func TestRequestsOfEveryKindAreSigned(t *testing.T) {
	cloud := cloudtest.Start(t)
	client := &http.Client{Transport: httpauth.New(cloud.Session(time.Hour, nil))}
	bucket := cloud.Endpoint + "/n/" + cloud.Namespace + "/b/" + cloud.Bucket
	for name, try := range map[string]struct {
		method, url string
		body        io.Reader
		status      int
	}{
		"get":              {"GET", cloud.Endpoint + "/n/", nil, 200},
		"head":             {"HEAD", bucket, nil, 200},
		"put object":       {"PUT", bucket + "/o/by%20http%2Fauth", strings.NewReader("bytes"), 200},
		"put empty object": {"PUT", bucket + "/o/empty", http.NoBody, 200},
		"post":             {"POST", bucket + "/u", strings.NewReader(`{"object": "o"}`), 200},
		"list":             {"GET", bucket + "/o?prefix=by%20http&limit=3", nil, 200},
		"missing":          {"GET", bucket + "/o/none", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			if status, content := send(t, client, try.method, try.url, try.body); status != try.status {
				t.Fatalf("%d %s", status, content)
			}
		})
	}
	if got := cloud.Stored("by http/auth"); string(got) != "bytes" {
		t.Errorf("%q was stored", got)
	}
}

func TestARefusedRequestIsSentOnceMore(t *testing.T) {
	cloud := cloudtest.Start(t)
	bucket := cloud.Endpoint + "/n/" + cloud.Namespace + "/b/" + cloud.Bucket
	for name, try := range map[string]struct {
		method, url, operation string
		body                   func() io.Reader
		requests, status       int
	}{
		"no body":           {"GET", cloud.Endpoint + "/n/", "get_namespace", func() io.Reader { return nil }, 2, 200},
		"bytes again":       {"PUT", bucket + "/o/again", "put_object", func() io.Reader { return bytes.NewReader([]byte("again")) }, 2, 200},
		"a covered body":    {"POST", bucket + "/u", "create_upload", func() io.Reader { return onlyReader{strings.NewReader(`{"object": "o"}`)} }, 2, 200},
		"a body of one use": {"PUT", bucket + "/o/once", "put_object", func() io.Reader { return onlyReader{strings.NewReader("once")} }, 1, 401},
	} {
		t.Run(name, func(t *testing.T) {
			session := cloud.Session(time.Hour, nil)
			token, err := session.Token(t.Context())
			check(t, err)
			check(t, session.Accept(token.Generation))
			// Tokens have whole seconds: within one the next would look like the same.
			time.Sleep(1100 * time.Millisecond)
			cloud.Refuse(try.operation, 1)
			counted := &counting{}
			client := &http.Client{Transport: httpauth.Over(session, counted)}
			request, err := http.NewRequestWithContext(t.Context(), try.method, try.url, try.body())
			check(t, err)
			if _, once := request.Body.(io.ReadCloser); once && request.ContentLength == 0 {
				request.ContentLength = int64(len("once"))
			}
			answer, err := client.Do(request)
			check(t, err)
			_ = answer.Body.Close()
			if answer.StatusCode != try.status || counted.requests != try.requests {
				t.Errorf("%d after %d requests", answer.StatusCode, counted.requests)
			}
			next, err := session.Token(t.Context())
			check(t, err)
			if next.Generation != token.Generation+1 {
				t.Errorf("generation %d follows %d", next.Generation, token.Generation)
			}
		})
	}
	if got := cloud.Stored("again"); string(got) != "again" {
		t.Errorf("%q was stored", got)
	}
}

// onlyReader hides everything but Read, so that net/http cannot have it again.
type onlyReader struct{ r io.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

func TestWhatTheSessionSaysIsTheError(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(time.Hour, nil)
	check(t, session.Close())
	client := &http.Client{Transport: httpauth.New(session)}
	_, err := client.Get(cloud.Endpoint + "/n/")
	if !errors.Is(err, outlast.ErrInvalid) {
		t.Error(err)
	}
	_, err = client.Post(cloud.Endpoint+"/n/x/b/y/u", "application/json", onlyReader{failing{}})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
