//! The compression function for one message, and the constants that all forms of it share (RFC 1321, 3.4).

/// Bytes of a block of the algorithm.
pub(super) const BLOCK: usize = 64;

/// The chaining value before the first block.
pub(super) const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// Integer parts of 2^32 times the absolute sine of 1, 2, 3 … 64 radians.
#[rustfmt::skip]
pub(super) const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// Calls `$step!(function, a, b, c, d, word, rotation, sine)` for the 64 steps, with the four variables in turn.
macro_rules! steps {
    ($step:ident, $a:ident, $b:ident, $c:ident, $d:ident) => {
        steps!(@round $step, f, $a, $b, $c, $d, 0, 7, 12, 17, 22,
            [0 1 2 3] [4 5 6 7] [8 9 10 11] [12 13 14 15]);
        steps!(@round $step, g, $a, $b, $c, $d, 16, 5, 9, 14, 20,
            [1 6 11 0] [5 10 15 4] [9 14 3 8] [13 2 7 12]);
        steps!(@round $step, h, $a, $b, $c, $d, 32, 4, 11, 16, 23,
            [5 8 11 14] [1 4 7 10] [13 0 3 6] [9 12 15 2]);
        steps!(@round $step, i, $a, $b, $c, $d, 48, 6, 10, 15, 21,
            [0 7 14 5] [12 3 10 1] [8 15 6 13] [4 11 2 9]);
    };
    (@round $step:ident, $f:ident, $a:ident, $b:ident, $c:ident, $d:ident, $first:literal,
        $s0:literal, $s1:literal, $s2:literal, $s3:literal, $w0:tt $w1:tt $w2:tt $w3:tt) => {
        steps!(@four $step, $f, $a, $b, $c, $d, $first, 0, $s0, $s1, $s2, $s3, $w0);
        steps!(@four $step, $f, $a, $b, $c, $d, $first, 4, $s0, $s1, $s2, $s3, $w1);
        steps!(@four $step, $f, $a, $b, $c, $d, $first, 8, $s0, $s1, $s2, $s3, $w2);
        steps!(@four $step, $f, $a, $b, $c, $d, $first, 12, $s0, $s1, $s2, $s3, $w3);
    };
    (@four $step:ident, $f:ident, $a:ident, $b:ident, $c:ident, $d:ident, $first:literal, $at:literal,
        $s0:literal, $s1:literal, $s2:literal, $s3:literal, [$w0:literal $w1:literal $w2:literal $w3:literal]) => {
        $step!($f, $a, $b, $c, $d, $w0, $s0, $first + $at);
        $step!($f, $d, $a, $b, $c, $w1, $s1, $first + $at + 1);
        $step!($f, $c, $d, $a, $b, $w2, $s2, $first + $at + 2);
        $step!($f, $b, $c, $d, $a, $w3, $s3, $first + $at + 3);
    };
}
pub(super) use steps;

/// Takes whole blocks of one message into its chaining value. `bytes` is a multiple of [`BLOCK`] long.
pub(super) fn compress(state: &mut [u32; 4], bytes: &[u8]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for block in bytes.chunks_exact(BLOCK) {
        let mut words = [0_u32; 16];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let before = [a, b, c, d];
        macro_rules! mix {
            (f, $b:ident, $c:ident, $d:ident) => {
                $d ^ ($b & ($c ^ $d))
            };
            // The two halves never share a bit, so a sum does for "or" and half of it need not wait for `b`.
            (g, $b:ident, $c:ident, $d:ident) => {
                ($c & !$d).wrapping_add($b & $d)
            };
            (h, $b:ident, $c:ident, $d:ident) => {
                $b ^ $c ^ $d
            };
            (i, $b:ident, $c:ident, $d:ident) => {
                $c ^ ($b | !$d)
            };
        }
        macro_rules! step {
            ($f:ident, $a:ident, $b:ident, $c:ident, $d:ident, $word:expr, $rotation:literal, $sine:expr) => {
                $a = $a.wrapping_add(words[$word]).wrapping_add(SINES[$sine]);
                $a = $a.wrapping_add(mix!($f, $b, $c, $d)).rotate_left($rotation).wrapping_add($b);
            };
        }
        steps!(step, a, b, c, d);
        a = a.wrapping_add(before[0]);
        b = b.wrapping_add(before[1]);
        c = c.wrapping_add(before[2]);
        d = d.wrapping_add(before[3]);
    }
    *state = [a, b, c, d];
}

/// The digest of a message of `len` bytes of which all but the last `tail` (fewer than a block) are in `state`.
pub(super) fn finish(mut state: [u32; 4], tail: &[u8], len: u64) -> [u8; 16] {
    let mut last = [0; 2 * BLOCK];
    last[..tail.len()].copy_from_slice(tail);
    last[tail.len()] = 0x80;
    let end = if tail.len() < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
    // Bits, modulo 2^64, as the specification says.
    last[end - 8..end].copy_from_slice(&len.wrapping_mul(8).to_le_bytes());
    compress(&mut state, &last[..end]);
    let mut digest = [0; 16];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};

    use super::*;

    #[test]
    fn every_length_up_to_four_blocks_is_the_crates() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            let mut state = START;
            let whole = len / BLOCK * BLOCK;
            compress(&mut state, &bytes[..whole]);
            let ours = finish(state, &bytes[whole..len], len as u64);
            assert_eq!(ours[..], Md5::digest(&bytes[..len])[..], "{len} bytes");
        }
    }
}
