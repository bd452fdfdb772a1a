//! The file that is uploaded.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use outlast_core::engine::checksum::{Hasher, Wanted};

/// Writes one: incompressible and cheap, a counter through a mixer.
pub(crate) fn write(path: &Path, mib: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0u8; 1 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..mib {
        for word in block.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.rotate_left(29).to_le_bytes());
        }
        file.write_all(&block)?;
    }
    Ok(())
}

/// Size, MD5 and CRC32C of a part.
type Sums = (u64, Option<[u8; 16]>, u32);

/// Those of each part.
pub(crate) fn checksums(path: &Path, part_mib: u64) -> io::Result<Vec<Sums>> {
    let mut file = File::open(path)?;
    let mut left = file.metadata()?.len();
    let mut parts = Vec::new();
    let mut block = vec![0; 1 << 20];
    while left > 0 {
        let size = left.min(part_mib << 20);
        let mut hasher = Hasher::new(Wanted { md5: true, crc32c: true, ..Wanted::default() });
        let mut rest = size;
        while rest > 0 {
            let take = usize::try_from(rest).unwrap_or(block.len()).min(block.len());
            file.read_exact(&mut block[..take])?;
            hasher.update(&block[..take]);
            rest -= take as u64;
        }
        let digests = hasher.finish();
        parts.push((size, digests.md5, digests.crc32c.unwrap_or_default()));
        left -= size;
    }
    Ok(parts)
}
