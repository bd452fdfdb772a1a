//! Checksums: of one body while it passes, and of an object from those of its parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha384};

/// Which checksums are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four independent choices")]
pub(crate) struct Wanted {
    pub(crate) md5: bool,
    pub(crate) crc32c: bool,
    pub(crate) sha256: bool,
    pub(crate) sha384: bool,
}

/// Computes what is wanted over bytes as they come.
#[derive(Clone)]
pub(crate) struct Digester {
    size: u64,
    md5: Option<Md5>,
    crc32c: Option<u32>,
    sha256: Option<Sha256>,
    sha384: Option<Sha384>,
}

/// Checksums of one body; those not wanted are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) size: u64,
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) crc32c: Option<u32>,
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) sha384: Option<[u8; 48]>,
}

impl Digester {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            size: 0,
            md5: wanted.md5.then(Md5::new),
            crc32c: wanted.crc32c.then_some(0),
            sha256: wanted.sha256.then(Sha256::new),
            sha384: wanted.sha384.then(Sha384::new),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(crc) = &mut self.crc32c {
            *crc = crc32c::crc32c_append(*crc, bytes);
        }
        if let Some(sha) = &mut self.sha256 {
            sha.update(bytes);
        }
        if let Some(sha) = &mut self.sha384 {
            sha.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            size: self.size,
            md5: self.md5.map(|md5| md5.finalize().into()),
            crc32c: self.crc32c,
            sha256: self.sha256.map(|sha| sha.finalize().into()),
            sha384: self.sha384.map(|sha| sha.finalize().into()),
        }
    }
}

impl Digests {
    /// Which checksums are here.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            md5: self.md5.is_some(),
            crc32c: self.crc32c.is_some(),
            sha256: self.sha256.is_some(),
            sha384: self.sha384.is_some(),
        }
    }

    pub(crate) fn md5_text(&self) -> Option<String> {
        self.md5.map(|md5| STANDARD.encode(md5))
    }

    /// Base64 of the four bytes, most significant first.
    pub(crate) fn crc32c_text(&self) -> Option<String> {
        self.crc32c.map(crc32c_text)
    }

    pub(crate) fn sha256_text(&self) -> Option<String> {
        self.sha256.map(|sha| STANDARD.encode(sha))
    }

    pub(crate) fn sha384_text(&self) -> Option<String> {
        self.sha384.map(|sha| STANDARD.encode(sha))
    }
}

pub(crate) fn crc32c_text(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// The checksums of an object made of parts, as header values. Each is there if every part has its own.
pub(crate) struct Combined {
    /// MD5 over the parts' raw MD5s, base64, then `-` and the number of parts.
    pub(crate) md5: Option<String>,
    /// The true CRC32C of all bytes.
    pub(crate) crc32c: Option<u32>,
    pub(crate) sha256: Option<String>,
    pub(crate) sha384: Option<String>,
}

/// Combines the checksums of parts, given in order.
pub(crate) fn combine(parts: &[&Digests]) -> Combined {
    let count = parts.len();
    let over = |text: Option<String>| text.map(|text| format!("{text}-{count}"));
    let md5: Option<Vec<[u8; 16]>> = parts.iter().map(|part| part.md5).collect();
    let sha256: Option<Vec<[u8; 32]>> = parts.iter().map(|part| part.sha256).collect();
    let sha384: Option<Vec<[u8; 48]>> = parts.iter().map(|part| part.sha384).collect();
    let crc32c = parts.iter().try_fold(0_u32, |crc, part| {
        let size = usize::try_from(part.size).ok()?;
        Some(crc32c::crc32c_combine(crc, part.crc32c?, size))
    });
    Combined {
        md5: over(md5.map(|all| STANDARD.encode(Md5::digest(all.concat())))),
        crc32c,
        sha256: over(sha256.map(|all| STANDARD.encode(Sha256::digest(all.concat())))),
        sha384: over(sha384.map(|all| STANDARD.encode(Sha384::digest(all.concat())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted = Wanted { md5: true, crc32c: true, sha256: true, sha384: true };

    fn digests(bytes: &[u8]) -> Digests {
        let mut digester = Digester::new(ALL);
        digester.update(bytes);
        digester.finish()
    }

    #[test]
    fn known_values() {
        assert_eq!(digests(b"123456789").crc32c_text().as_deref(), Some("4waSgw=="));
        assert_eq!(digests(b"hello\n").crc32c_text().as_deref(), Some("NT3Yvg=="));
        assert_eq!(digests(b"").md5_text().as_deref(), Some("1B2M2Y8AsgTpgAmY7PhCfg=="));
    }

    #[test]
    fn a_whole_from_its_parts() {
        let (a, b, empty) = (digests(b"1234"), digests(b"56789"), digests(b""));
        let whole = combine(&[&a, &b, &empty]);
        assert_eq!(whole.crc32c, digests(b"123456789").crc32c);
        assert!(whole.md5.is_some_and(|text| text.ends_with("==-3")));
        let missing = Digests { md5: None, ..digests(b"x") };
        assert!(combine(&[&a, &missing]).md5.is_none());
    }
}
