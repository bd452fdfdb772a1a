//! The sealed line.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use rsa::rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::engine::secret::Secret;

const MAGIC: &str = "outlast-vault";
/// The version this program writes and reads.
pub(super) const VERSION: u32 = 1;

/// A line that looks like one of ours.
pub(super) struct Sealed {
    pub(super) version: u32,
    key_id: String,
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
}

pub(super) enum OpenFailure {
    OtherKey,
    Damaged,
}

impl Sealed {
    pub(super) fn parse(bytes: &[u8]) -> Option<Sealed> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let mut fields = text.split(' ');
        if fields.next()? != MAGIC {
            return None;
        }
        let version = fields.next()?.parse().ok()?;
        let (key_id, nonce, ciphertext) = (fields.next()?.to_owned(), fields.next()?, fields.next()?);
        if version != VERSION {
            // Its further fields are its own business.
            return Some(Sealed { version, key_id, nonce: Vec::new(), ciphertext: Vec::new() });
        }
        let decode = |field: &str| URL_SAFE_NO_PAD.decode(field).ok();
        let nonce = decode(nonce).filter(|nonce| nonce.len() == 24)?;
        let ciphertext = decode(ciphertext)?;
        fields.next().is_none().then_some(Sealed { version, key_id, nonce, ciphertext })
    }

    pub(super) fn open(&self, key: &Secret<[u8; 32]>, name: &str) -> Result<Zeroizing<Vec<u8>>, OpenFailure> {
        if self.key_id != key_id(key) {
            return Err(OpenFailure::OtherKey);
        }
        let aad = head(&self.key_id, name);
        let payload = Payload { msg: &self.ciphertext, aad: aad.as_bytes() };
        cipher(key)
            .decrypt(XNonce::from_slice(&self.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| OpenFailure::Damaged)
    }
}

/// Seals a record: a fresh nonce of 192 bits each time, so that chance alone keeps them apart.
pub(super) fn seal(plain: &Zeroizing<Vec<u8>>, key: &Secret<[u8; 32]>, name: &str) -> String {
    let mut nonce = [0; 24];
    OsRng.fill_bytes(&mut nonce);
    let id = key_id(key);
    let aad = head(&id, name);
    let ciphertext = cipher(key)
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: aad.as_bytes() })
        .expect("a record is far below the cipher's limit of 256 GiB");
    format!(
        "{MAGIC} {VERSION} {id} {} {}\n",
        URL_SAFE_NO_PAD.encode(nonce),
        URL_SAFE_NO_PAD.encode(ciphertext)
    )
}

fn cipher(key: &Secret<[u8; 32]>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(Key::from_slice(key.expose()))
}

fn head(key_id: &str, name: &str) -> String {
    format!("{MAGIC} {VERSION} {key_id} {name}")
}

/// Tells a wrong key from a damaged file; says nothing of the key itself.
fn key_id(key: &Secret<[u8; 32]>) -> String {
    let digest = Sha256::new().chain_update(b"outlast vault key id\0").chain_update(key.expose()).finalize();
    URL_SAFE_NO_PAD.encode(&digest[..9])
}
