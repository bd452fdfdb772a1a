// Package cloudtest starts a loopback cloud for tests. OUTLAST_CLOUD names the outlast-cloud binary.
package cloudtest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outlast.example/go"
)

// MiB is 1,048,576 bytes.
const MiB = 1 << 20

// Cloud is a loopback cloud, as a test sees it.
type Cloud struct {
	t         testing.TB
	Endpoint  string
	Namespace string
	Bucket    string

	client *http.Client
}

// Profiles' names are those of one cloud.
var logins atomic.Int64

// Login is somebody who signed in.
type Login struct {
	Profile    string `json:"profile"`
	ConfigFile string `json:"config_file"`
	TokenFile  string `json:"token_file"`
	KeyFile    string `json:"key_file"`
}

// facts are what the cloud says when it listens.
type facts struct {
	Endpoint  string
	Namespace string
	Buckets   []string
}

// Kept open as long as this process lives: the cloud ends with its standard input.
var lifeline io.WriteCloser

// The cloud of this process.
var running = sync.OnceValues(func() (found facts, err error) {
	binary := os.Getenv("OUTLAST_CLOUD")
	if binary == "" {
		return found, errors.New("OUTLAST_CLOUD does not name the outlast-cloud binary (cargo build -p outlast-cloud)")
	}
	command := exec.Command(binary)
	command.Stderr = os.Stderr
	if lifeline, err = command.StdinPipe(); err != nil {
		return found, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return found, err
	}
	if err = command.Start(); err != nil {
		return found, err
	}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		return found, fmt.Errorf("%s says nothing: %w", binary, err)
	}
	return found, json.Unmarshal(line, &found)
})

// Start gives the loopback cloud, which all tests of a process share. Profiles and journals are the test's own.
func Start(t testing.TB) *Cloud {
	t.Helper()
	facts, err := running()
	Check(t, err)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	return &Cloud{
		t: t, Endpoint: facts.Endpoint, Namespace: facts.Namespace, Bucket: facts.Buckets[0],
		// No connection is left when a test ends.
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// Control asks the cloud's control face; value nil is a GET.
func (c *Cloud) Control(path string, value any) []byte {
	c.t.Helper()
	method, body := http.MethodGet, []byte(nil)
	if value != nil {
		var err error
		method = http.MethodPost
		body, err = json.Marshal(value)
		Check(c.t, err)
	}
	request, err := http.NewRequest(method, c.Endpoint+"/_control/"+path, bytes.NewReader(body))
	Check(c.t, err)
	request.Header.Set("content-type", "application/json")
	answer, err := c.client.Do(request)
	Check(c.t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	Check(c.t, err)
	if answer.StatusCode != http.StatusOK {
		c.t.Fatalf("control %s: %s %s", path, answer.Status, content)
	}
	return content
}

// SignIn signs somebody in, with a token that lives so long.
func (c *Cloud) SignIn(life time.Duration) Login {
	c.t.Helper()
	profile := fmt.Sprintf("P%d", logins.Add(1))
	return c.signIn(profile, c.t.TempDir(), life)
}

// SignInAgain signs somebody in once more, with a new key and token in the same files.
func (c *Cloud) SignInAgain(login Login, life time.Duration) {
	c.t.Helper()
	c.signIn(login.Profile, filepath.Dir(login.ConfigFile), life)
}

func (c *Cloud) signIn(profile, dir string, life time.Duration) Login {
	c.t.Helper()
	found := c.Control("login", map[string]any{"profile": profile, "dir": dir, "token_life_s": life.Seconds()})
	var login Login
	Check(c.t, json.Unmarshal(found, &login))
	return login
}

// Options are those of a session for whoever signed in.
func (c *Cloud) Options(login Login) outlast.SessionOptions {
	return outlast.SessionOptions{
		Profile: login.Profile, ConfigFile: login.ConfigFile, Endpoint: c.Endpoint, AuthEndpoint: c.Endpoint,
	}
}

// Session is an open session of somebody who signed in; it ends with the test.
func (c *Cloud) Session(life time.Duration, options *outlast.ClientOptions) *outlast.Session {
	c.t.Helper()
	client, err := outlast.NewClient(options)
	Check(c.t, err)
	c.t.Cleanup(func() { Check(c.t, client.Close()) })
	session, err := client.OpenSession(c.Options(c.SignIn(life)))
	Check(c.t, err)
	c.t.Cleanup(func() { Check(c.t, session.Close()) })
	return session
}

// Stored is an object's bytes.
func (c *Cloud) Stored(name string) []byte {
	c.t.Helper()
	return c.Control("bytes?bucket="+url.QueryEscape(c.Bucket)+"&name="+url.QueryEscape(name), nil)
}

// Has tells whether there is an object of that name.
func (c *Cloud) Has(name string) bool {
	c.t.Helper()
	return c.HasIn(c.Bucket, name)
}

// HasIn tells whether there is an object of that name in a bucket.
func (c *Cloud) HasIn(bucket, name string) bool {
	c.t.Helper()
	type object struct{ Bucket, Name string }
	var objects []object
	Check(c.t, json.Unmarshal(c.Control("objects", nil), &objects))
	return slices.Contains(objects, object{bucket, name})
}

// Unfinished tells whether there is an upload of that name that was neither committed nor aborted.
func (c *Cloud) Unfinished(name string) bool {
	c.t.Helper()
	var uploads []struct{ Object string }
	Check(c.t, json.Unmarshal(c.Control("uploads", nil), &uploads))
	return slices.ContainsFunc(uploads, func(upload struct{ Object string }) bool { return upload.Object == name })
}

// Refuse has the cloud refuse the next count requests of an operation with 401, after their signature was accepted.
func (c *Cloud) Refuse(operation string, count int) {
	c.t.Helper()
	c.Control("fault", map[string]any{
		"on": map[string]any{"ops": []string{operation}}, "when": map[string]any{"count": count},
		"do": map[string]any{"kind": "answer", "status": 401, "code": "NotAuthenticated"},
	})
}

// Check ends the test when there is an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Expect notes an error; unlike Check it may be called on any goroutine.
func Expect(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// Random bytes.
func Random(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.Read(data)
	return data
}

// WriteFile makes a file of random bytes in a directory of the test.
func WriteFile(t testing.TB, name string, size int) (path string, data []byte) {
	t.Helper()
	path, data = filepath.Join(t.TempDir(), name), Random(size)
	Check(t, os.WriteFile(path, data, 0o600))
	return path, data
}

// Threads are the names of the library's threads in this process.
//
// A name alone does not tell: a thread that Go starts while a callback runs inherits the name of the library's thread that
// called, and Go keeps it for good. The library's threads block SIGUSR1, as they block all that may be blocked; Go's do not.
func Threads(t testing.TB) (names []string) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	Check(t, err)
	for _, task := range tasks {
		// A thread may end between the two.
		status, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		facts := map[string]string{}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			facts[name] = strings.TrimSpace(value)
		}
		blocked, err := strconv.ParseUint(facts["SigBlk"], 16, 64)
		Check(t, err)
		if strings.HasPrefix(facts["Name"], "outlast") && blocked&(1<<(syscall.SIGUSR1-1)) != 0 {
			names = append(names, facts["Name"])
		}
	}
	return names
}
