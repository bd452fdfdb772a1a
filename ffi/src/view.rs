//! Memory that the host lends: texts, bytes, structs that begin with their size, out parameters.
//!
//! What the functions here rely on is promised at the head of the header, under "Pointers": a pointer is NULL or valid for
//! what its type and length say, for the duration of the call, and is not changed by another thread meanwhile.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::ptr;

use zeroize::Zeroize;

use crate::guard::Failure;

/// A borrowed text or run of bytes: UTF-8 unless told otherwise. `{NULL, 0}` is empty and means "not given".
///
/// Texts that this library returns are also NUL-terminated, the NUL not counted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_str {
    /// First byte.
    pub data: *const c_char,
    /// Bytes.
    pub len: usize,
}

impl outlast_str {
    /// `{NULL, 0}`
    pub(crate) const NONE: outlast_str = outlast_str { data: ptr::null(), len: 0 };
}

/// A text that is handed out: owned, NUL-terminated, and without NULs inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn new(text: &str) -> Text {
        let mut bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
        bytes.push(0);
        Text(bytes)
    }

    pub(crate) fn of(text: Option<&str>) -> Text {
        text.map_or_else(Text::default, Text::new)
    }

    /// Overwrites a text that was secret.
    pub(crate) fn wipe(&mut self) {
        self.0.zeroize();
    }

    /// A view that lives as long as the text is neither moved out of its owner nor dropped.
    pub(crate) fn view(&self) -> outlast_str {
        if self.0.is_empty() {
            return outlast_str::NONE;
        }
        outlast_str { data: self.0.as_ptr().cast(), len: self.0.len() - 1 }
    }
}

/// The bytes of a view.
///
/// # Safety
/// `view.data` is NULL or valid for reads of `view.len` bytes for as long as the result is used.
pub(crate) unsafe fn bytes<'a>(view: outlast_str) -> Result<&'a [u8], Failure> {
    // SAFETY: the same promise.
    unsafe { slice(view.data.cast(), view.len) }
}

/// `len` bytes at `data`.
///
/// # Safety
/// `data` is NULL or valid for reads of `len` bytes for as long as the result is used.
pub(crate) unsafe fn slice<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Failure> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::invalid("a NULL text or buffer has a length")),
        (false, _) if isize::try_from(len).is_err() => {
            Err(Failure::invalid("a length is larger than memory; was it negative?"))
        }
        // SAFETY: not NULL, not longer than memory, and the rest is the caller's promise.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data, len) }),
    }
}

/// `count` structs at `items`.
///
/// # Safety
/// `items` is NULL or aligned and valid for reads of `count` of them for as long as the result is used.
pub(crate) unsafe fn items<'a, T: Copy>(items: *const T, count: usize) -> Result<&'a [T], Failure> {
    // The service takes a few KiB of metadata; more items than this are a count that was not initialised.
    const MOST: usize = 1 << 16;
    match (items.is_null(), count) {
        (_, 0) => Ok(&[]),
        (false, 1..=MOST) if items.is_aligned() => {
            // SAFETY: not NULL, aligned, and the rest is the caller's promise.
            Ok(unsafe { std::slice::from_raw_parts(items, count) })
        }
        _ => Err(Failure::invalid("a list is NULL, not aligned or absurdly long")),
    }
}

/// A text option; `None` when it is not given. `what` names it in the error.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(view: outlast_str, what: &str) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the caller's promise is the same.
    let bytes = unsafe { bytes(view) }?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::invalid(&format!("{what} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(Failure::invalid(&format!("{what} contains a NUL")));
    }
    Ok(Some(text))
}

/// A path option: any bytes but NUL. `None` when it is not given.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn path(view: outlast_str, what: &str) -> Result<Option<PathBuf>, Failure> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: the caller's promise is the same.
    let bytes = unsafe { bytes(view) }?;
    if bytes.contains(&0) {
        return Err(Failure::invalid(&format!("{what} contains a NUL")));
    }
    Ok((!bytes.is_empty()).then(|| PathBuf::from(std::ffi::OsStr::from_bytes(bytes))))
}

/// A struct that begins with its size in bytes, a `usize`, and for which all zeros is a valid value.
///
/// # Safety
/// `#[repr(C)]`, the first field is `size: usize`, and every bit pattern of zeros is valid.
pub(crate) unsafe trait Sized1: Copy {
    /// Bytes of the struct in the first release: what every caller knows.
    const LEAST: usize;
    /// Its name, for errors.
    const NAME: &'static str;
}

/// Larger than any struct will ever be; whatever claims to be was not initialised.
const ABSURD: usize = 1 << 16;

/// Reads a struct that the caller filled; NULL means all defaults (zeros).
///
/// A caller built against a later header may have a longer struct; what this library does not know must be zero.
///
/// # Safety
/// `given` is NULL or valid for reads of the bytes that its `size` says, and at least of a `usize`.
pub(crate) unsafe fn read<T: Sized1>(given: *const T) -> Result<T, Failure> {
    let mut own = MaybeUninit::<T>::zeroed();
    if given.is_null() {
        // SAFETY: zeros are valid by `Sized1`.
        return Ok(unsafe { own.assume_init() });
    }
    // SAFETY: the struct begins with its size by `Sized1`; the caller promises that it is readable. It may be unaligned.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller promises `size` readable bytes; `own` has room for `known`, which is at most its size.
    unsafe { ptr::copy_nonoverlapping(given.cast::<u8>(), own.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: the caller promises `size` readable bytes, and `known` is at most that.
    let rest = unsafe { std::slice::from_raw_parts(given.cast::<u8>().add(known), size - known) };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Failure::invalid(&format!("{} sets an option that this library does not know", T::NAME)));
    }
    // SAFETY: zeros are valid by `Sized1`, and what was copied over them is plain data of the caller.
    Ok(unsafe { own.assume_init() })
}

fn check_size<T: Sized1>(size: usize) -> Result<(), Failure> {
    if (T::LEAST..=ABSURD).contains(&size) {
        return Ok(());
    }
    Err(Failure::invalid(&format!("{}.size is {size}; set it to sizeof({})", T::NAME, T::NAME)))
}

/// A struct that begins with its size, to be filled by this library.
pub(crate) struct Out<T: Sized1> {
    to: *mut T,
    size: usize,
}

impl<T: Sized1> Out<T> {
    /// Takes an out parameter; checks that the caller set its `size`.
    ///
    /// # Safety
    /// `to` is NULL or valid for reads and writes of the bytes that its `size` says, and at least of a `usize`.
    pub(crate) unsafe fn new(to: *mut T) -> Result<Out<T>, Failure> {
        if to.is_null() {
            return Err(Failure::invalid(&format!("the {} to be filled is NULL", T::NAME)));
        }
        // SAFETY: the struct begins with its size by `Sized1`; the caller promises that it is readable.
        let size = unsafe { to.cast::<usize>().read_unaligned() };
        check_size::<T>(size)?;
        Ok(Out { to, size })
    }

    /// Fills it: the fields that the caller knows, its size unchanged; what this library does not know stays as it is.
    pub(crate) fn fill(&self, value: &T) {
        let known = self.size.min(size_of::<T>());
        // SAFETY: by the promise of `new` there is room for `size` bytes; `value` has `known` bytes.
        unsafe {
            ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), self.to.cast::<u8>(), known);
            self.to.cast::<usize>().write_unaligned(self.size);
        }
    }
}

/// An out parameter of a plain type; may be NULL.
pub(crate) struct Slot<T>(*mut T);

impl<T: Copy> Slot<T> {
    /// # Safety
    /// `to` is NULL or valid for a write of a `T` until the call returns.
    pub(crate) unsafe fn new(to: *mut T) -> Slot<T> {
        Slot(to)
    }

    /// Fails when the caller passed NULL for an output that cannot be left out.
    pub(crate) fn needed(self, what: &str) -> Result<Slot<T>, Failure> {
        if self.0.is_null() {
            Err(Failure::invalid(&format!("the place for {what} is NULL")))
        } else {
            Ok(self)
        }
    }

    /// Whether nothing will be written.
    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Writes, unless it is NULL.
    pub(crate) fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not NULL, and the rest is the promise of `new`.
            unsafe { self.0.write_unaligned(value) };
        }
    }
}

/// A buffer to be filled.
pub(crate) struct Buffer {
    to: *mut c_char,
    capacity: usize,
}

impl Buffer {
    /// # Safety
    /// `to` is NULL or valid for writes of `capacity` bytes until the call returns.
    pub(crate) unsafe fn new(to: *mut c_char, capacity: usize) -> Buffer {
        Buffer { to, capacity: if to.is_null() { 0 } else { capacity } }
    }

    /// Copies a text and its NUL; false, and nothing written, when there is no room.
    pub(crate) fn fill(&self, text: &[u8]) -> bool {
        if self.capacity <= text.len() {
            return false;
        }
        // SAFETY: there is room for the text and one byte more by the promise of `new`.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), self.to.cast::<u8>(), text.len());
            self.to.add(text.len()).write(0);
        }
        true
    }

    /// Copies bytes that are no text, without a NUL; false, and nothing written, when there is no room.
    pub(crate) fn fill_bytes(&self, bytes: &[u8]) -> bool {
        if self.capacity < bytes.len() {
            return false;
        }
        // SAFETY: there is room by the promise of `new`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.to.cast::<u8>(), bytes.len()) };
        true
    }
}

/// Bytes lent by a thread that waits until they have been copied; see `writer.rs`.
pub(crate) struct Lent {
    data: *const u8,
    len: usize,
}

// SAFETY: the lender waits until the bytes are taken or withdrawn, under one lock with whoever copies.
unsafe impl Send for Lent {}

impl Lent {
    /// Lends bytes.
    ///
    /// # Safety
    /// The value must be dropped before `bytes` ends to live.
    pub(crate) unsafe fn new(bytes: &[u8]) -> Lent {
        Lent { data: bytes.as_ptr(), len: bytes.len() }
    }

    /// How many have not been copied yet.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies as many as there is room for and returns how many.
    pub(crate) fn copy_to(&mut self, to: &mut [u8]) -> usize {
        let count = self.len.min(to.len());
        // SAFETY: by the promise of `new` the bytes are alive, and `count` is at most what is left of them.
        unsafe {
            ptr::copy_nonoverlapping(self.data, to.as_mut_ptr(), count);
            self.data = self.data.add(count);
        }
        self.len -= count;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Two {
        size: usize,
        first: u64,
        second: u64,
    }

    // SAFETY: repr(C), size first, integers only.
    unsafe impl Sized1 for Two {
        const LEAST: usize = 16;
        const NAME: &'static str = "two";
    }

    #[repr(C)]
    struct Three {
        size: usize,
        first: u64,
        second: u64,
        third: u64,
    }

    fn read_three(three: &Three) -> Result<Two, Failure> {
        // SAFETY: `three` has the bytes that its size says.
        unsafe { read(ptr::from_ref(three).cast::<Two>()) }
    }

    #[test]
    fn older_and_newer_callers_are_understood() {
        let mut three = Three { size: 16, first: 1, second: 2, third: 0 };
        let old = read_three(&three).ok().expect("the first release's size");
        assert_eq!((old.first, old.second), (1, 0));
        three.size = 32;
        assert_eq!(read_three(&three).ok().expect("zeros are fine").second, 2);
        three.third = 1;
        assert!(read_three(&three).is_err());
        for size in [0, 15, usize::MAX] {
            three.size = size;
            assert!(read_three(&three).is_err(), "{size}");
        }
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { read::<Two>(ptr::null()) }.ok().expect("defaults").first, 0);
    }

    #[test]
    fn outputs_never_exceed_what_the_caller_knows() {
        let mut two = Two { size: 16, first: 7, second: 7 };
        // SAFETY: `two` has the 16 bytes that its size says.
        let out = unsafe { Out::new(&raw mut two) }.ok().expect("the size is known");
        out.fill(&Two { size: 24, first: 1, second: 2 });
        assert_eq!((two.size, two.first, two.second), (16, 1, 7));
    }

    #[test]
    fn texts_are_terminated_and_views_are_checked() {
        let text = Text::new("a\0b");
        assert_eq!(text.view().len, 2);
        // SAFETY: a view of a living text.
        assert_eq!(unsafe { super::text(text.view(), "x") }.ok().flatten(), Some("ab"));
        assert!(Text::default().view().data.is_null());
        let bad = |data: &[u8]| {
            let view = outlast_str { data: data.as_ptr().cast(), len: data.len() };
            // SAFETY: a view of a living slice.
            unsafe { super::text(view, "x") }.is_err()
        };
        assert!(bad(b"\xff") && bad(b"a\0"));
        // SAFETY: NULL is allowed, whatever the length; so is a length that cannot be.
        unsafe {
            assert!(bytes(outlast_str { data: ptr::null(), len: 1 }).is_err());
            assert!(bytes(outlast_str { data: c"x".as_ptr(), len: usize::MAX }).is_err());
        }
    }
}
