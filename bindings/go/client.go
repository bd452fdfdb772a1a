package outlast

// #include "shim.h"
import "C"

import (
	"context"
	"iter"
	"os"
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"time"
)

// How long Close waits for uploads to write down what is stored.
const parting = 10 * time.Second

// ClientOptions says how a client is set up. Zero means default everywhere; names are those of the command line's flags.
type ClientOptions struct {
	// Workers is the number of threads that sign, encrypt and send; 0: 2. At most 256.
	Workers int
	// AllowHTTP allows plain http to other machines; to loopback it always is.
	AllowHTTP bool
	// ConnectionTimeout is the longest time for one connection attempt; 0: 10 s.
	ConnectionTimeout time.Duration
	// ReadTimeout is the longest time without a byte in either direction; 0: 60 s. Total time is not limited.
	ReadTimeout time.Duration
	// LimitRate is bytes per second over all uploads; 0: without limit.
	LimitRate int64
	// StateDir is the directory of upload journals; "": $XDG_STATE_HOME/outlast, else ~/.local/state/outlast.
	StateDir string
	// CertBundle is the path of a PEM file with further certificate authorities, besides the machine's own.
	CertBundle string
	// Proxy for all requests; "": what the environment says.
	Proxy string
	// OpcClientRequestID is sent with every request, for finding them in the service's logs; "": none.
	OpcClientRequestID string
	// Debug is told a line per request and per decision worth one, never a secret. It is called from several threads at once
	// and must not block for long.
	Debug func(line string)
}

// Client is threads, connections and a rate limit that sessions and uploads share.
type Client struct {
	hub *hub
}

// hub is what the draining goroutine knows of a client. It must not lead back to the Client, whose cleanup ends it.
type hub struct {
	handle *C.outlast_client
	queue  *C.outlast_queue
	// A duplicate of the queue's descriptor, for Go's poller.
	bell *os.File
	// Closed when the draining goroutine has ended.
	drained chan struct{}
	closing sync.Once
	closed  error
	// Set once the client is closed.
	over atomic.Bool

	mu        sync.Mutex
	last      uintptr
	listeners map[uintptr]listener
	logs      map[*eventLog]struct{}
}

// listener is a session or an upload; its number in the map is its user_data at the library.
type listener interface {
	hear(event Event)
}

// NewClient starts a client; options may be nil.
//
// Errors: [ErrInvalid] (an option), [ErrConfig] (certificate file), [ErrInternal] (no thread or descriptor left).
func NewClient(options *ClientOptions) (*Client, error) {
	if errABI != nil {
		return nil, errABI
	}
	if options == nil {
		options = &ClientOptions{}
	}
	fields := newFields()
	defer fields.free()
	raw := structOf[C.outlast_client_options](fields)
	raw.size = C.sizeof_outlast_client_options
	raw.workers = fields.u32("Workers", options.Workers)
	raw.allow_http = fields.flag(options.AllowHTTP)
	raw.connection_timeout_ms = fields.millis("ConnectionTimeout", options.ConnectionTimeout)
	raw.read_timeout_ms = fields.millis("ReadTimeout", options.ReadTimeout)
	raw.limit_rate = fields.u64("LimitRate", options.LimitRate)
	raw.state_dir = fields.text(options.StateDir)
	raw.cert_bundle = fields.text(options.CertBundle)
	raw.proxy = fields.text(options.Proxy)
	raw.opc_client_request_id = fields.text(options.OpcClientRequestID)
	if err := fields.failed(); err != nil {
		return nil, err
	}
	var slot *C.outlast_error
	var queue *C.outlast_queue
	if err := check(C.outlast_queue_new(&queue, &slot), slot); err != nil {
		return nil, err
	}
	bell, err := duplicate(C.outlast_queue_fd(queue))
	if err != nil {
		C.outlast_queue_free(queue)
		return nil, err
	}
	if options.Debug != nil {
		raw.debug_fn = C.outlast_debug_fn(C.outlast_go_debug)
		raw.debug_free_fn = C.outlast_free_fn(C.outlast_go_release)
		setNumber(&raw.debug_data, uintptr(cgo.NewHandle(debugFunc(options.Debug))))
	}
	var handle *C.outlast_client
	if err := check(C.outlast_client_new(raw, queue, &handle, &slot), slot); err != nil {
		_ = bell.Close()
		C.outlast_queue_free(queue)
		return nil, err
	}
	h := &hub{
		handle:    handle,
		queue:     queue,
		bell:      bell,
		drained:   make(chan struct{}),
		listeners: map[uintptr]listener{},
		logs:      map[*eventLog]struct{}{},
		// Numbers that Go would take for a nil pointer's neighbours are left out.
		last: 1 << 16,
	}
	go h.drain()
	client := &Client{hub: h}
	// Closing may take seconds, which other cleanups should not have to wait for.
	runtime.AddCleanup(client, func(h *hub) { go func() { _ = h.close() }() }, h)
	return client, nil
}

func duplicate(fd C.int32_t) (*os.File, error) {
	copied, err := C.outlast_go_duplicate(C.int(fd))
	if copied < 0 {
		return nil, &Error{Code: ErrInternal, Message: "watching for events", Retry: RetryLater, cause: err}
	}
	return os.NewFile(uintptr(copied), "outlast-events"), nil
}

// LimitRate changes the rate limit over all uploads, bytes per second; 0 is without limit. Takes effect at once.
func (c *Client) LimitRate(bytesPerSecond int64) error {
	h, err := c.open()
	if err != nil {
		return err
	}
	if bytesPerSecond < 0 {
		return invalid("a rate limit cannot be below 0")
	}
	var slot *C.outlast_error
	err = check(C.outlast_client_limit_rate(h.handle, C.uint64_t(bytesPerSecond), &slot), slot)
	runtime.KeepAlive(c)
	return err
}

// Events gives everything that happens to the client's sessions and uploads from now on, until the client is closed or the
// context ends. Each call sees all of it.
func (c *Client) Events(ctx context.Context) iter.Seq[Event] {
	h, err := c.open()
	if err != nil {
		return func(func(Event) bool) {}
	}
	log := newEventLog()
	h.mu.Lock()
	select {
	case <-h.drained:
		log.end()
	default:
		h.logs[log] = struct{}{}
	}
	h.mu.Unlock()
	return func(yield func(Event) bool) {
		defer func() {
			h.mu.Lock()
			delete(h.logs, log)
			h.mu.Unlock()
			runtime.KeepAlive(c)
		}()
		log.all(ctx)(yield)
	}
}

// Close puts all uploads to rest (kept for resuming) and ends the client's threads. Calls on its sessions and uploads fail
// afterwards; results that have come stay available. May be repeated.
//
// Errors: [ErrTimeout] when that took more than ten seconds; what was left is cut off.
func (c *Client) Close() error {
	if c == nil || c.hub == nil {
		return nil
	}
	err := c.hub.close()
	runtime.KeepAlive(c)
	return err
}

func (c *Client) open() (*hub, error) {
	stress()
	if c == nil || c.hub == nil {
		return nil, invalid("this client was not made by NewClient")
	}
	return c.hub, nil
}

func (h *hub) close() error {
	h.closing.Do(func() {
		var slot *C.outlast_error
		h.closed = check(C.outlast_client_close(h.handle, C.int64_t(parting/time.Millisecond), &slot), slot)
		h.over.Store(true)
		// The last events are queued by now, unless it timed out.
		if h.closed == nil {
			<-h.drained
		}
		_ = h.bell.Close()
		<-h.drained
		C.outlast_queue_free(h.queue)
		C.outlast_client_free(h.handle)
	})
	return h.closed
}

// drain takes events, waiting in Go's poller and not in a thread of its own, until the last one came.
func (h *hub) drain() {
	fields := newFields()
	raw := structOf[C.outlast_event](fields)
	raw.size = C.sizeof_outlast_event
	defer fields.free()
	defer h.end()
	ready, err := h.bell.SyscallConn()
	if err != nil {
		return
	}
	for {
		var status C.outlast_status
		err := ready.Read(func(uintptr) bool {
			status = C.outlast_queue_next(h.queue, 0, raw, nil)
			return status != C.OUTLAST_E_TIMEOUT
		})
		if err != nil || status != C.OUTLAST_OK {
			return
		}
		event, listener := convert(raw), number(&raw.user_data)
		C.outlast_event_clear(raw)
		h.tell(listener, event)
		if event.Kind == EventClosed {
			return
		}
	}
}

func (h *hub) tell(number uintptr, event Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for log := range h.logs {
		log.push(event, event.Kind == EventClosed)
	}
	if listener := h.listeners[number]; listener != nil {
		listener.hear(event)
		if event.Kind == EventFinished {
			delete(h.listeners, number)
		}
	}
}

// end tells everybody who listens that nothing will come any more.
func (h *hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for log := range h.logs {
		log.end()
	}
	for _, listener := range h.listeners {
		listener.hear(Event{Kind: EventClosed, Time: time.Now()})
	}
	h.listeners = nil
	close(h.drained)
}

// listen gives a number under which a listener hears its events.
func (h *hub) listen(listener listener) uintptr {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	if h.listeners != nil {
		h.listeners[h.last] = listener
	}
	return h.last
}

func (h *hub) forget(number uintptr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, number)
}
