//! Compiled components, kept between runs.
//!
//! A compiled component is machine code: whoever can write it can run anything as us. So the folder must belong to this
//! user and be closed to everybody else, files are made with mode 0600, and what does not begin with the checksum of
//! the rest (a torn write, a bad disk) is compiled anew. Names are made of the component's content and of everything
//! about the engine that its machine code depends on.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use outlast_core::{Error, ErrorKind};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the checksum at the beginning of a file.
const SUM: usize = 32;
/// Largest file that is read, bytes; ours has about 3 MiB.
const MAX_FILE: u64 = 256 << 20;

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// Makes the folder, or looks whether the one that is there can be trusted.
    ///
    /// Errors: `State`.
    pub(crate) fn open(dir: &Path) -> Result<Cache, Error> {
        let unusable = |why: &str| {
            let line = format!("the cache folder {} cannot be used: {why}", dir.display());
            Error::new(ErrorKind::State, line)
        };
        let told = |error: io::Error| unusable(&error.to_string());
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(told)?;
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(told(error)),
            _ => {}
        }
        let facts = std::fs::symlink_metadata(dir).map_err(told)?;
        if !facts.is_dir() {
            return Err(unusable("it is not a directory"));
        }
        if facts.uid() != rustix::process::geteuid().as_raw() {
            return Err(unusable("it belongs to another user"));
        }
        if facts.mode() & 0o077 != 0 {
            return Err(unusable("it is open to others; chmod 700 it or name another"));
        }
        Ok(Cache(dir.to_owned()))
    }

    /// The component of these bytes: the compiled one that is kept, or compiled now and kept. A cache that cannot be
    /// written is no error.
    ///
    /// Errors: whatever the compiler says about the bytes.
    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let path = self.0.join(format!("{}.component", name(engine, bytes)));
        if let Some(component) = load(engine, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        if let Ok(code) = component.serialize() {
            let _ = store(&path, &code);
        }
        Ok(component)
    }
}

fn name(engine: &Engine, bytes: &[u8]) -> String {
    let mut hash = Hash256(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    hash.0.update(Sha256::digest(bytes));
    format!("{:x}", hash.0.finalize())
}

/// The standard library's hashers differ from version to version, and 64 bits are too few for a name.
struct Hash256(Sha256);

impl Hasher for Hash256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
    }
}

#[allow(unsafe_code, reason = "machine code can only be loaded by trusting where it comes from")]
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    let code = read(path)?;
    // SAFETY: the code was written by `store` of this or an earlier process of this user (`read` has checked owner and
    // mode of the very file that was read, and its checksum), which got it from `Component::serialize` of an engine
    // whose compatibility hash is in the file's name. wasmtime itself checks version and settings once more.
    unsafe { Component::deserialize(engine, code) }.ok()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).ok()?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let facts = file.metadata().ok()?;
    let ours = facts.uid() == rustix::process::geteuid().as_raw() && facts.mode() & 0o077 == 0;
    if !facts.is_file() || !ours || facts.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).ok()?);
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    let sum = bytes.get(..SUM)?.to_vec();
    let code = bytes.split_off(SUM);
    (*Sha256::digest(&code) == *sum).then_some(code)
}

fn store(path: &Path, code: &[u8]) -> io::Result<()> {
    // Processes that compile the same at once each write a file of their own; the last name wins.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = |mut file: File| {
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        std::fs::rename(&temporary, path)
    };
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let written = made.and_then(write);
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The smallest component: it has nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn only_file(dir: &Path) -> PathBuf {
        let mut files: Vec<_> = std::fs::read_dir(dir).expect("our folder").collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0).expect("a file").path()
    }

    #[test]
    fn what_is_compiled_is_kept_for_its_owner_and_checked() {
        let top = tempfile::tempdir().expect("a temporary directory");
        let dir = top.path().join("a/cache");
        let cache = Cache::open(&dir).expect("a new folder");
        let engine = Engine::default();
        cache.compile(&engine, EMPTY).expect("it compiles");
        let file = only_file(&dir);
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
        assert!(load(&engine, &file).is_some());

        let mut bytes = std::fs::read(&file).expect("our file");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        std::fs::write(&file, &bytes).expect("our file");
        assert!(load(&engine, &file).is_none(), "damaged code is not run");
        cache.compile(&engine, EMPTY).expect("compiled anew");
        assert!(load(&engine, &file).is_some());

        std::fs::set_permissions(&file, Permissions::from_mode(0o620)).expect("our file");
        assert!(load(&engine, &file).is_none(), "others can write it");
        assert!(Cache::open(&dir).is_ok());
        std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("our folder");
        let error = Cache::open(&dir).expect_err("it is open to others");
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_component_are_told() {
        let top = tempfile::tempdir().expect("a temporary directory");
        let dir = top.path().join("cache");
        let cache = Cache::open(&dir).expect("a new folder");
        assert!(cache.compile(&Engine::default(), b"not wasm").is_err());
        assert_eq!(std::fs::read_dir(&dir).expect("our folder").count(), 0);
    }
}
