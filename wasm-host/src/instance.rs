//! A component at work: its memory, what it was granted, and the bounds of every call.
//!
//! The layer below [`crate::Client`], for hosts with a loop of their own: nothing happens here between calls.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outlast_core::{Error, ErrorKind};
use wasmtime::component::{ResourceAny, ResourceTable};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::IoView;

use crate::bindings::{sessions, uploads};
use crate::convert;
use crate::grants::{Folder, Grants};
use crate::limits::Limits;
use crate::plugin::Plugin;
use crate::sender::{Hooks, Sender};
use crate::stop::Stop;

/// Headers of one request or answer, bytes as WASI counts them.
const FIELDS: usize = 64 << 10;
/// A call that waits in the host is ended this much later than one that computes, so that the better reason is told.
const GRACE: Duration = Duration::from_millis(500);

/// What belongs to one instance on the host's side.
pub(crate) struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    table: ResourceTable,
    limits: StoreLimits,
    deadline: Instant,
    stop: Stop,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl IoView for State {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// One instance of a component. A call that traps, exceeds a limit or does not return in time ends it for good.
///
/// All methods must be called where a multi-threaded tokio runtime is entered, on a thread that may block: files are
/// read on the calling thread. Errors of every method: what the component says, and `Internal` once the instance has
/// ended; [`Instance::is_ended`] tells them apart.
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    plugin: Plugin,
    grants: Grants,
    overtime: Duration,
    ended: Option<Error>,
}

struct Exports {
    sessions: sessions::Guest,
    uploads: Option<uploads::Guest>,
}

/// A session of an instance.
#[derive(Clone, Copy, Debug)]
pub struct SessionHandle(ResourceAny);

/// An upload of an instance.
#[derive(Clone, Copy, Debug)]
pub struct UploadHandle(ResourceAny);

impl Instance {
    /// Errors: `InvalidInput` (a granted folder cannot be opened), `Internal`.
    pub async fn new(
        plugin: &Plugin,
        grants: Grants,
        limits: &Limits,
        sender: &Sender,
    ) -> Result<Instance, Error> {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        let state = State {
            wasi: wasi(&grants)?,
            http,
            hooks: Hooks::new(sender.clone(), Arc::new(grants.clone()), limits.response_bytes),
            table,
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory_bytes)
                // A component is several core modules: its own and the adapters of its imports.
                .instances(32)
                .memories(4)
                .tables(32)
                .table_elements(100_000)
                .trap_on_grow_failure(true)
                .build(),
            deadline: Instant::now(),
            stop: Stop::new(plugin.engine().clone()),
        };
        let mut store = Store::new(plugin.engine(), state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(|context| {
            let state = context.data();
            let ends = Instant::now() >= state.deadline || state.stop.is_asked();
            // Another instance of the same engine may be the one that is to end.
            Ok(if ends { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        let (indices, indices_uploads) = (plugin.sessions().clone(), plugin.uploads().cloned());
        let (ready, overtime) = (plugin.ready().clone(), limits.overtime);
        let exports = bounded(plugin, &mut store, overtime, async |store: &mut Store<State>| {
            let instance = ready.instantiate_async(&mut *store).await?;
            Ok(Exports {
                sessions: indices.load(&mut *store, &instance)?,
                uploads: indices_uploads.map(|indices| indices.load(&mut *store, &instance)).transpose()?,
            })
        });
        let exports = exports.await?;
        Ok(Instance { store, exports, plugin: plugin.clone(), grants, overtime, ended: None })
    }

    /// Whether it can still be called.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What ends it from another thread, whatever it is doing.
    pub fn stopper(&self) -> Stop {
        self.store.data().stop.clone()
    }

    /// Opens a further folder for the component.
    ///
    /// Errors: `InvalidInput` when the folder cannot be opened; what was granted before stays.
    pub fn grant(&mut self, folder: Folder) -> Result<(), Error> {
        let mut grants = self.grants.clone();
        if grants.add(folder) {
            self.store.data_mut().wasi = wasi(&grants)?;
            self.grants = grants;
        }
        Ok(())
    }

    /// `session.open`
    pub async fn open(&mut self, options: &sessions::SessionOptions) -> Result<SessionHandle, Error> {
        let answer = self.call(Duration::ZERO, async |store, exports| {
            exports.sessions.session().call_open(store, options).await
        });
        answer.await?.map(SessionHandle).map_err(convert::error)
    }

    /// `session.step`: moves everything of the session for about `budget`.
    pub async fn step(
        &mut self,
        session: SessionHandle,
        budget: Duration,
    ) -> Result<Vec<sessions::Notice>, Error> {
        self.call(budget, async |store, exports| {
            exports.sessions.session().call_step(store, session.0, nanos(budget)).await
        })
        .await
    }

    /// `session.status`
    pub async fn status(&mut self, session: SessionHandle) -> Result<sessions::SessionStatus, Error> {
        self.call(Duration::ZERO, async |store, exports| {
            exports.sessions.session().call_status(store, session.0).await
        })
        .await
    }

    /// `session.refresh`
    pub async fn refresh(&mut self, session: SessionHandle) -> Result<(), Error> {
        self.call(Duration::ZERO, async |store, exports| {
            exports.sessions.session().call_refresh(store, session.0).await
        })
        .await
    }

    /// `session.supply`
    pub async fn supply(
        &mut self,
        session: SessionHandle,
        credential: &sessions::Credential,
    ) -> Result<(), Error> {
        let answer = self.call(Duration::ZERO, async |store, exports| {
            exports.sessions.session().call_supply(store, session.0, credential).await
        });
        answer.await?.map_err(convert::error)
    }

    /// `session.decline`
    pub async fn decline(&mut self, session: SessionHandle, why: &sessions::Refusal) -> Result<(), Error> {
        self.call(Duration::ZERO, async |store, exports| {
            exports.sessions.session().call_decline(store, session.0, why).await
        })
        .await
    }

    /// `session.sign`: waits at most `budget` for a usable credential.
    pub async fn sign(
        &mut self,
        session: SessionHandle,
        request: &sessions::Request,
        budget: Duration,
    ) -> Result<sessions::SignedHeaders, Error> {
        let answer = self.call(budget, async |store, exports| {
            exports.sessions.session().call_sign(store, session.0, request, nanos(budget)).await
        });
        answer.await?.map_err(convert::error)
    }

    /// `session.token`: waits at most `budget` for a usable credential.
    pub async fn token(
        &mut self,
        session: SessionHandle,
        budget: Duration,
    ) -> Result<sessions::SessionToken, Error> {
        let answer = self.call(budget, async |store, exports| {
            exports.sessions.session().call_token(store, session.0, nanos(budget)).await
        });
        answer.await?.map_err(convert::error)
    }

    /// `session.report`
    pub async fn report(
        &mut self,
        session: SessionHandle,
        generation: u64,
        status: u16,
    ) -> Result<(), Error> {
        self.call(Duration::ZERO, async |store, exports| {
            exports.sessions.session().call_report(store, session.0, generation, status).await
        })
        .await
    }

    /// `upload.start`: the upload and its number in notices.
    pub async fn start(
        &mut self,
        session: SessionHandle,
        options: &uploads::UploadOptions,
    ) -> Result<(UploadHandle, u64), Error> {
        let answer = self.call_uploads(async |store, uploads| {
            let upload = match uploads.upload().call_start(&mut *store, session.0, options).await? {
                Ok(upload) => upload,
                Err(error) => return Ok(Err(error)),
            };
            Ok(Ok((UploadHandle(upload), uploads.upload().call_number(&mut *store, upload).await?)))
        });
        answer.await?.map_err(convert::error)
    }

    /// `upload.start-stream`: the upload and its number in notices.
    pub async fn start_stream(
        &mut self,
        session: SessionHandle,
        options: &uploads::UploadOptions,
    ) -> Result<(UploadHandle, u64), Error> {
        let answer = self.call_uploads(async |store, uploads| {
            let upload = match uploads.upload().call_start_stream(&mut *store, session.0, options).await? {
                Ok(upload) => upload,
                Err(error) => return Ok(Err(error)),
            };
            Ok(Ok((UploadHandle(upload), uploads.upload().call_number(&mut *store, upload).await?)))
        });
        answer.await?.map_err(convert::error)
    }

    /// `upload.write`: how many of the bytes were taken.
    pub async fn write(&mut self, upload: UploadHandle, bytes: &[u8]) -> Result<usize, Error> {
        let answer = self
            .call_uploads(async |store, uploads| uploads.upload().call_write(store, upload.0, bytes).await);
        let taken = answer.await?.map_err(convert::error)?;
        let taken = usize::try_from(taken).ok().filter(|taken| *taken <= bytes.len());
        taken.ok_or_else(|| Error::new(ErrorKind::Internal, "the component took more bytes than there were"))
    }

    /// `upload.finish`: the stream ends here.
    pub async fn finish(&mut self, upload: UploadHandle) -> Result<(), Error> {
        let answer =
            self.call_uploads(async |store, uploads| uploads.upload().call_finish(store, upload.0).await);
        answer.await?.map_err(convert::error)
    }

    /// `upload.progress`
    pub async fn progress(&mut self, upload: UploadHandle) -> Result<uploads::Progress, Error> {
        self.call_uploads(async |store, uploads| uploads.upload().call_progress(store, upload.0).await).await
    }

    /// `upload.outcome`
    pub async fn outcome(
        &mut self,
        upload: UploadHandle,
    ) -> Result<Option<Result<uploads::Outcome, Error>>, Error> {
        let answer =
            self.call_uploads(async |store, uploads| uploads.upload().call_outcome(store, upload.0).await);
        Ok(answer.await?.map(|ended| ended.map_err(convert::error)))
    }

    /// `upload.pause` or `upload.resume`
    pub async fn pause(&mut self, upload: UploadHandle, paused: bool) -> Result<(), Error> {
        self.call_uploads(async |store, uploads| {
            if paused {
                uploads.upload().call_pause(store, upload.0).await
            } else {
                uploads.upload().call_resume(store, upload.0).await
            }
        })
        .await
    }

    /// `upload.cancel`
    pub async fn cancel(
        &mut self,
        upload: UploadHandle,
        on_failure: uploads::OnFailure,
    ) -> Result<(), Error> {
        self.call_uploads(async |store, uploads| {
            uploads.upload().call_cancel(store, upload.0, on_failure).await
        })
        .await
    }

    /// Nobody asks about the upload any more; one that goes on is cancelled and kept for resuming.
    pub async fn forget(&mut self, upload: UploadHandle) -> Result<(), Error> {
        self.call(Duration::ZERO, async |store, _| upload.0.resource_drop_async(store).await).await
    }

    async fn call_uploads<T>(
        &mut self,
        act: impl AsyncFnOnce(&mut Store<State>, &uploads::Guest) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        if self.exports.uploads.is_none() {
            return Err(Error::new(ErrorKind::InvalidInput, "this component keeps sessions only"));
        }
        self.call(Duration::ZERO, async |store, exports| {
            act(store, exports.uploads.as_ref().expect("it was there a moment ago")).await
        })
        .await
    }

    async fn call<T>(
        &mut self,
        budget: Duration,
        act: impl AsyncFnOnce(&mut Store<State>, &Exports) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        if let Some(why) = &self.ended {
            return Err(why.clone());
        }
        let Instance { store, exports, .. } = self;
        let limit = budget.saturating_add(self.overtime);
        let answer =
            bounded(&self.plugin, store, limit, async |store: &mut Store<State>| act(store, exports).await);
        let answer = answer.await;
        if let Err(why) = &answer {
            self.ended = Some(why.clone());
        }
        answer
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("grants", &self.grants)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Carries out one call, for at most `limit`.
///
/// A guest that computes is stopped by the epoch, which another thread moves on; one that waits is left waiting.
async fn bounded<T>(
    plugin: &Plugin,
    store: &mut Store<State>,
    limit: Duration,
    act: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<T, Error> {
    let stop = store.data().stop.clone();
    // Asked for between two calls: short ones would never be reached by the epoch, nor outlast the grace.
    if stop.is_asked() {
        return Err(cut(limit, &stop));
    }
    store.data_mut().deadline = Instant::now() + limit;
    store.set_epoch_deadline(1);
    let engine = plugin.engine().clone();
    let watchdog = tokio::spawn(async move {
        tokio::time::sleep(limit).await;
        engine.increment_epoch();
    });
    let asked = async {
        tokio::select! {
            () = tokio::time::sleep(limit) => {}
            () = stop.asked() => {}
        }
        tokio::time::sleep(GRACE).await;
    };
    let answer = tokio::select! {
        biased;
        answer = act(store) => answer.map_err(|error| told(&error, limit, &stop)),
        () = asked => Err(cut(limit, &stop)),
    };
    watchdog.abort();
    answer
}

fn told(error: &wasmtime::Error, limit: Duration, stop: &Stop) -> Error {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => cut(limit, stop),
        Some(Trap::UnreachableCodeReached) => ended("it gave up on a defect of its own"),
        Some(trap) => ended(&trap.to_string()),
        None => ended(&error.root_cause().to_string()),
    }
}

fn cut(limit: Duration, stop: &Stop) -> Error {
    if stop.is_asked() {
        return ended("the host asked for it");
    }
    ended(&format!("it did not return within {} s", limit.as_secs_f32()))
}

fn ended(why: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the component was stopped: {why}"))
}

fn wasi(grants: &Grants) -> Result<WasiCtx, Error> {
    let mut builder = WasiCtxBuilder::new();
    builder.allow_blocking_current_thread(true);
    for folder in grants.folders() {
        let perms = if folder.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        builder.preopened_dir(&folder.host, &folder.name, perms).map_err(|error| {
            let line =
                format!("the folder {} cannot be opened: {}", folder.host.display(), error.root_cause());
            Error::new(ErrorKind::InvalidInput, line)
        })?;
    }
    Ok(builder.build())
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
