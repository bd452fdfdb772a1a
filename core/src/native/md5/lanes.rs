//! The compression function for several messages at once. The unsafe code of this folder is in this file.
#![allow(unsafe_code)]

use super::block::{self, BLOCK};

/// Messages that are worth hashing together; 1 where the processor has no vectors that we know how to use.
pub(super) fn most() -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return 16;
    }
    1
}

/// Takes the first `len` bytes of each message into its chaining value.
///
/// `len` is a multiple of [`BLOCK`] and no longer than any message. Any number of messages; up to [`most`] of them are
/// the cheaper the more they are.
pub(super) fn compress(lanes: &mut [([u32; 4], &[u8])], len: usize) {
    assert!(len.is_multiple_of(BLOCK) && lanes.iter().all(|(_, bytes)| bytes.len() >= len));
    #[cfg(target_arch = "x86_64")]
    if lanes.len() > 1 && std::arch::is_x86_feature_detected!("avx2") {
        return in_vectors(lanes, len, rotates());
    }
    for (state, bytes) in lanes {
        block::compress(state, &bytes[..len]);
    }
}

#[cfg(target_arch = "x86_64")]
fn rotates() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vl")
}

/// On a processor with AVX2, and with AVX-512VL where `rotate` is true.
#[cfg(target_arch = "x86_64")]
fn in_vectors(lanes: &mut [([u32; 4], &[u8])], len: usize, rotate: bool) {
    assert!(std::arch::is_x86_feature_detected!("avx2") && (!rotate || rotates()));
    for now in lanes.chunks_mut(16) {
        match now {
            [(state, bytes)] => block::compress(state, &bytes[..len]),
            // SAFETY: the processor has these features, as was just asked.
            _ if rotate && now.len() > 8 => unsafe { vectors::compress_avx512::<2>(now, len) },
            // SAFETY: as above.
            _ if rotate => unsafe { vectors::compress_avx512::<1>(now, len) },
            // SAFETY: the processor has AVX2, as was just asked.
            _ if now.len() > 8 => unsafe { vectors::compress::<2, false>(now, len) },
            // SAFETY: as above.
            _ => unsafe { vectors::compress::<1, false>(now, len) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_loadu_si256,
        _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi32,
        _mm256_setzero_si256, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
        _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
        _mm256_xor_si256,
    };

    use super::super::block::{BLOCK, SINES, steps};

    /// Messages in one vector.
    const LANES: usize = 8;

    /// The same for processors whose vectors rotate, and mix three at once: the compiler makes one instruction of what
    /// [`compress`] writes as two or three, once it stands in here.
    #[target_feature(enable = "avx2,avx512f,avx512vl")]
    pub(super) fn compress_avx512<const GROUPS: usize>(lanes: &mut [([u32; 4], &[u8])], len: usize) {
        // Nobody else calls this instance, so it is inlined.
        compress::<GROUPS, true>(lanes, len);
    }

    /// Up to 8 messages for each of `GROUPS` vectors. Two groups hide each other's latency: a step of one message waits
    /// for the step before it, and two chains fill the pauses.
    ///
    /// Missing lanes repeat the last message; their results are dropped.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn compress<const GROUPS: usize, const ROTATES: bool>(
        lanes: &mut [([u32; 4], &[u8])],
        len: usize,
    ) {
        let count = lanes.len();
        assert!(0 < count && count <= GROUPS * LANES);
        let at = |group: usize, lane: usize| (group * LANES + lane).min(count - 1);
        let gather = |variable: usize, group: usize| {
            let word = |lane| lanes[at(group, lane)].0[variable].cast_signed();
            _mm256_setr_epi32(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
        };
        let mut a: [__m256i; GROUPS] = std::array::from_fn(|group| gather(0, group));
        let mut b: [__m256i; GROUPS] = std::array::from_fn(|group| gather(1, group));
        let mut c: [__m256i; GROUPS] = std::array::from_fn(|group| gather(2, group));
        let mut d: [__m256i; GROUPS] = std::array::from_fn(|group| gather(3, group));
        let messages: [[&[u8]; LANES]; GROUPS] =
            std::array::from_fn(|group| std::array::from_fn(|lane| &lanes[at(group, lane)].1[..len]));
        let ones = _mm256_set1_epi32(-1);
        let mut words = [[_mm256_setzero_si256(); 16]; GROUPS];
        for start in (0..len).step_by(BLOCK) {
            for group in 0..GROUPS {
                words[group] = load(&messages[group], start);
            }
            let before = (a, b, c, d);
            macro_rules! mix {
                (f, $b:expr, $c:expr, $d:expr) => {
                    _mm256_xor_si256($d, _mm256_and_si256($b, _mm256_xor_si256($c, $d)))
                };
                (g, $b:expr, $c:expr, $d:expr) => {
                    _mm256_or_si256(_mm256_andnot_si256($d, $c), _mm256_and_si256($b, $d))
                };
                (h, $b:expr, $c:expr, $d:expr) => {
                    _mm256_xor_si256(_mm256_xor_si256($c, $d), $b)
                };
                (i, $b:expr, $c:expr, $d:expr) => {
                    _mm256_xor_si256($c, _mm256_or_si256($b, _mm256_xor_si256($d, ones)))
                };
            }
            macro_rules! step {
                ($f:ident, $a:ident, $b:ident, $c:ident, $d:ident, $word:expr, $left:literal, $sine:expr) => {
                    for group in 0..GROUPS {
                        let sine = _mm256_set1_epi32(SINES[$sine].cast_signed());
                        let sum = _mm256_add_epi32($a[group], _mm256_add_epi32(words[group][$word], sine));
                        let sum = _mm256_add_epi32(sum, mix!($f, $b[group], $c[group], $d[group]));
                        let high = _mm256_slli_epi32::<$left>(sum);
                        let low = _mm256_srli_epi32::<{ 32 - $left }>(sum);
                        $a[group] = _mm256_add_epi32(_mm256_or_si256(high, low), $b[group]);
                    }
                };
            }
            steps!(step, a, b, c, d);
            for group in 0..GROUPS {
                a[group] = _mm256_add_epi32(a[group], before.0[group]);
                b[group] = _mm256_add_epi32(b[group], before.1[group]);
                c[group] = _mm256_add_epi32(c[group], before.2[group]);
                d[group] = _mm256_add_epi32(d[group], before.3[group]);
            }
        }
        for group in 0..GROUPS {
            for (variable, vector) in [a[group], b[group], c[group], d[group]].into_iter().enumerate() {
                let mut spread = [0_u32; LANES];
                // SAFETY: `spread` is the 32 bytes of a vector; this store needs no alignment.
                unsafe { _mm256_storeu_si256(spread.as_mut_ptr().cast(), vector) };
                for (lane, (state, _)) in lanes.iter_mut().skip(group * LANES).take(LANES).enumerate() {
                    state[variable] = spread[lane];
                }
            }
        }
    }

    /// The block at `start` of eight messages: vector n holds word n of each.
    // Without closures here and below: they are not always inlined into code for these registers.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(messages: &[&[u8]; LANES], start: usize) -> [__m256i; 16] {
        let mut words = [_mm256_setzero_si256(); 16];
        for half in 0..2 {
            let at = start + half * 32;
            let mut rows = [_mm256_setzero_si256(); LANES];
            for lane in 0..LANES {
                let bytes = &messages[lane][at..at + 32];
                // SAFETY: `bytes` is the 32 bytes of a vector; this load needs no alignment.
                rows[lane] = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
            }
            let columns = transpose(rows);
            words[half * 8..half * 8 + 8].copy_from_slice(&columns);
        }
        words
    }

    /// Rows to columns, eight words by eight.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
        let (upper, lower) =
            (pairs(rows[0], rows[1], rows[2], rows[3]), pairs(rows[4], rows[5], rows[6], rows[7]));
        let mut columns = [_mm256_setzero_si256(); 8];
        for column in 0..4 {
            columns[column] = _mm256_permute2x128_si256::<0x20>(upper[column], lower[column]);
            columns[column + 4] = _mm256_permute2x128_si256::<0x31>(upper[column], lower[column]);
        }
        columns
    }

    /// Four rows' words n and n + 4, for n from 0 to 3.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pairs(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
        let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{START, finish};
    use super::*;
    use crate::engine::random::Random;
    use md5::{Digest as _, Md5};

    #[test]
    fn any_number_of_lanes_gives_the_crates_digests() {
        digests(compress);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_vector_that_this_processor_has_does() {
        if std::arch::is_x86_feature_detected!("avx2") {
            digests(|lanes, len| in_vectors(lanes, len, false));
        }
        if rotates() {
            digests(|lanes, len| in_vectors(lanes, len, true));
        }
    }

    fn digests(compress: impl Fn(&mut [([u32; 4], &[u8])], usize)) {
        let mut random = Random::new(5);
        for count in 0..=40_usize {
            let messages: Vec<Vec<u8>> = (0..count)
                .map(|_| (0..1024).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect())
                .collect();
            let mut lanes: Vec<([u32; 4], &[u8])> =
                messages.iter().map(|bytes| (START, &bytes[..])).collect();
            compress(&mut lanes, 0);
            compress(&mut lanes, 640);
            for (state, bytes) in &mut lanes {
                *bytes = &bytes[640..];
                assert_ne!(*state, START);
            }
            compress(&mut lanes, 384);
            for ((state, _), message) in lanes.iter().zip(&messages) {
                assert_eq!(finish(*state, &[], 1024)[..], Md5::digest(message)[..], "{count} lanes");
            }
        }
    }
}
