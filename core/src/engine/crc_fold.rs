//! CRC-32C for machines without an instruction for it, WebAssembly first of all.
//!
//! The check value of a message is the remainder of a division by the polynomial G, and a multiple of G may be added to
//! the message without changing it. G divides x^209 + x^144 + x^54 + x^39 + x^14 + 1 (found by search: no multiple with so few
//! terms is shorter). Squaring six times doubles every exponent six times, so G divides the same sum with 64-fold
//! exponents: a 64-bit word may be taken out of the message if it is added 65, 155, 170, 195 and 209 words later. That is five
//! exclusive-ors of whole words, for any number of words at once, where a table takes eight dependent look-ups; what is
//! left of the message in the end, 209 words, goes through the table.

/// Where a word that is taken out is added again, in words.
const AHEAD: [usize; 5] = [65, 155, 170, 195, 209];
/// Words that one look back needs, and that are left in the end.
const KEPT: usize = AHEAD[4];
/// Words taken out together: fewer than the nearest place where one is added again.
const BATCH: usize = 64;
/// Batches between two moves of the last words to the front.
const BATCHES: usize = 16;
/// Messages shorter than this are left to the table, bytes.
const SHORT: usize = 4 * KEPT * 8;

/// The checksum `crc` of some bytes, continued with further `bytes`.
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    if bytes.len() < SHORT {
        return crc32c::crc32c_append(crc, bytes);
    }
    let (words, _) = bytes.as_chunks::<8>();
    let out = (words.len() - KEPT) / BATCH * BATCH;
    // Words that have been taken out, the last `KEPT` of the ones before first.
    let mut taken = [0_u64; KEPT + BATCHES * BATCH];
    let mut end = KEPT;
    // What came before adds to the first four bytes.
    let mut before = u64::from(!crc);
    for batch in words[..out].as_chunks::<BATCH>().0 {
        if end == taken.len() {
            taken.copy_within(end - KEPT.., 0);
            end = KEPT;
        }
        let (done, rest) = taken.split_at_mut(end);
        take(batch, done, &mut rest[..BATCH]);
        rest[0] ^= std::mem::take(&mut before);
        end += BATCH;
    }
    let mut left = [0_u8; KEPT * 8];
    let (left_words, _) = left.as_chunks_mut::<8>();
    let last = &taken[end - KEPT..end];
    for (at, (left, word)) in left_words.iter_mut().zip(&words[out..]).enumerate() {
        let added =
            AHEAD.iter().filter(|ahead| at < **ahead).fold(0, |sum, ahead| sum ^ last[KEPT + at - ahead]);
        *left = (u64::from_le_bytes(*word) ^ added).to_le_bytes();
    }
    // The complement: the table begins with nothing before.
    let crc = crc32c::crc32c_append(!0, &left);
    crc32c::crc32c_append(crc, &bytes[(out + KEPT) * 8..])
}

/// Takes the words of `batch` out, with what those `done` before have added to them.
// Every host that runs components has it; one that had not would refuse the component, not miscompute.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn take(batch: &[[u8; 8]; BATCH], done: &[u64], taken: &mut [u64]) {
    let back = |ahead: usize| &done[done.len() - ahead..][..BATCH];
    let added = AHEAD.map(back);
    for (at, (taken, word)) in taken.iter_mut().zip(batch).enumerate() {
        *taken = added.iter().fold(u64::from_le_bytes(*word), |sum, back| sum ^ back[at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Random;

    fn below(random: &mut Random, end: usize) -> usize {
        usize::try_from(random.below(end as u64)).unwrap()
    }

    #[test]
    fn equals_the_table() {
        let mut random = Random::new(1);
        let bytes: Vec<u8> = (0..300_000).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let lengths = (SHORT - 2..SHORT + 1100).chain([bytes.len()]);
        let cuts = lengths.map(|len| (0, len)).collect::<Vec<_>>();
        let mut others = Vec::new();
        for _ in 0..300 {
            let start = below(&mut random, 100_000);
            others.push((start, start + below(&mut random, 200_000)));
        }
        for (start, end) in cuts.into_iter().chain(others) {
            let before = u32::try_from(random.bits() >> 32).unwrap();
            let bytes = &bytes[start..end];
            assert_eq!(append(before, bytes), crc32c::crc32c_append(before, bytes), "{start}..{end}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let mut bytes = vec![0_u8; SHORT + 1234];
        let nothing = append(0, &bytes);
        for at in 0..bytes.len() {
            bytes[at] = 1 << (at % 8);
            assert_ne!(append(0, &bytes), nothing);
            bytes[at] = 0;
        }
    }
}
