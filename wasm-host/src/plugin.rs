//! A compiled component that can be instantiated.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlast_core::{Error, ErrorKind};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{clocks, filesystem, random};
use wasmtime_wasi::random::WasiRandom;

use crate::bindings::{sessions, uploads};
use crate::cache::Cache;
use crate::instance::State;

/// Largest component that is loaded, bytes. The build refuses ours above 1 MiB.
const MAX_COMPONENT: u64 = 64 << 20;

/// A component with the contract `outlast:transfer`, compiled for this machine. Clones share it; any number of clients
/// can use it at once.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    engine: Engine,
    ready: InstancePre<State>,
    sessions: sessions::GuestIndices,
    uploads: Option<uploads::GuestIndices>,
}

/// How a component is loaded.
#[derive(Clone, Debug, Default)]
pub struct PluginOptions {
    /// Folder where compiled components are kept; made if needed, for this user only. `None` (default) compiles each
    /// time, which takes about a second.
    pub cache_dir: Option<PathBuf>,
}

impl Plugin {
    /// Loads the component of a file.
    ///
    /// Errors: `Config` (unreadable, no component, another contract), `Permission` (it asks for more than this host
    /// has), `State` (cache folder).
    pub fn load(path: impl AsRef<Path>, options: &PluginOptions) -> Result<Plugin, Error> {
        let path = path.as_ref();
        let unreadable = |why: String| {
            Error::new(ErrorKind::Config, format!("the component {} cannot be loaded: {why}", path.display()))
        };
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > MAX_COMPONENT {
            return Err(unreadable("it is larger than 64 MiB".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        Plugin::from_bytes(&bytes, options).map_err(|error| error.during(&path.display().to_string()))
    }

    /// Loads a component of these bytes. Blocks while it compiles.
    ///
    /// Errors: as [`Plugin::load`].
    pub fn from_bytes(bytes: &[u8], options: &PluginOptions) -> Result<Plugin, Error> {
        let engine = engine()?;
        let compiled = match &options.cache_dir {
            Some(dir) => Cache::open(dir)?.compile(&engine, bytes),
            None => Component::from_binary(&engine, bytes),
        };
        let component = compiled.map_err(|error| config("this is not a component", &error))?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(|error| internal(&error))?;
        let ready = linker.instantiate_pre(&component).map_err(|error| {
            let line = format!("the component asks for what this host does not grant: {error:#}");
            Error::new(ErrorKind::Permission, line)
        })?;
        let sessions = sessions::GuestIndices::new(&ready)
            .map_err(|error| config("the component has not the contract outlast:transfer@0.1.0", &error))?;
        // The smaller component, `outlast-keeper.wasm`, has sessions alone.
        let uploads = uploads::GuestIndices::new(&ready).ok();
        Ok(Plugin(Arc::new(Inner { engine, ready, sessions, uploads })))
    }

    /// Whether it can upload, or keep sessions only.
    pub fn has_uploads(&self) -> bool {
        self.0.uploads.is_some()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn ready(&self) -> &InstancePre<State> {
        &self.0.ready
    }

    pub(crate) fn sessions(&self) -> &sessions::GuestIndices {
        &self.0.sessions
    }

    pub(crate) fn uploads(&self) -> Option<&uploads::GuestIndices> {
        self.0.uploads.as_ref()
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("has_uploads", &self.has_uploads()).finish_non_exhaustive()
    }
}

fn engine() -> Result<Engine, Error> {
    let mut config = Config::new();
    // What ends a guest that computes without end.
    config.epoch_interruption(true);
    Engine::new(&config).map_err(|error| internal(&error))
}

/// Everything a component can import. Environment, arguments, standard streams and sockets are missing on purpose.
fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_io::add_to_linker_async(linker)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)?;
    random::random::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)
}

fn config(what: &str, error: &wasmtime::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{what}: {error:#}"))
}

fn internal(error: &wasmtime::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("wasmtime cannot be set up: {error:#}"))
}
