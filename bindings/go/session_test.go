package outlast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outlast.example/go"
	"outlast.example/go/internal/cloudtest"
)

func TestTokensAndHeaders(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(10*time.Minute, nil)
	ctx := t.Context()
	token, err := session.Token(ctx)
	check(t, err)
	if strings.Count(token.Value, ".") != 2 || token.Generation == 0 {
		t.Fatal("that is no token")
	}
	if left := time.Until(token.ExpiresAt); left < 9*time.Minute || left > 10*time.Minute {
		t.Fatalf("it ends in %v", left)
	}
	signed, err := session.Sign(ctx, outlast.Request{Method: "GET", URL: cloud.Endpoint + "/n/"})
	check(t, err)
	if signed.Generation != token.Generation {
		t.Fatalf("generation %d, the token's is %d", signed.Generation, token.Generation)
	}
	request, err := http.NewRequestWithContext(ctx, "GET", cloud.Endpoint+"/n/", nil)
	check(t, err)
	for name, value := range signed.All() {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	check(t, err)
	defer answer.Body.Close()
	var namespace string
	check(t, json.NewDecoder(answer.Body).Decode(&namespace))
	asked, err := session.Namespace(ctx)
	check(t, err)
	if namespace != cloud.Namespace || asked != cloud.Namespace {
		t.Fatalf("namespace %q, %q", namespace, asked)
	}
	status, err := session.Status()
	check(t, err)
	if status.State != outlast.SessionFresh || status.Generation != token.Generation || status.Horizon.IsZero() {
		t.Fatalf("%+v", status)
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(time.Hour, nil)
	token, err := session.Token(t.Context())
	check(t, err)
	signed, err := session.Sign(t.Context(), outlast.Request{Method: "GET", URL: cloud.Endpoint + "/n/"})
	check(t, err)
	credential := outlast.Credential{Token: token.Value, PrivateKey: []byte("-----BEGIN"), Passphrase: "open sesame"}
	var printed strings.Builder
	for _, value := range []any{token, &token, signed, *signed, credential, &credential, struct{ T outlast.Token }{token}} {
		fmt.Fprintf(&printed, "%v %+v %#v %s\n", value, value, value, value)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("told", "value", value)
		text, err := json.Marshal(value)
		check(t, err)
		printed.Write(text)
	}
	for _, secret := range []string{token.Value, token.Value[:20], "Signature", "BEGIN", "sesame"} {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("%q is in what was printed", secret)
		}
	}
}

func TestARefusedGenerationIsReplacedOnce(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(time.Hour, nil)
	ctx := t.Context()
	first, err := session.Token(ctx)
	check(t, err)
	check(t, session.Accept(first.Generation))
	// Tokens have whole seconds: within one the next would look like the same.
	waitForNextSecond()
	var together sync.WaitGroup
	for range 15 {
		together.Go(func() { expect(t, session.Reject(first.Generation)) })
	}
	together.Wait()
	second, err := session.Token(ctx)
	check(t, err)
	if second.Generation != first.Generation+1 || second.Value == first.Value {
		t.Fatalf("generation %d follows %d", second.Generation, first.Generation)
	}
	check(t, session.Reject(first.Generation))
	if again, err := session.Token(ctx); err != nil || again.Generation != second.Generation {
		t.Fatalf("%v, %v", again, err)
	}
	waitForNextSecond()
	check(t, session.Refresh(ctx))
}

func waitForNextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1100 * time.Millisecond)))
}

func TestAnEndedSessionAsksForAPerson(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(time.Second)
	time.Sleep(1200 * time.Millisecond)
	session, err := outlast.OpenSession(cloud.Options(login))
	check(t, err)
	defer session.Close()
	_, err = session.Token(t.Context())
	var failure *outlast.Error
	if !errors.As(err, &failure) || !errors.Is(err, outlast.ErrSignInNeeded) || failure.Retry != outlast.RetryAfterSignIn {
		t.Fatalf("%v", err)
	}
	if _, _, err := session.SignDigest(t.Context(), [32]byte{}); !errors.Is(err, outlast.ErrSignInNeeded) {
		t.Fatal(err)
	}
}

func TestACancelledWaitForACredentialReturnsAtOnce(t *testing.T) {
	cloud := cloudtest.Start(t)
	asked := make(chan struct{})
	options := outlast.SessionOptions{
		Endpoint: cloud.Endpoint,
		Supply: func(ctx context.Context) (outlast.Credential, error) {
			close(asked)
			<-ctx.Done()
			return outlast.Credential{}, ctx.Err()
		},
	}
	session, err := outlast.OpenSession(options)
	check(t, err)
	before := processThreads(t)
	ctx, cancel := context.WithCancel(t.Context())
	var together sync.WaitGroup
	for range 64 {
		together.Go(func() {
			if _, err := session.Token(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, outlast.ErrCancelled) {
				t.Errorf("%v", err)
			}
		})
	}
	<-asked
	// All share one waiting thread of the process.
	if more := processThreads(t) - before; more > 32 {
		t.Errorf("64 waiting goroutines cost %d threads", more)
	}
	begun := time.Now()
	cancel()
	together.Wait()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("cancelling took %v", took)
	}
	check(t, session.Close())
}

func processThreads(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	check(t, err)
	return len(tasks)
}

func TestCredentialsFromTheHost(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(time.Hour)
	read := func() outlast.Credential {
		token, err := os.ReadFile(login.TokenFile)
		expect(t, err)
		key, err := os.ReadFile(login.KeyFile)
		expect(t, err)
		return outlast.Credential{Token: string(token), PrivateKey: key}
	}
	var asked atomic.Int32
	session, err := outlast.OpenSession(outlast.SessionOptions{
		Endpoint: cloud.Endpoint, Title: "the test's session",
		Supply: func(context.Context) (outlast.Credential, error) {
			asked.Add(1)
			return read(), nil
		},
	})
	check(t, err)
	defer session.Close()
	result, err := session.Uploader().Upload(t.Context(), outlast.Bytes([]byte("supplied")), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "supplied"})
	check(t, err)
	if result.Size != 8 || asked.Load() != 1 || string(cloud.Stored("supplied")) != "supplied" {
		t.Fatalf("%+v, asked %d times", result, asked.Load())
	}
	check(t, session.Supply(read()))
	if err := session.Supply(outlast.Credential{Token: "no token"}); !errors.Is(err, outlast.ErrConfig) {
		t.Fatal(err)
	}
}

func TestABearerTokenFromTheHost(t *testing.T) {
	cloud := cloudtest.Start(t)
	session, err := outlast.OpenSession(outlast.SessionOptions{
		Endpoint: cloud.Endpoint,
		Supply: func(context.Context) (outlast.Credential, error) {
			return outlast.Credential{Token: "abc.def", TokenType: "bearer", ExpiresAt: time.Now().Add(time.Hour)}, nil
		},
	})
	check(t, err)
	defer session.Close()
	signed, err := session.Sign(t.Context(), outlast.Request{Method: "PATCH", URL: cloud.Endpoint + "/any"})
	check(t, err)
	if found := signed.Get("authorization"); found != "Bearer abc.def" {
		t.Fatal(found)
	}
}

func TestDefaultsComeFromTheFileThatIsNamed(t *testing.T) {
	cloud := cloudtest.Start(t)
	options := cloud.Options(cloud.SignIn(time.Hour))
	options.CLIRCFile = "/no/such/rc"
	_, err := outlast.OpenSession(options)
	if !errors.Is(err, outlast.ErrConfig) || !strings.Contains(err.Error(), "the file of defaults /no/such/rc does not exist") {
		t.Fatal(err)
	}
	options.CLIRCFile = filepath.Join(t.TempDir(), "rc")
	check(t, os.WriteFile(options.CLIRCFile, []byte("[OCI_CLI_SETTINGS]\ndefault_profile="+options.Profile+"\n"), 0o600))
	options.Profile = ""
	session, err := outlast.OpenSession(options)
	check(t, err)
	defer session.Close()
	namespace, err := session.Namespace(t.Context())
	check(t, err)
	if namespace != cloud.Namespace {
		t.Fatal(namespace)
	}
	options.Namespace, options.RealmSpecificEndpoint, options.EnableDualStack = "told", true, true
	told, err := outlast.OpenSession(options)
	check(t, err)
	defer told.Close()
	if namespace, err = told.Namespace(t.Context()); err != nil || namespace != "told" {
		t.Fatal(namespace, err)
	}
}

func TestASessionOfTheSessionsFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sessions.conf")
	check(t, os.WriteFile(filepath.Join(dir, "token"), []byte("from-a-file"), 0o600))
	check(t, os.WriteFile(file, []byte("[pod]\nfile = token\n"), 0o600))
	session, err := outlast.OpenSession(outlast.SessionOptions{Name: "pod", SessionsFile: file})
	check(t, err)
	defer session.Close()
	token, err := session.Token(t.Context())
	check(t, err)
	if token.Value != "from-a-file" {
		t.Fatal(token.Value)
	}
	if _, err := outlast.OpenSession(outlast.SessionOptions{Name: "none", SessionsFile: file}); !errors.Is(err, outlast.ErrConfig) {
		t.Fatal(err)
	}
	if _, err := outlast.OpenSession(outlast.SessionOptions{Name: "pod", Profile: "LAB"}); !errors.Is(err, outlast.ErrInvalid) {
		t.Fatal(err)
	}
}

func TestAServiceTakesOverOnRecord(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(time.Second)
	var service struct {
		ConfigFile string `json:"config_file"`
		KeyID      string `json:"key_id"`
	}
	check(t, json.Unmarshal(cloud.Control("api_key", map[string]any{"profile": "SERVICE", "dir": t.TempDir()}), &service))
	client, err := outlast.NewClient(nil)
	check(t, err)
	defer client.Close()
	events := client.Events(t.Context())
	session, err := client.OpenSession(cloud.Options(login))
	check(t, err)
	defer session.Close()
	audit := filepath.Join(t.TempDir(), "audit.ndjson")
	by := outlast.ServiceOptions{Profile: "SERVICE", ConfigFile: service.ConfigFile, Principal: "ann", AuditFile: audit}
	check(t, session.Service(by))
	if err := session.Service(by); !errors.Is(err, outlast.ErrInvalid) {
		t.Fatal(err)
	}
	// The user's files are gone: nothing renews the session, whose token ends within a second.
	check(t, os.Remove(login.KeyFile))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for found := ""; found != service.KeyID; {
		token, err := session.Token(ctx)
		check(t, err)
		found = token.Value
	}
	check(t, client.Close())
	handed := 0
	for event := range events {
		if event.Kind == outlast.EventHandedOver {
			handed++
			if event.Text != "SERVICE" || event.Principal != "ann" {
				t.Fatalf("%+v", event)
			}
		}
	}
	if handed != 1 {
		t.Fatalf("handed over %d times", handed)
	}
	if record, err := os.ReadFile(audit); err != nil || !strings.Contains(string(record), `"ann"`) {
		t.Fatalf("%s %v", record, err)
	}
}

func TestASupplierThatFails(t *testing.T) {
	cloud := cloudtest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	nobody := func(context.Context) (outlast.Credential, error) {
		return outlast.Credential{}, &outlast.Error{Code: outlast.ErrSignInNeeded, Message: "nobody is at home"}
	}
	session, err := outlast.OpenSession(outlast.SessionOptions{Endpoint: cloud.Endpoint, Supply: nobody})
	check(t, err)
	defer session.Close()
	if _, err := session.Token(ctx); !errors.Is(err, outlast.ErrSignInNeeded) || !strings.Contains(err.Error(), "nobody is at home") {
		t.Fatal(err)
	}
	var calls atomic.Int32
	moody := func(context.Context) (outlast.Credential, error) {
		if calls.Add(1) == 1 {
			panic("on purpose")
		}
		login := cloud.SignIn(time.Hour)
		token, _ := os.ReadFile(login.TokenFile)
		key, _ := os.ReadFile(login.KeyFile)
		return outlast.Credential{Token: string(token), PrivateKey: key}, nil
	}
	other, err := session.Client().OpenSession(outlast.SessionOptions{Endpoint: cloud.Endpoint, Supply: moody})
	check(t, err)
	defer other.Close()
	if _, err := other.Token(ctx); err != nil || calls.Load() != 2 {
		t.Fatalf("%v after %d calls", err, calls.Load())
	}
}

func TestDebugLinesHoldNoSecret(t *testing.T) {
	cloud := cloudtest.Start(t)
	var mu sync.Mutex
	var lines []string
	session := cloud.Session(time.Hour, &outlast.ClientOptions{Debug: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
		if len(lines) == 1 {
			panic("on purpose")
		}
	}})
	token, err := session.Token(t.Context())
	check(t, err)
	_, err = session.Namespace(t.Context())
	check(t, err)
	mu.Lock()
	defer mu.Unlock()
	if len(lines) == 0 || strings.Contains(strings.Join(lines, "\n"), token.Value) {
		t.Fatalf("%d lines", len(lines))
	}
}

func BenchmarkToken(b *testing.B) {
	cloud := cloudtest.Start(b)
	session := cloud.Session(time.Hour, nil)
	ctx := b.Context()
	_, err := session.Token(ctx)
	check(b, err)
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if _, err := session.Token(ctx); err != nil {
			b.Fatal(err)
		}
	}
	// On a busy machine the clock tells of the others; this does not.
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
