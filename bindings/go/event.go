package outlast

// #include "shim.h"
import "C"

import (
	"fmt"
	"time"
)

// EventKind is what happened.
type EventKind string

// The kinds. Which fields of an [Event] mean something is said at each; all others are zero.
const (
	// EventRefreshed: a session has its first or next credential: Generation, Moment (its end), Exchanged.
	EventRefreshed EventKind = "refreshed"
	// EventRejected: a request was refused with 401; told once per Generation.
	EventRejected EventKind = "rejected"
	// EventRefreshFailed: the current credential is still in use: Err, Delay (until the next attempt).
	EventRefreshFailed EventKind = "refresh-failed"
	// EventHorizonLearned: the session cannot be extended beyond Moment.
	EventHorizonLearned EventKind = "horizon-learned"
	// EventExpiring: the credential ends at Moment and nothing on hand can extend it.
	EventExpiring EventKind = "expiring"
	// EventWillOutliveSession: at the present rate the upload ends (Moment) after its session does (Horizon).
	EventWillOutliveSession EventKind = "will-outlive-session"
	// EventParked: nothing is sent until somebody signs in; uploads wait until Moment (zero: without limit). Err says why.
	EventParked EventKind = "parked"
	// EventResumed: the session is usable again.
	EventResumed EventKind = "resumed"
	// EventClockSkew: server and local clock differ by Delay (server minus local); requests are dated by the server's.
	EventClockSkew EventKind = "clock-skew"
	// EventChainEnded: the chain of refresh tokens has ended; the current credential serves to its own end: Err.
	EventChainEnded EventKind = "chain-ended"
	// EventHandedOver: from now on a service's credential (Text) acts on behalf of Principal, whose session does not last: it
	// ends at Horizon, the work at Moment (each zero if it is not known).
	EventHandedOver EventKind = "handed-over"
	// EventCredentialWanted: a supplied session asked its function.
	EventCredentialWanted EventKind = "credential-wanted"
	// EventStarted: the upload has its plan: Text (the service's id of it; empty for a single request), Count (parts; 0 for a
	// single request and for streams), Bytes (part size), Part (parts found stored by an earlier run).
	EventStarted EventKind = "started"
	// EventPartStarted: Part is on its way under Generation.
	EventPartStarted EventKind = "part-started"
	// EventPartStored: Part (of Bytes) is stored and its checksums agree; Reused: by an earlier run.
	EventPartStored EventKind = "part-stored"
	// EventRetrying: Part (0: a control request) is tried again after Delay: Err, Count (failures so far).
	EventRetrying EventKind = "retrying"
	// EventPartHeld: Part was refused with 401 under Generation and waits for the next credential; it costs no retry.
	EventPartHeld EventKind = "part-held"
	// EventRemark: Text deserves a line and changes nothing.
	EventRemark EventKind = "remark"
	// EventPaused: the caller paused the upload.
	EventPaused EventKind = "paused"
	// EventUnpaused: the caller let the upload go on.
	EventUnpaused EventKind = "unpaused"
	// EventProgress: Bytes are stored or sent, of Total (0 while unknown). Of several that nobody took, the last is kept.
	EventProgress EventKind = "progress"
	// EventFinished: the upload has ended, its last event: Err (nil after success), Resumable.
	EventFinished EventKind = "finished"
	// EventClosed: the client is closed, its last event.
	EventClosed EventKind = "closed"
)

var eventKinds = map[C.uint32_t]EventKind{
	C.OUTLAST_EVENT_REFRESHED:            EventRefreshed,
	C.OUTLAST_EVENT_REJECTED:             EventRejected,
	C.OUTLAST_EVENT_REFRESH_FAILED:       EventRefreshFailed,
	C.OUTLAST_EVENT_HORIZON_LEARNED:      EventHorizonLearned,
	C.OUTLAST_EVENT_EXPIRING:             EventExpiring,
	C.OUTLAST_EVENT_WILL_OUTLIVE_SESSION: EventWillOutliveSession,
	C.OUTLAST_EVENT_PARKED:               EventParked,
	C.OUTLAST_EVENT_RESUMED:              EventResumed,
	C.OUTLAST_EVENT_CLOCK_SKEW:           EventClockSkew,
	C.OUTLAST_EVENT_CREDENTIAL_WANTED:    EventCredentialWanted,
	C.OUTLAST_EVENT_CHAIN_ENDED:          EventChainEnded,
	C.OUTLAST_EVENT_HANDED_OVER:          EventHandedOver,
	C.OUTLAST_EVENT_STARTED:              EventStarted,
	C.OUTLAST_EVENT_PART_STARTED:         EventPartStarted,
	C.OUTLAST_EVENT_PART_STORED:          EventPartStored,
	C.OUTLAST_EVENT_RETRYING:             EventRetrying,
	C.OUTLAST_EVENT_PART_HELD:            EventPartHeld,
	C.OUTLAST_EVENT_REMARK:               EventRemark,
	C.OUTLAST_EVENT_PAUSED:               EventPaused,
	C.OUTLAST_EVENT_UNPAUSED:             EventUnpaused,
	C.OUTLAST_EVENT_PROGRESS:             EventProgress,
	C.OUTLAST_EVENT_FINISHED:             EventFinished,
	C.OUTLAST_EVENT_CLOSED:               EventClosed,
}

// Event is something that happened to an upload or a session.
type Event struct {
	Kind EventKind
	// Time is when it was told.
	Time time.Time
	// Session and Upload are the numbers of what it is about, [Session.Number] and [Upload.Number]; 0 for none.
	Session, Upload uint64
	// Generation is that of the credential.
	Generation uint64
	// Bytes of a part, or stored and sent so far.
	Bytes int64
	// Total bytes of the object; 0 while unknown.
	Total int64
	// Part is a part's number, from 1.
	Part int
	// Count of something; see the kind.
	Count int
	// Moment; see the kind.
	Moment time.Time
	// Horizon is when the session ends.
	Horizon time.Time
	// Delay is a span; see the kind.
	Delay time.Duration
	// Reused: the part was stored by an earlier run and is not sent again.
	Reused bool
	// Resumable: the same upload, made again, goes on where this one stopped.
	Resumable bool
	// Exchanged: the credential was refreshed by this client; otherwise somebody else put it where it was read.
	Exchanged bool
	// Text is a line or a name; see the kind.
	Text string
	// Principal is on whose behalf a service acts.
	Principal string
	// Err is the failure, if there was one.
	Err *Error

	request uint64
}

// minor events may be dropped when nobody takes them.
func (e *Event) minor() bool {
	return e.Kind != EventFinished && e.Kind != EventClosed
}

// convert copies an event that is alive.
func convert(raw *C.outlast_event) Event {
	stress()
	kind, known := eventKinds[raw.kind]
	if !known {
		kind = EventKind(fmt.Sprintf("unknown-%d", raw.kind))
	}
	event := Event{
		Kind:       kind,
		Time:       moment(raw.time_unix_ms),
		Session:    uint64(raw.session),
		Upload:     uint64(raw.upload),
		Generation: uint64(raw.generation),
		Bytes:      int64(raw.bytes),
		Total:      int64(raw.total),
		Part:       int(raw.part),
		Count:      int(raw.count),
		Moment:     moment(raw.moment_unix_ms),
		Horizon:    moment(raw.horizon_unix_ms),
		Delay:      time.Duration(raw.delay_ms) * time.Millisecond,
		Reused:     raw.flags&C.OUTLAST_FLAG_REUSED != 0,
		Resumable:  raw.flags&C.OUTLAST_FLAG_RESUMABLE != 0,
		Exchanged:  raw.flags&C.OUTLAST_FLAG_EXCHANGED != 0,
		Text:       goText(raw.text),
		Principal:  goText(raw.principal),
		request:    uint64(raw.request),
	}
	if raw.error != nil {
		event.Err = describe(raw.status, raw.error)
		event.Err.Resumable = event.Resumable
	}
	return event
}
