//! The thread that turns a client's notices into events, and hands them to queues and the callback.
//!
//! Threads: one per client, `outlast-events`, blocking all signals. It calls the host's callback without holding a lock.
//! It ends when the client is closed and everything has been told.

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use outlast_core::engine::Notice;
use outlast_core::native::{self, Notices, Progress};

use crate::event::{Happening, OUTLAST_EVENT_CLOSED, OUTLAST_EVENT_FINISHED, let_go};
use crate::host::{OnEvent, Token};
use crate::queue::Queue;

/// How long a client that was freed without being closed may take to put its uploads to rest.
const LAST_WISH: Duration = Duration::from_secs(5);

/// What the thread and the handles share.
pub(crate) struct Hub {
    queue: Option<Arc<Queue>>,
    callback: Mutex<Option<Arc<OnEvent>>>,
    routes: Mutex<Routes>,
    inbox: Mutex<Inbox>,
    thread: OnceLock<Thread>,
    /// Joined by whoever closes first, once the thread has nothing left to do.
    handle: Mutex<Option<JoinHandle<()>>>,
    ended: Mutex<bool>,
    end: Condvar,
    /// `None` once there is nothing to hold any more.
    lifelines: Mutex<Option<Vec<Lifeline>>>,
}

/// Our end of a descriptor that holds the client, and the thread that waits for it to be closed.
struct Lifeline {
    end: UnixStream,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Inbox {
    events: VecDeque<Happening>,
    stop: bool,
    /// Set for good: whoever waits for the host need not wait any more.
    closing: bool,
}

/// Who wants to know of what.
#[derive(Default)]
pub(crate) struct Routes {
    uploads: HashMap<u64, Route>,
    sessions: HashMap<u64, Token>,
}

/// Where the events of one upload go.
pub(crate) struct Route {
    pub(crate) upload: native::Upload,
    /// Its own queue; the client's otherwise.
    pub(crate) queue: Option<Arc<Queue>>,
    pub(crate) user_data: Token,
    /// How often progress is told; zero: never.
    pub(crate) every: Duration,
    /// When it was told last, and what.
    pub(crate) told: Option<(Instant, Progress)>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub and its thread.
    ///
    /// Errors: no thread can be started.
    pub(crate) fn start(client: native::Client, queue: Option<Arc<Queue>>) -> std::io::Result<Arc<Hub>> {
        let hub = Arc::new(Hub {
            queue,
            callback: Mutex::default(),
            routes: Mutex::default(),
            inbox: Mutex::default(),
            thread: OnceLock::new(),
            handle: Mutex::default(),
            ended: Mutex::new(false),
            end: Condvar::new(),
            lifelines: Mutex::new(Some(Vec::new())),
        });
        let notices = client.subscribe();
        let shared = Arc::clone(&hub);
        let handle = native::spawn_quiet("outlast-events", move || shared.run(&client, &notices))?;
        let _ = hub.thread.set(handle.thread().clone());
        *lock(&hub.handle) = Some(handle);
        Ok(hub)
    }

    /// Tells something that no notice tells.
    pub(crate) fn post(&self, event: Happening) {
        lock(&self.inbox).events.push_back(event);
        self.wake();
    }

    /// Sets or removes the callback. The old one's data is freed when it is not being called any more.
    pub(crate) fn set_callback(&self, callback: Option<OnEvent>) {
        let old = std::mem::replace(&mut *lock(&self.callback), callback.map(Arc::new));
        drop(old);
    }

    /// Makes known where events go, while no event is handed out.
    pub(crate) fn route<T>(&self, change: impl FnOnce(&mut Routes) -> T) -> T {
        let result = change(&mut lock(&self.routes));
        self.wake();
        result
    }

    /// Asks the thread to close the client and to end. Does not wait.
    pub(crate) fn stop(&self) {
        let mut inbox = lock(&self.inbox);
        (inbox.stop, inbox.closing) = (true, true);
        drop(inbox);
        self.wake();
    }

    /// A descriptor whose end is the client's.
    ///
    /// Errors: no descriptor or thread is left.
    pub(crate) fn lifeline(self: &Arc<Self>) -> std::io::Result<OwnedFd> {
        let (theirs, mut ours) = UnixStream::pair()?;
        let mut lifelines = lock(&self.lifelines);
        // Nothing to hold any more: theirs is at its end.
        let Some(all) = lifelines.as_mut() else { return Ok(theirs.into()) };
        let (end, hub) = (ours.try_clone()?, Arc::downgrade(self));
        let thread = native::spawn_quiet("outlast-line", move || {
            // Whatever is written to it means nothing.
            while matches!(ours.read(&mut [0; 64]), Ok(1..)) {}
            if let Some(hub) = hub.upgrade() {
                hub.stop();
            }
        })?;
        all.push(Lifeline { end, thread });
        Ok(theirs.into())
    }

    /// Ends the lifelines' threads.
    fn let_go_of_lifelines(&self) {
        let all = lock(&self.lifelines).take().unwrap_or_default();
        for Lifeline { end, thread } in all {
            let _ = end.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }

    /// The client is being closed by somebody else.
    pub(crate) fn closing(&self) {
        lock(&self.inbox).closing = true;
    }

    /// Whether the client is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.inbox).closing
    }

    /// Whether this is the hub's own thread, that is, inside a callback.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == std::thread::current().id())
    }

    /// Waits until everything has been told and the thread has ended; false if that took longer.
    pub(crate) fn wait_ended(&self, timeout: Duration) -> bool {
        let ended = lock(&self.ended);
        let ended = self.end.wait_timeout_while(ended, timeout, |ended| !*ended);
        let ended = *ended.unwrap_or_else(PoisonError::into_inner).0;
        let handle = if ended { lock(&self.handle).take() } else { None };
        if let Some(handle) = handle {
            // It has nothing left to do but to return.
            let _ = handle.join();
        }
        ended
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn run(&self, client: &native::Client, notices: &Notices) {
        let _ = self.thread.set(std::thread::current());
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            let posted = std::mem::take(&mut lock(&self.inbox).events);
            for event in posted {
                self.tell(event);
            }
            match pin!(notices.next()).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(notice)) => self.notice(&notice),
                Poll::Ready(None) => break,
                Poll::Pending => {
                    if std::mem::take(&mut lock(&self.inbox).stop) {
                        // What it has to say of its uploads is waiting among the notices.
                        let _ = client.close(LAST_WISH);
                        continue;
                    }
                    match self.tell_progress() {
                        Some(wait) => std::thread::park_timeout(wait),
                        None => std::thread::park(),
                    }
                }
            }
        }
        let posted = std::mem::take(&mut lock(&self.inbox).events);
        for event in posted {
            self.tell(event);
        }
        self.tell(Happening::new(OUTLAST_EVENT_CLOSED));
        self.set_callback(None);
        self.route(|routes| routes.uploads.clear());
        self.let_go_of_lifelines();
        *lock(&self.ended) = true;
        self.end.notify_all();
    }

    fn notice(&self, notice: &Notice) {
        let Some(event) = Happening::of(notice) else { return };
        if event.kind == OUTLAST_EVENT_FINISHED {
            // Whoever is told of the end finds the result; it is settled within the driver's same turn.
            let upload = lock(&self.routes).uploads.get(&event.upload).map(|route| route.upload.clone());
            upload.and_then(|upload| upload.wait_timeout(LAST_WISH));
            // Whoever draws a bar wants to see it full.
            let last = lock(&self.routes)
                .uploads
                .get_mut(&event.upload)
                .and_then(|route| route.progress(event.upload));
            if let Some(last) = last {
                self.tell(last);
            }
        }
        self.tell(event);
    }

    fn tell(&self, mut event: Happening) {
        let mut routes = lock(&self.routes);
        let mut queues: Vec<Arc<Queue>> = Vec::new();
        if event.upload == 0 {
            queues.extend(self.queue.clone());
            if let Some(data) = routes.sessions.get(&event.session) {
                event.user_data = *data;
            }
            // What happens to its session happens to the upload.
            let of_session =
                routes.uploads.values().filter(|route| route.upload.session().id().0 == event.session);
            let of_session = of_session.filter_map(|route| route.queue.as_ref());
            for queue in of_session {
                if !queues.iter().any(|known| Arc::ptr_eq(known, queue)) {
                    queues.push(Arc::clone(queue));
                }
            }
        } else if let Some(route) = routes.uploads.get(&event.upload) {
            event.user_data = route.user_data;
            queues.extend(route.queue.clone().or_else(|| self.queue.clone()));
            if event.kind == OUTLAST_EVENT_FINISHED {
                routes.uploads.remove(&event.upload);
            }
        } else {
            queues.extend(self.queue.clone());
        }
        drop(routes);
        for queue in queues {
            queue.push(event.clone());
        }
        let callback = lock(&self.callback).clone();
        if let Some(callback) = callback {
            let event = event.expose();
            callback.call(&event);
            let_go(&event);
        }
    }

    /// Tells the progress that is due; how long until the next is.
    fn tell_progress(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut wait: Option<Duration> = None;
        for (number, route) in
            lock(&self.routes).uploads.iter_mut().filter(|(_, route)| !route.every.is_zero())
        {
            let left = route
                .told
                .map_or(Duration::ZERO, |(at, _)| (at + route.every).saturating_duration_since(now));
            if left.is_zero() {
                due.extend(route.progress(*number));
            }
            let left = if left.is_zero() { route.every } else { left };
            wait = Some(wait.map_or(left, |wait| wait.min(left)));
        }
        for event in due {
            self.tell(event);
        }
        wait
    }
}

impl Route {
    /// The progress, if it is to be told and differs from what was told last.
    fn progress(&mut self, number: u64) -> Option<Happening> {
        if self.every.is_zero() {
            return None;
        }
        let progress = self.upload.progress();
        let event = Happening::progress(number, &progress);
        let stale = self.told.is_some_and(|(_, told)| {
            let told = Happening::progress(number, &told);
            (told.bytes, told.total) == (event.bytes, event.total)
        });
        self.told = Some((Instant::now(), progress));
        (!stale).then_some(event)
    }
}

impl Routes {
    /// Adds an upload.
    pub(crate) fn add_upload(&mut self, route: Route) {
        self.uploads.insert(route.upload.number().0, route);
    }

    /// Adds a session's user data.
    pub(crate) fn add_session(&mut self, number: u64, user_data: Token) {
        self.sessions.insert(number, user_data);
    }

    /// Forgets a session.
    pub(crate) fn remove_session(&mut self, number: u64) {
        self.sessions.remove(&number);
    }
}
