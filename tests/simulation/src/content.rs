//! The bytes of sources and objects: real ones for small sources, a sketch of them for huge ones.

use std::rc::Rc;

use outlast_core::engine::checksum::{Digests, Hasher, Wanted};
use outlast_core::engine::random::Random;

/// What a source holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Every byte.
    Bytes(Rc<[u8]>),
    /// A huge source: each range is stood for by sixteen bytes that depend on the range and the seed. Checksums are
    /// computed over those, so they differ wherever ranges or sources differ.
    Sketch {
        /// Which source.
        seed: u64,
        /// Bytes it stands for.
        size: u64,
    },
}

/// A range of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// First byte.
    pub offset: u64,
    /// Bytes in the range.
    pub len: u64,
    /// The bytes, or what stands for them.
    pub bytes: Rc<[u8]>,
}

impl Content {
    /// `size` random bytes.
    pub fn random(random: &mut Random, size: usize) -> Content {
        Content::Bytes((0..size).map(|_| random.bits().to_le_bytes()[0]).collect())
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Sketch { size, .. } => *size,
        }
    }

    /// Reads a range; `None` if the source does not have it all.
    pub fn read(&self, offset: u64, len: u64) -> Option<Chunk> {
        if offset.checked_add(len)? > self.size() {
            return None;
        }
        let bytes = match self {
            Content::Bytes(bytes) => {
                Rc::from(&bytes[usize::try_from(offset).ok()?..usize::try_from(offset + len).ok()?])
            }
            Content::Sketch { seed, .. } => {
                let mut random = Random::new(seed ^ offset.rotate_left(17) ^ len.rotate_left(41));
                let words = [random.bits().to_le_bytes(), random.bits().to_le_bytes()];
                Rc::from(words.concat())
            }
        };
        Some(Chunk { offset, len, bytes })
    }

    /// Whether an object of these chunks, in this order, is this content.
    pub fn equals(&self, chunks: &[Chunk]) -> bool {
        let mut end = 0;
        let same = chunks.iter().all(|chunk| {
            let expected = self.read(end, chunk.len);
            end += chunk.len;
            expected.is_some_and(|expected| expected.bytes == chunk.bytes)
        });
        same && end == self.size()
    }
}

impl Chunk {
    /// Checksums of the range.
    pub fn digests(&self, wanted: Wanted) -> Digests {
        let mut hasher = Hasher::new(wanted);
        hasher.update(&self.bytes);
        Digests { len: self.len, ..hasher.finish() }
    }

    /// The same range with other bytes.
    #[must_use]
    pub fn damaged(&self) -> Chunk {
        let mut bytes = self.bytes.to_vec();
        match bytes.first_mut() {
            Some(first) => *first ^= 0x40,
            // An empty range can only be damaged by growing.
            None => return Chunk { offset: self.offset, len: 1, bytes: Rc::from([7_u8].as_slice()) },
        }
        Chunk { offset: self.offset, len: self.len, bytes: bytes.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_equals_its_source_however_it_is_cut() {
        let content = Content::random(&mut Random::new(1), 10);
        let cut = |ranges: &[(u64, u64)]| -> Vec<Chunk> {
            ranges.iter().map(|(offset, len)| content.read(*offset, *len).unwrap()).collect()
        };
        assert!(content.equals(&cut(&[(0, 3), (3, 7)])));
        assert!(content.equals(&cut(&[(0, 10)])));
        assert!(!content.equals(&cut(&[(0, 3), (3, 6)])));
        assert!(!content.equals(&cut(&[(3, 7), (0, 3)])));
        assert!(!content.equals(&[content.read(0, 10).unwrap().damaged()]));
        assert!(content.read(5, 6).is_none());
    }

    #[test]
    fn a_sketch_differs_by_range_and_seed() {
        let a = Content::Sketch { seed: 1, size: 1 << 40 };
        let b = Content::Sketch { seed: 2, size: 1 << 40 };
        assert_ne!(a.read(0, 5).unwrap().bytes, a.read(0, 6).unwrap().bytes);
        assert_ne!(a.read(0, 5).unwrap().bytes, a.read(5, 5).unwrap().bytes);
        assert_ne!(a.read(0, 5).unwrap().bytes, b.read(0, 5).unwrap().bytes);
    }
}
