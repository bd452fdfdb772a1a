//! Block buffers that are used again and again, so that a long upload touches the same few pages.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept for the next use; more are given back to the allocator.
const MOST_IDLE: usize = 64;

/// Lends buffers of one size.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    size: usize,
    idle: Mutex<Vec<Box<[u8]>>>,
}

impl Pool {
    /// A pool of buffers of `size` bytes each, empty at first.
    pub(crate) fn new(size: usize) -> Self {
        Pool(Arc::new(Shared { size, idle: Mutex::new(Vec::new()) }))
    }

    /// Bytes of each buffer.
    pub(crate) fn block_size(&self) -> usize {
        self.0.size
    }

    /// A buffer with unspecified content.
    pub(crate) fn take(&self) -> Buffer {
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = idle.unwrap_or_else(|| vec![0; self.0.size].into_boxed_slice());
        Buffer { memory, len: 0, pool: Arc::clone(&self.0) }
    }
}

/// A lent buffer of which the first `len` bytes count; goes back to its pool when the last [`Bytes`] made of it is
/// dropped.
pub(crate) struct Buffer {
    memory: Box<[u8]>,
    len: usize,
    pool: Arc<Shared>,
}

impl Buffer {
    /// The whole memory, to be written to.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// The first `len` bytes, shareable without copying. `len` is at most the buffer's size.
    pub(crate) fn freeze(mut self, len: usize) -> Bytes {
        self.len = len.min(self.memory.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_returns_with_the_last_slice() {
        let pool = Pool::new(8);
        let mut buffer = pool.take();
        buffer.memory()[..3].copy_from_slice(b"abc");
        let address = buffer.memory().as_ptr();
        let bytes = buffer.freeze(3);
        let slice = bytes.slice(1..);
        drop(bytes);
        assert_eq!(&slice[..], b"bc");
        assert_ne!(pool.take().memory().as_ptr(), address);
        drop(slice);
        let mut again = [pool.take(), pool.take()];
        assert!(again.iter_mut().any(|buffer| buffer.memory().as_ptr() == address));
    }
}
