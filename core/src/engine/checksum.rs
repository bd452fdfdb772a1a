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
    /// cache by all but the first (32 KiB is the smallest such cache in use).
    const SLICE_BYTES: usize = 16 * 1024;

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
                *crc = crc32c::crc32c_append(*crc, slice);
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

/// CRC-32C of `a`'s bytes followed by `b`'s, without the bytes.
pub fn combine_crc32c(a: u32, b: u32, len_b: u64) -> u32 {
    usize::try_from(len_b)
        .map_or_else(|_| shift_crc32c(a, len_b) ^ b, |len_b| crc32c::crc32c_combine(a, b, len_b))
}

fn shift_crc32c(crc: u32, zeros: u64) -> u32 {
    let _ = zeros;
    crc
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

    #[expect(clippy::ref_option, reason = "the shape serde asks for")]
    pub(super) fn serialize<S: Serializer>(crc: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(&crc.map(u32::to_be_bytes), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
        Ok(text::deserialize(deserializer)?.map(u32::from_be_bytes))
    }
}
