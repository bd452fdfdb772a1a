//! Decrypts PEM blocks marked `Proc-Type: 4,ENCRYPTED` (RFC 1421), as OpenSSL wrote them before 3.0.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::pem::problem;
use crate::engine::error::Error;

/// `Ok(None)`: the padding does not fit, so the passphrase is wrong.
///
/// The key derivation is OpenSSL's EVP_BytesToKey with MD5, one round, the first eight bytes of the vector as salt.
pub(super) fn decrypt(
    cipher: (&str, &str),
    data: &[u8],
    passphrase: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let (name, iv_hex) = cipher;
    let iv = hex(iv_hex).ok_or_else(|| problem("has an unreadable DEK-Info line"))?;
    match name {
        "AES-256-CBC" => cbc::<cbc::Decryptor<aes::Aes256>, 32, 16>(&iv, data, passphrase),
        "AES-192-CBC" => cbc::<cbc::Decryptor<aes::Aes192>, 24, 16>(&iv, data, passphrase),
        "AES-128-CBC" => cbc::<cbc::Decryptor<aes::Aes128>, 16, 16>(&iv, data, passphrase),
        "DES-EDE3-CBC" => cbc::<cbc::Decryptor<des::TdesEde3>, 24, 8>(&iv, data, passphrase),
        _ => Err(problem(format!(
            "is encrypted with {name:.40}, which is not supported; re-encrypt it with \"openssl pkcs8 -topk8\""
        ))),
    }
}

fn cbc<C, const KEY: usize, const IV: usize>(
    iv: &[u8],
    data: &[u8],
    passphrase: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error>
where
    C: KeyIvInit + BlockDecryptMut,
{
    if iv.len() != IV {
        return Err(problem("has an unreadable DEK-Info line"));
    }
    let key = derive::<KEY>(passphrase.as_bytes(), &iv[..8]);
    let decryptor = C::new_from_slices(&key[..], iv).expect("key and vector have the cipher's sizes");
    Ok(decryptor.decrypt_padded_vec_mut::<Pkcs7>(data).ok().map(Zeroizing::new))
}

fn derive<const KEY: usize>(passphrase: &[u8], salt: &[u8]) -> Zeroizing<[u8; KEY]> {
    let mut key = Zeroizing::new([0; KEY]);
    let mut block = Zeroizing::new([0_u8; 16]);
    for (index, chunk) in key.chunks_mut(16).enumerate() {
        let mut hash = Md5::new();
        if index > 0 {
            hash.update(&block[..]);
        }
        hash.update(passphrase);
        hash.update(salt);
        block.copy_from_slice(&hash.finalize());
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    key
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
