//! The private operation without a C library: for WebAssembly, and for whoever takes the engine alone.

use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::blinding::Blinding;
use super::key::failed;
use crate::engine::error::Error;

/// Zeroised on drop.
#[derive(Clone)]
pub(super) struct Signer {
    key: RsaPrivateKey,
    blinding_secret: Zeroizing<[u8; 32]>,
}

impl Signer {
    /// Errors: none; the other signer has some.
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as the other signer")]
    pub(super) fn new(key: &RsaPrivateKey) -> Result<Signer, Error> {
        use rsa::traits::PrivateKeyParts as _;
        let exponent = Zeroizing::new(key.d().to_bytes_be());
        let secret = Sha256::new().chain_update(b"outlast blinding").chain_update(&exponent[..]).finalize();
        Ok(Signer { key: key.clone(), blinding_secret: Zeroizing::new(secret.into()) })
    }

    /// PKCS#1 v1.5 of a SHA-256. The operation is blinded, and its result is checked before it leaves.
    pub(super) fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let mut blinding = Blinding::new(&self.blinding_secret, digest);
        self.key.sign_with_rng(&mut blinding, Pkcs1v15Sign::new::<Sha256>(), digest).map_err(failed)
    }
}
