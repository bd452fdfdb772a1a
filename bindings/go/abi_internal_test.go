package outlast

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestAnotherABIIsRefused(t *testing.T) {
	if errABI != nil {
		t.Fatal(errABI)
	}
	err := checkABI(99)
	if !errors.Is(err, ErrInternal) || !strings.Contains(err.Error(), "has ABI 99") || !strings.Contains(err.Error(), "build both") {
		t.Fatal(err)
	}
	errABI = err
	defer func() { errABI = nil }()
	if _, made := NewClient(nil); made != err {
		t.Error(made)
	}
	if _, made := NewUploader(SessionOptions{}); made != err {
		t.Error(made)
	}
}

func TestTheLibraryIsTheOneOfThisRepository(t *testing.T) {
	manifest, err := os.ReadFile("../../Cargo.toml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manifest), `version = "`+Version()+`"`) {
		t.Errorf("version %s", Version())
	}
	if !HasFeature("session.sign-digest") || !HasFeature("upload.resume") || HasFeature("") || HasFeature("no.such\x00thing") {
		t.Error("features")
	}
}

// Every event kind and every error code of the header has a name here; the library's own names are the same.
func TestNamesAreThoseOfTheLibrary(t *testing.T) {
	header, err := os.ReadFile("../../include/outlast.h")
	if err != nil {
		t.Fatal(err)
	}
	if found := strings.Count(string(header), "#define OUTLAST_EVENT_"); found != len(eventKinds) {
		t.Errorf("the header has %d kinds of events, we know %d", found, len(eventKinds))
	}
	for _, kind := range eventKinds {
		constant := "#define OUTLAST_EVENT_" + strings.ToUpper(strings.ReplaceAll(string(kind), "-", "_")) + " "
		if !strings.Contains(string(header), constant) {
			t.Errorf("%q is not in the header", kind)
		}
	}
}

func TestEventsAreKeptUpToALimit(t *testing.T) {
	log := newEventLog()
	for number := range mostKept + 10 {
		log.push(Event{Kind: EventPartStarted, Part: number}, false)
	}
	for number := range 5 {
		log.push(Event{Kind: EventProgress, Bytes: int64(number)}, false)
	}
	log.push(Event{Kind: EventFinished}, true)
	log.push(Event{Kind: EventRemark}, false)
	var parts, progress int
	var last Event
	for event := range log.all(t.Context()) {
		last = event
		switch event.Kind {
		case EventPartStarted:
			parts++
		case EventProgress:
			progress++
			if event.Bytes != 4 {
				t.Errorf("an old progress was kept: %+v", event)
			}
		}
	}
	if parts != mostKept-2 || progress != 1 || last.Kind != EventFinished {
		t.Errorf("%d parts, %d progress, %+v", parts, progress, last)
	}
}
