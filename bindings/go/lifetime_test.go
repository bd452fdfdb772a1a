package outlast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"outlast.example/go"
	"outlast.example/go/internal/cloudtest"
)

// until waits for something that happens elsewhere.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about that %s; threads %v", what, cloudtest.Threads(t))
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(time.Hour)
	ctx := t.Context()
	round := func() {
		session, err := outlast.OpenSession(cloud.Options(login))
		check(t, err)
		uploader := session.Uploader()
		for _, source := range []outlast.Source{outlast.Bytes(cloudtest.Random(mib)), outlast.Reader(strings.NewReader("a stream"))} {
			_, err = uploader.Upload(ctx, source, outlast.UploadOptions{BucketName: cloud.Bucket, Name: "left", PartSize: mib / 2})
			check(t, err)
		}
		upload, err := uploader.Start(ctx, outlast.Bytes(cloudtest.Random(mib)), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "unfinished", OnFailure: outlast.Abort})
		check(t, err)
		check(t, upload.Close())
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		_ = session.Refresh(short)
		cancel()
		check(t, session.Close())
	}
	round()
	before := runtime.NumGoroutine()
	for range 5 {
		round()
	}
	until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	until(t, "all threads of the library have ended", func() bool { return len(cloudtest.Threads(t)) == 0 })
}

func TestWhatIsForgottenIsClosed(t *testing.T) {
	cloud := cloudtest.Start(t)
	login := cloud.SignIn(time.Hour)
	forget := func() {
		session, err := outlast.OpenSession(cloud.Options(login))
		check(t, err)
		upload, err := session.Uploader().Start(t.Context(), outlast.Bytes(cloudtest.Random(mib)), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "forgotten"})
		check(t, err)
		if len(cloudtest.Threads(t)) == 0 {
			t.Error("there are no threads to be ended")
		}
		_, err = upload.Wait(t.Context())
		check(t, err)
	}
	forget()
	until(t, "the threads of a forgotten client have ended", func() bool {
		runtime.GC()
		return len(cloudtest.Threads(t)) == 0
	})
}

func TestSixtyFourGoroutinesOnOneSession(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(time.Hour, nil)
	ctx := t.Context()
	var together sync.WaitGroup
	for number := range 64 {
		together.Go(func() {
			for round := range 20 {
				token, err := session.Token(ctx)
				expect(t, err)
				switch (number + round) % 5 {
				case 0:
					_, err = session.Sign(ctx, outlast.Request{Method: "GET", URL: cloud.Endpoint + "/n/"})
				case 1:
					_, err = session.Status()
				case 2:
					err = session.Accept(token.Generation)
				case 3:
					expect(t, session.Hold())
					err = session.Release()
				case 4:
					_, err = session.Namespace(ctx)
				}
				expect(t, err)
			}
		})
	}
	together.Wait()
}

// TestUploadsUnderAHungryCollector keeps everything that is only alive by the library's word honest. With the tag
// outlast_gcstress each crossing of the boundary collects as well.
func TestUploadsUnderAHungryCollector(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	ctx := t.Context()
	var together sync.WaitGroup
	for number := range 6 {
		together.Go(func() {
			data := cloudtest.Random(mib)
			sources := []outlast.Source{outlast.Bytes(data), outlast.Reader(&stingy{data: data})}
			name := fmt.Sprintf("hungry-%d", number)
			result, err := uploader.Upload(ctx, sources[number%2], outlast.UploadOptions{
				BucketName: cloud.Bucket, Name: name, PartSize: mib / 4, Metadata: map[string]string{"number": name},
				Progress: func(outlast.Progress) { runtime.GC() },
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if !result.Verified || string(cloud.Stored(name)) != string(data) {
				t.Errorf("%s: the bytes stored are not those sent", name)
			}
		})
	}
	together.Wait()
}

func TestBadInputIsAnErrorAndNothingElse(t *testing.T) {
	cloud := cloudtest.Start(t)
	session := cloud.Session(time.Hour, nil)
	uploader, ctx := session.Uploader(), t.Context()
	closed, err := outlast.OpenSession(cloud.Options(cloud.SignIn(time.Hour)))
	check(t, err)
	upload, err := uploader.Start(ctx, outlast.Bytes(nil), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "ended"})
	check(t, err)
	_, err = upload.Wait(ctx)
	check(t, err)
	check(t, upload.Close())
	check(t, upload.Close())
	check(t, closed.Close())
	check(t, closed.Close())
	var (
		noClient   *outlast.Client
		noSession  *outlast.Session
		noUploader *outlast.Uploader
		noUpload   *outlast.Upload
		empty      = outlast.Bytes(nil)
	)
	start := func(source outlast.Source, options outlast.UploadOptions) error {
		if options.BucketName == "" {
			options.BucketName = cloud.Bucket
		}
		_, err := uploader.Upload(ctx, source, options)
		return err
	}
	open := func(options outlast.SessionOptions) error {
		_, err := session.Client().OpenSession(options)
		return err
	}
	second := func(_ any, err error) error { return err }
	supply := func(context.Context) (outlast.Credential, error) { return outlast.Credential{}, nil }
	for name, try := range map[string]struct {
		err  error
		code outlast.Code
	}{
		"closed session":         {second(closed.Token(ctx)), outlast.ErrInvalid},
		"closed session signs":   {second(closed.Sign(ctx, outlast.Request{Method: "GET", URL: cloud.Endpoint})), outlast.ErrInvalid},
		"closed session held":    {closed.Hold(), outlast.ErrInvalid},
		"closed session looked":  {second(closed.Status()), outlast.ErrInvalid},
		"closed session's name":  {second(closed.Namespace(ctx)), outlast.ErrInvalid},
		"closed session uploads": {second(closed.Uploader().Upload(ctx, empty, outlast.UploadOptions{Namespace: "n", BucketName: "b", Name: "x"})), outlast.ErrInvalid},
		"closed client":          {second(closed.Client().OpenSession(outlast.SessionOptions{})), outlast.ErrInvalid},
		"closed client's rate":   {closed.Client().LimitRate(1), outlast.ErrInvalid},
		"closed upload":          {second(upload.Progress()), outlast.ErrInvalid},
		"closed upload's result": {second(upload.Result()), outlast.ErrInvalid},
		"closed upload's pause":  {upload.Pause(), outlast.ErrInvalid},
		"no client":              {second(noClient.OpenSession(outlast.SessionOptions{})), outlast.ErrInvalid},
		"zero client":            {new(outlast.Client).LimitRate(1), outlast.ErrInvalid},
		"no session":             {second(noSession.Token(ctx)), outlast.ErrInvalid},
		"no session's name":      {second(noSession.Namespace(ctx)), outlast.ErrInvalid},
		"zero session":           {second(new(outlast.Session).Token(ctx)), outlast.ErrInvalid},
		"no uploader":            {second(noUploader.Upload(ctx, empty, outlast.UploadOptions{})), outlast.ErrInvalid},
		"zero uploader":          {second(new(outlast.Uploader).Upload(ctx, empty, outlast.UploadOptions{})), outlast.ErrInvalid},
		"no upload":              {second(noUpload.Wait(ctx)), outlast.ErrInvalid},
		"zero upload":            {new(outlast.Upload).Cancel(outlast.Abort), outlast.ErrInvalid},
		"no source":              {start(outlast.Source{}, outlast.UploadOptions{Name: "x"}), outlast.ErrInvalid},
		"nil reader":             {start(outlast.Reader(nil), outlast.UploadOptions{Name: "x"}), outlast.ErrInvalid},
		"nil reader-at":          {start(outlast.ReaderAt(nil, 1), outlast.UploadOptions{Name: "x"}), outlast.ErrInvalid},
		"negative size":          {start(outlast.ReaderAt(strings.NewReader(""), -1), outlast.UploadOptions{Name: "x"}), outlast.ErrInvalid},
		"huge size":              {start(outlast.ReaderAt(strings.NewReader("few"), math.MaxInt64), outlast.UploadOptions{Name: "x"}), outlast.ErrSource},
		"no file":                {start(outlast.File(t.TempDir()+"/none"), outlast.UploadOptions{}), outlast.ErrSource},
		"no path":                {start(outlast.File(""), outlast.UploadOptions{}), outlast.ErrInvalid},
		"a NUL in the path":      {start(outlast.File("a\x00b"), outlast.UploadOptions{}), outlast.ErrInvalid},
		"no name":                {start(empty, outlast.UploadOptions{}), outlast.ErrInvalid},
		"no UTF-8":               {start(empty, outlast.UploadOptions{Name: "\xff\xfe"}), outlast.ErrInvalid},
		"negative part":          {start(empty, outlast.UploadOptions{Name: "x", PartSize: -1}), outlast.ErrInvalid},
		"huge part":              {start(empty, outlast.UploadOptions{Name: "x", PartSize: math.MaxInt64}), outlast.ErrInvalid},
		"negative parallel":      {start(empty, outlast.UploadOptions{Name: "x", ParallelUploadCount: -1}), outlast.ErrInvalid},
		"huge parallel":          {start(empty, outlast.UploadOptions{Name: "x", ParallelUploadCount: math.MaxInt}), outlast.ErrInvalid},
		"unknown integrity":      {start(empty, outlast.UploadOptions{Name: "x", Integrity: "perhaps"}), outlast.ErrInvalid},
		"unknown checksum":       {start(empty, outlast.UploadOptions{Name: "x", OpcChecksumAlgorithm: "MD4"}), outlast.ErrInvalid},
		"unknown on-failure":     {start(empty, outlast.UploadOptions{Name: "x", OnFailure: "explode"}), outlast.ErrInvalid},
		"unknown tier":           {start(empty, outlast.UploadOptions{Name: "x", StorageTier: "Attic"}), outlast.ErrInvalid},
		"unknown cancel":         {upload.Cancel("explode"), outlast.ErrInvalid},
		"empty metadata name":    {start(empty, outlast.UploadOptions{Name: "x", Metadata: map[string]string{"": "x"}}), outlast.ErrInvalid},
		"negative interval":      {start(empty, outlast.UploadOptions{Name: "x", ProgressInterval: -1}), outlast.ErrInvalid},
		"no profile":             {open(outlast.SessionOptions{ConfigFile: t.TempDir() + "/none"}), outlast.ErrConfig},
		"bad endpoint":           {open(outlast.SessionOptions{Endpoint: "::", Supply: supply}), outlast.ErrInvalid},
		"supply and profile":     {open(outlast.SessionOptions{Endpoint: cloud.Endpoint, Profile: "P", Supply: supply}), outlast.ErrInvalid},
		"negative patience":      {open(outlast.SessionOptions{Endpoint: cloud.Endpoint, SupplyTimeout: -1, Supply: supply}), outlast.ErrInvalid},
		"title without supply":   {open(outlast.SessionOptions{Title: "x"}), outlast.ErrInvalid},
		"unknown method":         {second(session.Sign(ctx, outlast.Request{Method: "BREW", URL: cloud.Endpoint})), outlast.ErrInvalid},
		"no url":                 {second(session.Sign(ctx, outlast.Request{Method: "GET"})), outlast.ErrInvalid},
		"body without type":      {second(session.Sign(ctx, outlast.Request{Method: "POST", URL: cloud.Endpoint, SignBody: true})), outlast.ErrInvalid},
		"not held":               {session.Release(), outlast.ErrInvalid},
		"not supplied":           {session.Supply(outlast.Credential{}), outlast.ErrInvalid},
		"negative rate":          {session.Client().LimitRate(-1), outlast.ErrInvalid},
		"too many workers":       {second(outlast.NewClient(&outlast.ClientOptions{Workers: 257})), outlast.ErrInvalid},
		"no certificates":        {second(outlast.NewClient(&outlast.ClientOptions{CertBundle: t.TempDir() + "/none"})), outlast.ErrConfig},
		"negative timeout":       {second(outlast.NewClient(&outlast.ClientOptions{ReadTimeout: -1})), outlast.ErrInvalid},
	} {
		if !errors.Is(try.err, try.code) || strings.Contains(try.err.Error(), "\n") {
			t.Errorf("%s: %v, not %v", name, try.err, try.code)
		}
	}
	for range noClient.Events(ctx) {
		t.Error("an event of nobody")
	}
	for range noUpload.Events(ctx) {
		t.Error("an event of nothing")
	}
	var nothing []io.Closer = []io.Closer{noClient, noSession, noUploader, noUpload, new(outlast.Client), new(outlast.Session), new(outlast.Uploader), new(outlast.Upload)}
	for _, closer := range nothing {
		check(t, closer.Close())
	}
	if noSession.Number() != 0 || noUpload.Number() != 0 || noSession.Client() != nil || noUploader.Session() != nil || noUpload.Done() != nil || noUpload.Resumable() {
		t.Error("nothing answers as if it were something")
	}
}

func TestClosingInTheMiddle(t *testing.T) {
	cloud := cloudtest.Start(t)
	client, err := outlast.NewClient(&outlast.ClientOptions{LimitRate: mib / 2})
	check(t, err)
	session, err := client.OpenSession(cloud.Options(cloud.SignIn(time.Hour)))
	check(t, err)
	upload, err := session.Uploader().Start(t.Context(), outlast.Bytes(cloudtest.Random(8*mib)), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "middle", PartSize: mib})
	check(t, err)
	var together sync.WaitGroup
	closing := make(chan struct{})
	together.Go(func() {
		if _, err := upload.Wait(t.Context()); !errors.Is(err, outlast.ErrCancelled) {
			t.Errorf("%v", err)
		}
	})
	for range 8 {
		together.Go(func() {
			for {
				// Works until the client is closed, and fails afterwards; nothing else may happen.
				if _, err := session.Token(t.Context()); err != nil {
					if !errors.Is(err, outlast.ErrCancelled) && !errors.Is(err, outlast.ErrInvalid) {
						t.Errorf("%v", err)
					}
					return
				}
			}
		})
		together.Go(func() {
			<-closing
			expect(t, client.Close())
		})
	}
	last := make(chan outlast.EventKind, 1)
	events := client.Events(t.Context())
	together.Go(func() {
		var kind outlast.EventKind
		for event := range events {
			kind = event.Kind
		}
		last <- kind
	})
	for event := range upload.Events(t.Context()) {
		if event.Kind == outlast.EventPartStarted {
			break
		}
	}
	close(closing)
	together.Wait()
	if kind := <-last; kind != outlast.EventClosed {
		t.Errorf("the last event is %q", kind)
	}
	check(t, session.Close())
	check(t, upload.Close())
}
