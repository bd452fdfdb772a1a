package outlast

import (
	"context"
	"iter"
	"slices"
	"sync"
)

const (
	// Events kept for a reader that does not come; as many as the library keeps. Beyond that the oldest are dropped.
	mostKept = 1 << 16
	// How far back a progress event looks for the one it replaces.
	progressReach = 64
)

// eventLog keeps events until they are taken, each once.
type eventLog struct {
	mu     sync.Mutex
	events []Event
	ended  bool
	// Holds one token while there is something to look at.
	more chan struct{}
}

func newEventLog() *eventLog {
	return &eventLog{more: make(chan struct{}, 1)}
}

// push adds an event; the last one ends the log. Never blocks.
func (l *eventLog) push(event Event, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	if !l.replaceProgress(event) {
		if len(l.events) >= mostKept {
			if at := slices.IndexFunc(l.events, func(e Event) bool { return e.minor() }); at >= 0 {
				l.events = slices.Delete(l.events, at, at+1)
			}
		}
		l.events = append(l.events, event)
	}
	l.ended = last
	l.ring()
}

func (l *eventLog) replaceProgress(event Event) bool {
	if event.Kind != EventProgress {
		return false
	}
	for at := len(l.events) - 1; at >= max(0, len(l.events)-progressReach); at-- {
		if l.events[at].Kind == EventProgress && l.events[at].Upload == event.Upload {
			l.events[at] = event
			return true
		}
	}
	return false
}

func (l *eventLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.ring()
}

func (l *eventLog) ring() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// take gives the next event; more is false when there will be none any more.
func (l *eventLog) take() (event Event, found, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		if l.ended {
			l.ring() // for others who wait
		}
		return Event{}, false, !l.ended
	}
	event = l.events[0]
	l.events[0] = Event{}
	l.events = l.events[1:]
	if len(l.events) > 0 || l.ended {
		l.ring()
	}
	return event, true, true
}

// all gives events until the last one or until the context ends.
func (l *eventLog) all(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for {
			event, found, more := l.take()
			switch {
			case found:
				if !yield(event) {
					return
				}
			case !more:
				return
			default:
				select {
				case <-l.more:
				case <-ctx.Done():
					return
				}
			}
		}
	}
}
