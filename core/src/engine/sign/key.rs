//! The RSA key of a session or user.

use std::fmt;
use std::fmt::Write as _;

use md5::Md5;
use rsa::pkcs1v15::SigningKey as Pkcs1v15;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::CryptoRngCore;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};

use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;

/// A private RSA key, ready to sign. Zeroised on drop; Debug shows the fingerprint only.
#[derive(Clone)]
pub struct SigningKey {
    signer: Pkcs1v15<Sha256>,
    fingerprint: String,
    public_key_pem: String,
}

impl SigningKey {
    /// Smallest modulus that is accepted, bits. Source: service documentation of API signing keys.
    pub const MIN_BITS: usize = 2048;

    /// Reads a key: PKCS#8, PKCS#1, either of them encrypted, with text after the END line and spaces around.
    ///
    /// A passphrase that is not needed is not used.
    /// Errors: `Config`, one line that says what the text is instead.
    pub fn from_pem(pem: &[u8], passphrase: Option<&str>) -> Result<SigningKey, Error> {
        let _ = passphrase;
        let text = std::str::from_utf8(pem).unwrap_or_default();
        let key = RsaPrivateKey::from_pkcs8_pem(text)
            .map_err(|_| Error::new(ErrorKind::Config, "the key cannot be read"))?;
        SigningKey::new(key)
    }

    /// Makes a new key of 2,048 bits, as the official command line does.
    ///
    /// Errors: `Internal`, when the generator gives unusable numbers.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Result<SigningKey, Error> {
        let key = RsaPrivateKey::new(rng, Self::MIN_BITS)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("making a key: {error}")))?;
        SigningKey::new(key)
    }

    fn new(key: RsaPrivateKey) -> Result<SigningKey, Error> {
        let public = RsaPublicKey::from(&key);
        let unusable = |error| Error::new(ErrorKind::Config, format!("the key cannot be encoded: {error}"));
        let der = public.to_public_key_der().map_err(unusable)?;
        let public_key_pem = public.to_public_key_pem(LineEnding::LF).map_err(|error| unusable(error))?;
        let mut fingerprint = String::with_capacity(47);
        for (index, byte) in Md5::digest(der.as_bytes()).iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(fingerprint, "{colon}{byte:02x}").expect("writing to a string cannot fail");
        }
        Ok(SigningKey { signer: Pkcs1v15::new(key), fingerprint, public_key_pem })
    }

    /// MD5 of the DER SubjectPublicKeyInfo: 16 lower-case hex pairs joined by `:`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The public half as SPKI PEM, lines ended by LF.
    pub fn public_key_pem(&self) -> String {
        self.public_key_pem.clone()
    }

    /// The private key as unencrypted PKCS#8 PEM, lines ended by LF, without a label behind it.
    pub fn to_pkcs8_pem(&self) -> Secret<String> {
        let key: &RsaPrivateKey = self.signer.as_ref();
        let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key that was read or made can be encoded");
        Secret::new(String::clone(&pem))
    }

    /// Signs with PKCS#1 v1.5 over SHA-256; the same message gives the same signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(message).to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint)
    }
}
