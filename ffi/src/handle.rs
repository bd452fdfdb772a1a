//! Handles: numbers in pointer's clothing, looked up in a table and never dereferenced.
//!
//! A number is never given out twice, so a handle that was freed, belongs to another kind, or is no handle at all is told
//! from a good one in every case, and using it is an error code instead of undefined behaviour. The price is a look into a
//! table under a read lock, about as much as two uncontended atomic operations. No unsafe code is needed.
//!
//! The numbers stay below 2^36, where no memory manager that a host might bring (Go's among them) keeps its heap.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::fork;
use crate::guard::Failure;

/// A kind of handle: the opaque C type, and what it stands for.
pub(crate) trait Handle {
    /// What it stands for.
    type Rust: Any + Send + Sync;
    /// Its name, for errors.
    const NAME: &'static str;
    /// Whether threads are behind it or may hold its locks: a forked child must not run its destructor then.
    const THREADS: bool;
}

/// Numbers are multiples of this, so that they look like aligned pointers.
const STEP: usize = 16;
/// The first number: above the page that is never mapped and the small integers that hosts make up.
const FIRST: usize = 1 << 16;
/// The end of the numbers; after four thousand million handles they begin anew, leaving out those in use.
#[cfg(target_pointer_width = "64")]
const END: usize = 1 << 36;
#[cfg(not(target_pointer_width = "64"))]
const END: usize = 1 << 31;

static TABLE: RwLock<Table> = RwLock::new(Table { objects: None, next: FIRST });

struct Table {
    /// `None` while there is no handle, so that nothing is left allocated when the last is freed.
    objects: Option<Objects>,
    next: usize,
}

type Objects = HashMap<usize, Object, BuildHasherDefault<Spread>>;

struct Object {
    value: Arc<dyn Any + Send + Sync>,
    name: &'static str,
    forks: u32,
}

/// Consecutive numbers need no better hash than a multiplication.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

fn read() -> RwLockReadGuard<'static, Table> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Table> {
    TABLE.write().unwrap_or_else(PoisonError::into_inner)
}

/// A new handle for `value`.
pub(crate) fn new<H: Handle>(value: Arc<H::Rust>) -> *mut H {
    fork::watch();
    let mut table = write();
    let Table { objects, next } = &mut *table;
    let objects = objects.get_or_insert_default();
    while objects.contains_key(next) {
        *next = following(*next);
    }
    let number = *next;
    *next = following(number);
    objects.insert(number, Object { value, name: H::NAME, forks: fork::count() });
    std::ptr::without_provenance_mut(number)
}

fn following(number: usize) -> usize {
    if number + STEP >= END { FIRST } else { number + STEP }
}

/// What a handle stands for.
///
/// Errors: `INVALID` (NULL, freed, another kind), `FORKED`.
pub(crate) fn get<H: Handle>(handle: *const H) -> Result<Arc<H::Rust>, Failure> {
    let table = read();
    let object = table.find(handle)?;
    Arc::clone(&object.value).downcast().map_err(|_| other::<H>(object.name))
}

/// Shows `look` what a handle stands for, without a share in it: for calls that are over at once.
///
/// The table is locked for reading meanwhile: `look` must neither block nor touch a handle.
/// Errors: as [`get`].
pub(crate) fn look<H: Handle, T>(handle: *const H, look: impl FnOnce(&H::Rust) -> T) -> Result<T, Failure> {
    let table = read();
    let object = table.find(handle)?;
    object.value.downcast_ref().map(look).ok_or_else(|| other::<H>(object.name))
}

impl Table {
    fn find<H: Handle>(&self, handle: *const H) -> Result<&Object, Failure> {
        let object = self.objects.as_ref().and_then(|objects| objects.get(&handle.addr()));
        let object = object.ok_or_else(|| unknown::<H>(handle))?;
        if object.forks == fork::count() { Ok(object) } else { Err(Failure::forked()) }
    }
}

/// What an optional handle stands for: NULL is `None`.
pub(crate) fn get_optional<H: Handle>(handle: *const H) -> Result<Option<Arc<H::Rust>>, Failure> {
    if handle.is_null() { Ok(None) } else { get(handle).map(Some) }
}

fn unknown<H: Handle>(handle: *const H) -> Failure {
    let name = H::NAME;
    if handle.is_null() {
        return Failure::invalid(&format!("the {name} is NULL"));
    }
    Failure::invalid(&format!("this {name} has been freed, or never was one"))
}

fn other<H: Handle>(name: &str) -> Failure {
    Failure::invalid(&format!("a handle of the kind {name} was given for one of the kind {}", H::NAME))
}

/// Ends a handle and gives what it stood for; `None` for NULL, for what is no handle of this kind, and in a forked child
/// (where what has threads behind it is forgotten: its destructor would talk to them).
pub(crate) fn take<H: Handle>(handle: *const H) -> Option<Arc<H::Rust>> {
    if handle.is_null() {
        return None;
    }
    let mut table = write();
    let objects = table.objects.as_mut()?;
    let object = objects.get(&handle.addr())?;
    if !object.value.is::<H::Rust>() {
        return None;
    }
    let object = objects.remove(&handle.addr())?;
    if objects.is_empty() {
        table.objects = None;
    }
    drop(table);
    if H::THREADS && object.forks != fork::count() {
        std::mem::forget(object.value);
        return None;
    }
    // Destructors run here or with the last call that still uses it, never under the table's lock.
    object.value.downcast().ok()
}

thread_local! {
    static HELD: RefCell<Option<RwLockWriteGuard<'static, Table>>> = const { RefCell::new(None) };
}

/// Keeps the table locked over a fork.
pub(crate) fn hold() {
    HELD.with(|held| *held.borrow_mut() = Some(write()));
}

/// The opposite of [`hold`], in both processes.
pub(crate) fn release() {
    HELD.with(|held| held.borrow_mut().take());
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;
    struct Other;

    impl Handle for One {
        type Rust = u32;
        const NAME: &'static str = "one";
        const THREADS: bool = false;
    }

    impl Handle for Other {
        type Rust = String;
        const NAME: &'static str = "other";
        const THREADS: bool = false;
    }

    #[test]
    fn only_the_living_of_the_right_kind_are_found() {
        let one = new::<One>(Arc::new(7));
        assert_eq!(get(one).ok().as_deref(), Some(&7));
        assert!(get::<Other>(one.cast()).is_err_and(|failure| failure.to_string().contains("kind one")));
        assert!(take::<Other>(one.cast()).is_none());
        assert_eq!(take(one).as_deref(), Some(&7));
        assert!(get(one).is_err_and(|failure| failure.to_string().contains("freed")));
        assert!(take(one).is_none());
        assert!(get::<One>(std::ptr::null()).is_err_and(|failure| failure.to_string().contains("NULL")));
        assert!(get::<One>(std::ptr::without_provenance(3)).is_err());
        assert_ne!(one, new::<One>(Arc::new(8)));
    }

    #[test]
    fn numbers_begin_anew_at_the_end() {
        assert_eq!(following(END - STEP), FIRST);
        assert_eq!(following(FIRST), FIRST + STEP);
    }
}
