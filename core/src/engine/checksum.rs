//! The checksums the service speaks, computed in one pass and combined as the service combines them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Sha256, Sha384};

/// Which checksums to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four independent algorithms")]
pub struct Wanted {
    /// MD5: always spoken by the service.
    pub md5: bool,
    /// CRC-32C.
    pub crc32c: bool,
    /// SHA-256.
    pub sha256: bool,
    /// SHA-384.
    pub sha384: bool,
}

impl Wanted {
    /// Whether nothing is to be computed.
    pub fn is_none(self) -> bool {
        self == Wanted::default()
    }

    /// What either asks for.
    #[must_use]
    pub fn union(self, other: Wanted) -> Wanted {
        Wanted {
            md5: self.md5 || other.md5,
            crc32c: self.crc32c || other.crc32c,
            sha256: self.sha256 || other.sha256,
            sha384: self.sha384 || other.sha384,
        }
    }
}

/// Checksums of a run of bytes.
///
/// As JSON: `{"len":9,"md5":"…","crc32c":"…"}`, the values in the service's own base64, absent ones left out.
/// Reading it back accepts exactly that: a value of the wrong length is an error, never a guess.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Bytes.
    pub len: u64,
    /// MD5, raw.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub md5: Option<[u8; 16]>,
    /// CRC-32C as a number; big-endian on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crc_text")]
    pub crc32c: Option<u32>,
    /// SHA-256, raw.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub sha256: Option<[u8; 32]>,
    /// SHA-384, raw.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub sha384: Option<[u8; 48]>,
}

impl Digests {
    /// `Content-MD5`, `opc-content-md5`.
    pub fn md5_base64(&self) -> Option<String> {
        self.md5.map(|raw| STANDARD.encode(raw))
    }

    /// `opc-content-crc32c`.
    pub fn crc32c_base64(&self) -> Option<String> {
        self.crc32c.map(crc32c_base64)
    }

    /// `opc-content-sha256`.
    pub fn sha256_base64(&self) -> Option<String> {
        self.sha256.map(|raw| STANDARD.encode(raw))
    }

    /// `opc-content-sha384`.
    pub fn sha384_base64(&self) -> Option<String> {
        self.sha384.map(|raw| STANDARD.encode(raw))
    }
}

/// Computes checksums while bytes pass by: one read for all of them.
///
/// Memory: under 1 KiB.
#[derive(Clone, Default)]
pub struct Hasher {
    len: u64,
    md5: Option<Md5>,
    crc32c: Option<u32>,
    sha256: Option<Sha256>,
    sha384: Option<Sha384>,
}

impl Hasher {
    /// All algorithms walk over one slice of this size before the next, so that it is read from the first-level
    /// cache by all but the first (32 KiB is the smallest such cache in use). A component rarely wants more than one, and
    /// folds long slices better.
    const SLICE_BYTES: usize = if cfg!(target_family = "wasm") { 64 * 1024 } else { 16 * 1024 };

    /// Starts with no bytes seen.
    pub fn new(wanted: Wanted) -> Self {
        Hasher {
            len: 0,
            md5: wanted.md5.then(Md5::new),
            crc32c: wanted.crc32c.then_some(0),
            sha256: wanted.sha256.then(Sha256::new),
            sha384: wanted.sha384.then(Sha384::new),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        for slice in bytes.chunks(Self::SLICE_BYTES) {
            if let Some(crc) = &mut self.crc32c {
                *crc = crc32c_append(*crc, slice);
            }
            if let Some(md5) = &mut self.md5 {
                md5.update(slice);
            }
            if let Some(sha256) = &mut self.sha256 {
                sha256.update(slice);
            }
            if let Some(sha384) = &mut self.sha384 {
                sha384.update(slice);
            }
        }
    }

    /// The checksums of all bytes taken.
    pub fn finish(self) -> Digests {
        Digests {
            len: self.len,
            md5: self.md5.map(|hash| hash.finalize().into()),
            crc32c: self.crc32c,
            sha256: self.sha256.map(|hash| hash.finalize().into()),
            sha384: self.sha384.map(|hash| hash.finalize().into()),
        }
    }
}

/// The CRC-32C `crc` of some bytes, continued with further `bytes`.
#[cfg(not(target_family = "wasm"))]
fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    use crc_fast::{CrcAlgorithm, Digest};
    // The crate counts without the complement at both ends.
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
    digest.update(bytes);
    u32::try_from(digest.finalize()).expect("it has 32 bits")
}

#[cfg(target_family = "wasm")]
use super::crc_fold::append as crc32c_append;

/// CRC-32C of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// CRC-32C of `a`'s bytes followed by `b`'s, without the bytes.
///
/// Appending n bytes multiplies the remainder by x^8n modulo the polynomial; the powers x^8, x^16, x^32 … are a table, so
/// this costs at most 64 multiplications (about a microsecond; the general matrix method takes twenty, which 10,000
/// parts would feel) and any 64-bit length works on 32-bit targets too.
pub fn combine_crc32c(a: u32, b: u32, len_b: u64) -> u32 {
    let mut shift = ONE;
    let mut len = len_b;
    let mut power = 0;
    while len > 0 {
        if len & 1 == 1 {
            shift = multiply(shift, POWERS[power]);
        }
        len >>= 1;
        power += 1;
    }
    multiply(shift, a) ^ b
}

/// The Castagnoli polynomial, bits reflected: the highest bit is the coefficient of x^0.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0
const ONE: u32 = 1 << 31;

/// x^(8 * 2^n) modulo the polynomial.
const POWERS: [u32; 64] = {
    let mut powers = [ONE >> 8; 64];
    let mut n = 1;
    while n < 64 {
        powers[n] = multiply(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
};

/// The product of two polynomials modulo the polynomial.
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut multiple = b;
    let mut bit = ONE;
    while bit != 0 {
        if a & bit != 0 {
            product ^= multiple;
        }
        multiple = (multiple >> 1) ^ if multiple & 1 == 1 { POLYNOMIAL } else { 0 };
        bit >>= 1;
    }
    product
}

/// A CRC-32C in the service's spelling: base64 of four big-endian bytes.
pub fn crc32c_base64(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// `opc-multipart-md5`: MD5 over the parts' raw MD5s in part order, base64, then `-<number of parts>`.
pub fn multipart_md5(parts: impl Iterator<Item = [u8; 16]>) -> String {
    multipart::<Md5, 16>(parts)
}

/// `opc-multipart-sha256`, built like [`multipart_md5`].
pub fn multipart_sha256(parts: impl Iterator<Item = [u8; 32]>) -> String {
    multipart::<Sha256, 32>(parts)
}

/// `opc-multipart-sha384`, built like [`multipart_md5`].
pub fn multipart_sha384(parts: impl Iterator<Item = [u8; 48]>) -> String {
    multipart::<Sha384, 48>(parts)
}

fn multipart<D: md5::Digest, const N: usize>(parts: impl Iterator<Item = [u8; N]>) -> String {
    let mut hash = D::new();
    let mut count = 0_u32;
    for part in parts {
        hash.update(part);
        count += 1;
    }
    format!("{}-{count}", STANDARD.encode(hash.finalize()))
}

/// Whether the service's multipart checksum is ours. HEAD is documented without the `-n` suffix, the commit answer
/// carries it: a missing suffix is accepted, a different one is not.
pub fn same_multipart(told: &str, ours: &str) -> bool {
    told == ours || ours.rsplit_once('-').is_some_and(|(sum, _)| told == sum)
}

/// Reads a base64 MD5; strict: standard alphabet, padded, exactly 16 bytes.
pub fn parse_md5(text: &str) -> Option<[u8; 16]> {
    parse(text)
}

/// Reads a base64 CRC-32C; strict as [`parse_md5`], 4 bytes.
pub fn parse_crc32c(text: &str) -> Option<u32> {
    parse(text).map(u32::from_be_bytes)
}

/// Reads a base64 SHA-256; strict as [`parse_md5`], 32 bytes.
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    parse(text)
}

/// Reads a base64 SHA-384; strict as [`parse_md5`], 48 bytes.
pub fn parse_sha384(text: &str) -> Option<[u8; 48]> {
    parse(text)
}

fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Checked before decoding, so that a hostile megabyte is not decoded first.
    if text.len() != N.div_ceil(3) * 4 {
        return None;
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// `Option<[u8; N]>` as base64 text.
mod text {
    use super::{Deserialize, Deserializer, STANDARD, Serializer, parse};
    use base64::Engine as _;
    use serde::de::Error as _;

    #[expect(clippy::ref_option, reason = "the shape serde asks for")]
    pub(super) fn serialize<S: Serializer, const N: usize>(
        raw: &Option<[u8; N]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match raw {
            Some(raw) => serializer.serialize_str(&STANDARD.encode(raw)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse(&text).ok_or_else(|| D::Error::custom("not a checksum"))).transpose()
    }
}

/// `Option<u32>` as base64 text of its big-endian bytes.
mod crc_text {
    use super::{Deserializer, Serializer, text};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
    pub(super) fn serialize<S: Serializer>(crc: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(&crc.map(u32::to_be_bytes), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
        Ok(text::deserialize(deserializer)?.map(u32::from_be_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Random;

    const ALL: Wanted = Wanted { md5: true, crc32c: true, sha256: true, sha384: true };

    fn digests(bytes: &[u8]) -> Digests {
        let mut hasher = Hasher::new(ALL);
        hasher.update(bytes);
        hasher.finish()
    }

    fn random_bytes(random: &mut Random, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
    }

    fn low(random: &mut Random) -> u32 {
        u32::try_from(random.bits() >> 32).unwrap()
    }

    #[test]
    fn known_values() {
        // CRC-32C: oci.md 4.1; the others: RFC 1321 and FIPS 180-4 examples.
        assert_eq!(digests(b"123456789").crc32c_base64().unwrap(), "4waSgw==");
        assert_eq!(digests(b"hello\n").crc32c_base64().unwrap(), "NT3Yvg==");
        let empty = digests(b"");
        assert_eq!(empty.len, 0);
        assert_eq!(empty.crc32c_base64().unwrap(), "AAAAAA==");
        assert_eq!(empty.md5_base64().unwrap(), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(empty.sha256_base64().unwrap(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        let abc = digests(b"abc");
        assert_eq!(abc.md5_base64().unwrap(), "kAFQmDzST7DWlj99KOF/cg==");
        assert_eq!(abc.sha256_base64().unwrap(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(
            abc.sha384_base64().unwrap(),
            "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn"
        );
    }

    #[test]
    fn only_what_is_wanted_is_computed() {
        for bits in 0..16_u8 {
            let wanted = Wanted {
                md5: bits & 1 > 0,
                crc32c: bits & 2 > 0,
                sha256: bits & 4 > 0,
                sha384: bits & 8 > 0,
            };
            let mut hasher = Hasher::new(wanted);
            hasher.update(b"abc");
            let got = hasher.finish();
            let seen = Wanted {
                md5: got.md5.is_some(),
                crc32c: got.crc32c.is_some(),
                sha256: got.sha256.is_some(),
                sha384: got.sha384.is_some(),
            };
            assert_eq!((seen, got.len), (wanted, 3));
            assert_eq!(wanted.is_none(), bits == 0);
            assert_eq!(wanted.union(ALL), ALL);
            assert_eq!(wanted.union(Wanted::default()), wanted);
        }
    }

    #[test]
    fn cuts_make_no_difference() {
        let mut random = Random::new(1);
        let bytes = random_bytes(&mut random, 100_000);
        let whole = digests(&bytes);
        for _ in 0..20 {
            let mut hasher = Hasher::new(ALL);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let cut = usize::try_from(random.below(40_000)).unwrap().min(rest.len());
                hasher.update(&rest[..cut]);
                rest = &rest[cut..];
            }
            assert_eq!(hasher.finish(), whole);
        }
    }

    #[test]
    fn crcs_combine_like_their_bytes() {
        let mut random = Random::new(2);
        for _ in 0..300 {
            let (len_a, len_b) = (random.below(3000), random.below(3000));
            let a = random_bytes(&mut random, usize::try_from(len_a).unwrap());
            let b = random_bytes(&mut random, usize::try_from(len_b).unwrap());
            let together = crc32c::crc32c(&[&a[..], &b[..]].concat());
            assert_eq!(combine_crc32c(crc32c::crc32c(&a), crc32c::crc32c(&b), len_b), together);
        }
    }

    #[test]
    fn long_combinations_agree_with_the_matrix_method() {
        let mut random = Random::new(3);
        for _ in 0..200 {
            let (a, b) = (low(&mut random), low(&mut random));
            let len = random.bits() >> random.below(64);
            let matrix = crc32c::crc32c_combine(a, b, usize::try_from(len).unwrap());
            let expected = if len == 0 { a ^ b } else { matrix };
            assert_eq!(combine_crc32c(a, b, len), expected, "{a} {b} {len}");
        }
        // An object of 10 TiB in parts of 1 GiB, the last one short.
        let parts: Vec<(u32, u64)> =
            (0..=10_240).map(|n| (low(&mut random), if n == 10_240 { 77 } else { 1 << 30 })).collect();
        let left = parts
            .iter()
            .fold((0, 0), |(crc, len), (part, size)| (combine_crc32c(crc, *part, *size), len + size));
        let right = parts
            .iter()
            .rev()
            .fold((0, 0), |(crc, len), (part, size)| (combine_crc32c(*part, crc, len), len + size));
        assert_eq!(left, right);
    }

    #[test]
    fn multipart_checksums_are_the_services() {
        // Computed with Python's hashlib from the definition in oci.md 4.1.
        let parts = || [&b"aaa"[..], b"bb"].into_iter().map(digests);
        assert_eq!(multipart_md5(parts().map(|part| part.md5.unwrap())), "uZddc0xSot4Plw9SXLlq0w==-2");
        assert_eq!(
            multipart_sha256(parts().map(|part| part.sha256.unwrap())),
            "VtWqByExrg1butXvM08gN5vBvm9Av6kya+CJqMHvzf4=-2"
        );
        assert_eq!(
            multipart_sha384(parts().map(|part| part.sha384.unwrap())),
            "TdFdEXyJVNKB9EjHFoZkkPFk9fhf2VH6aRANX0buClQlky/vIkbualovzYYsA22k-2"
        );
        let one = multipart_md5([digests(b"aaa").md5.unwrap()].into_iter());
        assert!(one.ends_with("==-1"), "{one}");
        assert_eq!(multipart_md5(std::iter::empty()), "1B2M2Y8AsgTpgAmY7PhCfg==-0");
    }

    #[test]
    fn a_missing_suffix_is_forgiven_a_wrong_one_is_not() {
        for (told, ours, same) in [
            ("abc=-2", "abc=-2", true),
            ("abc=", "abc=-2", true),
            ("abc=-3", "abc=-2", false),
            ("abd=-2", "abc=-2", false),
            ("", "abc=-2", false),
            ("-2", "abc=-2", false),
            ("abc=-2", "abc=", false),
        ] {
            assert_eq!(same_multipart(told, ours), same, "{told} {ours}");
        }
    }

    #[test]
    fn parsing_is_strict() {
        let all = digests(b"abc");
        assert_eq!(parse_md5(&all.md5_base64().unwrap()), all.md5);
        assert_eq!(parse_crc32c(&all.crc32c_base64().unwrap()), all.crc32c);
        assert_eq!(parse_sha256(&all.sha256_base64().unwrap()), all.sha256);
        assert_eq!(parse_sha384(&all.sha384_base64().unwrap()), all.sha384);
        for text in [
            "",
            "4waSgw",
            "4waSgw=",
            " 4waSgw==",
            "4waSgw==\n",
            "4waS-w==",
            "4waSgw==AAAA",
            "4waSgx==",
            "üüüü",
        ] {
            assert_eq!(parse_crc32c(text), None, "{text:?}");
        }
        assert_eq!(parse_md5("4waSgw=="), None);
        assert_eq!(parse_md5(&"A".repeat(1 << 20)), None);
    }

    #[test]
    fn json_is_compact_and_round_trips() {
        let some = Digests { len: 9, crc32c: Some(0xe306_9283), ..Digests::default() };
        let json = serde_json::to_string(&some).unwrap();
        assert_eq!(json, r#"{"len":9,"crc32c":"4waSgw=="}"#);
        assert_eq!(serde_json::from_str::<Digests>(&json).unwrap(), some);
        let all = digests(b"abc");
        assert_eq!(serde_json::from_str::<Digests>(&serde_json::to_string(&all).unwrap()).unwrap(), all);
        assert_eq!(serde_json::from_str::<Digests>(r#"{"len":1,"md5":null}"#).unwrap().md5, None);
    }

    #[test]
    fn hostile_json_is_an_error() {
        for json in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"len":-1}"#,
            r#"{"len":1.5}"#,
            r#"{"len":99999999999999999999}"#,
            r#"{"len":1,"crc32c":"AAA"}"#,
            r#"{"len":1,"crc32c":5}"#,
            r#"{"len":1,"crc32c":"AAAAAAAA"}"#,
            r#"{"len":1,"md5":"AAAAAA=="}"#,
            r#"{"len":1,"sha256":[]}"#,
            r#"{"len":1,"len":2}"#,
            r#"{"len":1,"x":2}"#,
        ] {
            assert!(serde_json::from_str::<Digests>(json).is_err(), "{json}");
        }
    }
}
