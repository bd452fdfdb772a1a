package ociauth

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/oracle/oci-go-sdk/v65/common"

	"outlast.example/go"
)

// Attach makes a client of the SDK sign with the session's credential of the moment, and answer refusals: a request that the
// service answers with 401 is sent once more, newly signed under the next credential, when its body can be had again (all
// bodies that can seek, the UploadManager's among them).
//
// It replaces the client's Signer and wraps its HTTPClient; set your own HTTPClient before. Other retries stay the SDK's.
func Attach(client *common.BaseClient, session *outlast.Session) {
	client.Signer = Signer(session)
	client.HTTPClient = &dispatcher{next: client.HTTPClient}
}

type dispatcher struct {
	next common.HTTPRequestDispatcher
	// The last generation that a service took.
	accepted atomic.Uint64
}

// Do sends a request that was signed just before.
func (d *dispatcher) Do(request *http.Request) (*http.Response, error) {
	first, ok := request.Context().Value(leaseKey{}).(lease)
	if !ok {
		return d.next.Do(request)
	}
	again := replayable(request)
	response, err := d.next.Do(request)
	if err != nil || !d.refused(response, first) || again == nil {
		return response, err
	}
	second, err := again()
	if err == nil {
		err = first.signer.Sign(second)
	}
	if err != nil {
		// The refusal is the better answer: it says what the service thinks.
		return response, nil
	}
	// Read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	_ = response.Body.Close()
	response, err = d.next.Do(second)
	if err == nil {
		used, _ := second.Context().Value(leaseKey{}).(lease)
		d.refused(response, used)
	}
	return response, err
}

// refused tells the session what the service thinks of a generation.
func (d *dispatcher) refused(response *http.Response, used lease) bool {
	if response.StatusCode == http.StatusUnauthorized {
		return used.signer.session.Reject(used.generation) == nil
	}
	if d.accepted.Swap(used.generation) != used.generation {
		_ = used.signer.session.Accept(used.generation)
	}
	return false
}

// replayable prepares a request so that it can be made once more; nil if its body cannot be had again.
func replayable(request *http.Request) func() (*http.Request, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return func() (*http.Request, error) { return request.Clone(request.Context()), nil }
	}
	body := request.GetBody
	if body == nil {
		body = rewinding(request)
	}
	if body == nil {
		return nil
	}
	return func() (*http.Request, error) {
		again := request.Clone(request.Context())
		var err error
		again.Body, err = body()
		return again, err
	}
}

// rewinding wraps a request's body, if it can seek, and gives what begins it anew.
func rewinding(request *http.Request) func() (io.ReadCloser, error) {
	seeker, ok := request.Body.(*common.OCIReadSeekCloser)
	if !ok {
		// The SDK knows which bodies can seek, those behind io.NopCloser among them.
		seeker = common.NewOCIReadSeekCloser(request.Body)
	}
	if !seeker.Seekable() {
		return nil
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	last := &attempt{body: seeker}
	request.Body = last
	return func() (io.ReadCloser, error) {
		_ = last.Close()
		if _, err := seeker.Seek(start, io.SeekStart); err != nil {
			return nil, err
		}
		last = &attempt{body: seeker}
		return last, nil
	}
}

// attempt is one reading of a body. net/http may still read from the body of an answered request: once the attempt is over,
// that gets it nothing any more. The body itself is not closed, since another attempt may follow; nor does the SDK close it.
type attempt struct {
	mu   sync.Mutex
	body io.Reader
	over bool
}

func (a *attempt) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return 0, errOver
	}
	return a.body.Read(p)
}

func (a *attempt) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return nil
}

var errOver = errors.New("this attempt is over")
