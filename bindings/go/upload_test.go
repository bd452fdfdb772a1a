package outlast_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"outlast.example/go"
	"outlast.example/go/internal/cloudtest"
)

const mib = cloudtest.MiB

var check, expect = cloudtest.Check, cloudtest.Expect

func TestEverySourceBecomesItsObject(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	path, data := cloudtest.WriteFile(t, "blob", 3*mib+7)
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	sources := map[string]outlast.Source{
		"file":      outlast.File(path),
		"bytes":     outlast.Bytes(data),
		"os-file":   outlast.ReaderAt(file, int64(len(data))),
		"reader-at": outlast.ReaderAt(bytes.NewReader(data), int64(len(data))),
		"begin":     outlast.ReaderAt(bytes.NewReader(data), mib+1),
		"reader":    outlast.Reader(bytes.NewReader(data)),
		"one-byte":  outlast.Reader(&stingy{data: data}),
		"empty":     outlast.Bytes(nil),
		"no-bytes":  outlast.Reader(strings.NewReader("")),
	}
	want := map[string][]byte{"begin": data[:mib+1], "empty": nil, "no-bytes": nil}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			wanted, special := want[name]
			if !special {
				wanted = data
			}
			result, err := uploader.Upload(t.Context(), source, outlast.UploadOptions{
				BucketName: cloud.Bucket, Name: name, PartSize: mib,
				ParallelUploadCount: outlast.ParallelAuto, VerifyChecksum: true, MaxRetries: 9,
			})
			check(t, err)
			if !bytes.Equal(cloud.Stored(name), wanted) {
				t.Fatal("the bytes stored are not those sent")
			}
			if !result.Verified || result.Size != int64(len(wanted)) || result.ETag == "" {
				t.Fatalf("%+v", result)
			}
		})
	}
}

// stingy gives odd numbers of bytes, sometimes none, and its last ones together with io.EOF.
type stingy struct {
	data  []byte
	calls int
}

func (s *stingy) Read(p []byte) (int, error) {
	s.calls++
	if s.calls%3 == 0 {
		return 0, nil
	}
	n := copy(p[:min(len(p), 100_003)], s.data)
	s.data = s.data[n:]
	if len(s.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestFiveTokenLivesWithProgress(t *testing.T) {
	cloud := cloudtest.Start(t)
	// 5 MiB at 256 KiB a second under tokens of four seconds.
	session := cloud.Session(4*time.Second, &outlast.ClientOptions{LimitRate: mib / 4})
	path, data := cloudtest.WriteFile(t, "blob", 5*mib)
	var seen []outlast.Progress
	generations := map[uint64]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	counted := make(chan struct{})
	events := session.Client().Events(ctx)
	go func() {
		defer close(counted)
		for event := range events {
			if event.Kind == outlast.EventPartStarted {
				generations[event.Generation] = true
			}
		}
	}()
	result, err := session.Uploader().Upload(ctx, outlast.File(path), outlast.UploadOptions{
		BucketName: cloud.Bucket, PartSize: mib / 4, ParallelUploadCount: 2,
		Progress: func(now outlast.Progress) { seen = append(seen, now) },
	})
	check(t, err)
	cancel()
	<-counted
	if result.Parts != 20 || !result.Verified {
		t.Errorf("%+v", result)
	}
	status, err := session.Status()
	check(t, err)
	if status.Refreshes < 4 || len(generations) < 5 {
		t.Errorf("%d refreshes, parts under %d tokens; five lives were wanted", status.Refreshes, len(generations))
	}
	if !bytes.Equal(cloud.Stored("blob"), data) {
		t.Error("the bytes stored are not those sent")
	}
	for index := 1; index < len(seen); index++ {
		if seen[index].Sent() < seen[index-1].Sent() {
			t.Errorf("progress went back from %d to %d", seen[index-1].Sent(), seen[index].Sent())
		}
	}
	if len(seen) < 10 || seen[len(seen)-1].Stored != 5*mib {
		t.Errorf("%d times told, last %+v", len(seen), seen[len(seen)-1])
	}
}

// slow is an uploader whose uploads of some MiB take seconds.
func slow(t *testing.T, cloud *cloudtest.Cloud) *outlast.Uploader {
	return cloud.Session(time.Hour, &outlast.ClientOptions{LimitRate: mib / 2}).Uploader()
}

func TestACancelledContextCancelsAndTheSameCallGoesOn(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := slow(t, cloud)
	path, data := cloudtest.WriteFile(t, "again", 4*mib)
	options := outlast.UploadOptions{BucketName: cloud.Bucket, PartSize: mib, ParallelUploadCount: 1}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	options.Progress = func(now outlast.Progress) {
		if now.PartsStored > 0 {
			cancel(enough)
		}
	}
	_, err := uploader.Upload(ctx, outlast.File(path), options)
	var failure *outlast.Error
	if !errors.As(err, &failure) || !errors.Is(err, outlast.ErrCancelled) || !errors.Is(err, context.Canceled) || !errors.Is(err, enough) {
		t.Fatalf("%v", err)
	}
	if !failure.Resumable || cloud.Has("again") || !cloud.Unfinished("again") {
		t.Fatalf("resumable %v, unfinished %v", failure.Resumable, cloud.Unfinished("again"))
	}
	check(t, uploader.Session().Client().LimitRate(0))
	options.Progress = nil
	result, err := uploader.Upload(t.Context(), outlast.File(path), options)
	check(t, err)
	if result.PartsReused < 1 || !bytes.Equal(cloud.Stored("again"), data) {
		t.Fatalf("%+v", result)
	}
}

func TestADeadlineAbortsWhenAskedTo(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := slow(t, cloud)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := uploader.Upload(ctx, outlast.Bytes(cloudtest.Random(4*mib)), outlast.UploadOptions{
		BucketName: cloud.Bucket, Name: "late", PartSize: mib, OnFailure: outlast.Abort,
	})
	var failure *outlast.Error
	if !errors.As(err, &failure) || !errors.Is(err, context.DeadlineExceeded) || !failure.Timeout() || failure.Resumable {
		t.Fatalf("%v", err)
	}
	if cloud.Has("late") || cloud.Unfinished("late") {
		t.Fatal("something is left at the service")
	}
}

func TestAContextThatHasEndedStartsNothing(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := uploader.Upload(ctx, outlast.Bytes(nil), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "never"}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if cloud.Has("never") {
		t.Fatal("an object was made")
	}
}

func TestAWaitEndsWithItsContextAndLeavesTheUploadAlone(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := slow(t, cloud)
	upload, err := uploader.Start(t.Context(), outlast.Bytes(cloudtest.Random(2*mib)), outlast.UploadOptions{
		BucketName: cloud.Bucket, Name: "patience", PartSize: mib, SourceName: "some bytes",
	})
	check(t, err)
	defer upload.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := upload.Wait(ctx); !errors.Is(err, outlast.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := upload.Result(); !errors.Is(err, outlast.ErrTimeout) {
		t.Fatal(err)
	}
	check(t, upload.Pause())
	check(t, upload.Resume())
	check(t, uploader.Session().Client().LimitRate(0))
	result, err := upload.Wait(t.Context())
	check(t, err)
	if again, err := upload.Result(); err != nil || *again != *result || result.Size != 2*mib {
		t.Fatalf("%+v and %+v, %v", result, again, err)
	}
	<-upload.Done()
}

func TestEventsTellTheWholeStory(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	ctx := t.Context()
	upload, err := uploader.Start(ctx, outlast.Bytes(cloudtest.Random(mib)), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "told", PartSize: mib / 4})
	check(t, err)
	defer upload.Close()
	counts := map[outlast.EventKind]int{}
	var last outlast.Event
	for event := range upload.Events(ctx) {
		counts[event.Kind]++
		last = event
		if event.Upload != upload.Number() && event.Session != uploader.Session().Number() {
			t.Errorf("not ours: %+v", event)
		}
	}
	if counts[outlast.EventStarted] != 1 || counts[outlast.EventPartStarted] < 4 || counts[outlast.EventPartStored] != 4 {
		t.Errorf("%v", counts)
	}
	if last.Kind != outlast.EventFinished || last.Err != nil || time.Since(last.Time) > time.Minute {
		t.Errorf("%+v", last)
	}
	for event := range upload.Events(ctx) {
		t.Errorf("told twice: %+v", event)
	}
}

func TestErrorsSayWhatTheServiceSaid(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	ctx := t.Context()
	_, err := uploader.Upload(ctx, outlast.Bytes([]byte("x")), outlast.UploadOptions{BucketName: "no-such-bucket", Name: "x"})
	var failure *outlast.Error
	if !errors.As(err, &failure) || !errors.Is(err, outlast.ErrNotFound) || errors.Is(err, outlast.ErrBusy) {
		t.Fatal(err)
	}
	if failure.HTTPStatus != 404 || failure.ServiceCode != "BucketNotFound" || failure.RequestID == "" || failure.Retry != outlast.RetryNever {
		t.Fatalf("%+v", failure)
	}
	once := outlast.UploadOptions{BucketName: cloud.Bucket, Name: "once", NoOverwrite: true}
	_, err = uploader.Upload(ctx, outlast.Bytes([]byte("x")), once)
	check(t, err)
	if _, err = uploader.Upload(ctx, outlast.Bytes([]byte("y")), once); !errors.Is(err, outlast.ErrPrecondition) {
		t.Fatal(err)
	}
	if wrapped := fmt.Errorf("backing up: %w", err); !errors.Is(wrapped, outlast.ErrPrecondition) {
		t.Fatal(wrapped)
	}
}

func TestBytesWithoutTheChecksumThatWasVouchedForAreNotStored(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	hello := outlast.Bytes([]byte("hello world"))
	for name, vouch := range map[string]func(o *outlast.UploadOptions, right bool){
		"md5": func(o *outlast.UploadOptions, right bool) {
			o.ContentMD5 = oneOf(right, "XrY7u+Ae7tCTyyK7j1rNww==", "1B2M2Y8AsgTpgAmY7PhCfg==")
		},
		"crc32c": func(o *outlast.UploadOptions, right bool) {
			o.OpcContentCRC32C = oneOf(right, "yZRlqg==", "AAAAAA==")
		},
		"sha256": func(o *outlast.UploadOptions, right bool) {
			o.OpcContentSHA256 = oneOf(right, "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		},
		"sha384": func(o *outlast.UploadOptions, right bool) {
			o.OpcContentSHA384 = oneOf(right, "/b2OdaZ/KfcBpOBAOF4uI5hjA+oQI5IRr5B/y7g1eLPkF8txzmRu/QgZ3YwIjeG9", strings.Repeat("A", 64))
		},
	} {
		options := outlast.UploadOptions{BucketName: cloud.Bucket, Name: name}
		vouch(&options, false)
		if _, err := uploader.Upload(t.Context(), hello, options); !errors.Is(err, outlast.ErrIntegrity) {
			t.Errorf("%s: %v", name, err)
		}
		if cloud.Has(name) {
			t.Errorf("%s was stored", name)
		}
		vouch(&options, true)
		_, err := uploader.Upload(t.Context(), hello, options)
		check(t, err)
		if stored := cloud.Stored(name); string(stored) != "hello world" {
			t.Errorf("%s holds %q", name, stored)
		}
		options.PartSize = 4
		if _, err := uploader.Upload(t.Context(), hello, options); !errors.Is(err, outlast.ErrInvalid) {
			t.Errorf("%s in parts: %v", name, err)
		}
	}
}

func oneOf(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func TestWhatAReaderFailsWithIsTheCause(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	torn := errors.New("the tape is torn")
	sources := map[string]struct {
		source outlast.Source
		cause  error
	}{
		"error": {outlast.Reader(io.MultiReader(bytes.NewReader(cloudtest.Random(mib)), failing{torn})), torn},
		"short": {outlast.ReaderAt(bytes.NewReader(cloudtest.Random(mib)), 2*mib), io.ErrUnexpectedEOF},
		"stuck": {outlast.Reader(failing{nil}), io.ErrNoProgress},
	}
	for name, try := range sources {
		t.Run(name, func(t *testing.T) {
			_, err := uploader.Upload(t.Context(), try.source, outlast.UploadOptions{BucketName: cloud.Bucket, Name: name, PartSize: mib})
			if !errors.Is(err, outlast.ErrSource) || !errors.Is(err, try.cause) {
				t.Fatalf("%v", err)
			}
			if cloud.Has(name) {
				t.Fatal("an object was made")
			}
		})
	}
	_, err := uploader.Upload(t.Context(), outlast.Reader(panicking{}), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "panic"})
	if !errors.Is(err, outlast.ErrSource) || !strings.Contains(err.Error(), "panicked: on purpose") {
		t.Fatal(err)
	}
	_, err = uploader.Upload(t.Context(), outlast.Reader(lying{}), outlast.UploadOptions{BucketName: cloud.Bucket, Name: "lie"})
	if !errors.Is(err, outlast.ErrSource) || !strings.Contains(err.Error(), "says that it read") {
		t.Fatal(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("on purpose") }

type lying struct{}

func (lying) Read(p []byte) (int, error) { return len(p) + 1, nil }

func TestWhatIsWrittenBecomesTheObject(t *testing.T) {
	cloud := cloudtest.Start(t)
	uploader := cloud.Session(time.Hour, nil).Uploader()
	data := cloudtest.Random(3*mib + 11)
	options := outlast.UploadOptions{BucketName: cloud.Bucket, Name: "written", PartSize: mib / 2, ParallelUploadCount: 2}
	writer, err := uploader.Writer(t.Context(), options)
	check(t, err)
	_, err = io.CopyBuffer(writer, struct{ io.Reader }{bytes.NewReader(data)}, make([]byte, 70_001))
	check(t, err)
	check(t, writer.Close())
	check(t, writer.Close())
	if !bytes.Equal(cloud.Stored("written"), data) {
		t.Error("the bytes stored are not those written")
	}
	if _, err := writer.Write([]byte("more")); !errors.Is(err, outlast.ErrInvalid) {
		t.Error(err)
	}

	options.Name = "abandoned"
	writer, err = uploader.Writer(t.Context(), options)
	check(t, err)
	_, err = writer.Write(data)
	check(t, err)
	check(t, writer.Abandon())
	if cloud.Has("abandoned") {
		t.Error("an object was made of what was abandoned")
	}

	options.BucketName, options.Name = "no-such-bucket", "x"
	writer, err = uploader.Writer(t.Context(), options)
	check(t, err)
	for err == nil {
		_, err = writer.Write(data)
	}
	if !errors.Is(err, outlast.ErrNotFound) || !errors.Is(writer.Close(), outlast.ErrNotFound) {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	writer, err = slow(t, cloud).Writer(ctx, outlast.UploadOptions{BucketName: cloud.Bucket, Name: "stopped", PartSize: mib / 2, ParallelUploadCount: 1})
	check(t, err)
	time.AfterFunc(300*time.Millisecond, cancel)
	for err == nil {
		_, err = writer.Write(data)
	}
	if !errors.Is(err, context.Canceled) || !errors.Is(writer.Close(), context.Canceled) {
		t.Error(err)
	}
	var none *outlast.ObjectWriter
	if _, err := none.Write(nil); !errors.Is(err, outlast.ErrInvalid) || none.Close() != nil || none.Upload() != nil {
		t.Error(err)
	}
}
