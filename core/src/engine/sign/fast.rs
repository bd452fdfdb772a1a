//! The private operation by AWS-LC: a fifth of the time of [`super::portable`], which thousands of parts and short uploads feel.

use std::sync::Arc;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;

use super::key::failed;
use super::pem::damaged;
use crate::engine::error::Error;

/// The library cleans all memory that it gives back, the key's first of all.
#[derive(Clone)]
pub(super) struct Signer(Arc<KeyPair>);

impl Signer {
    /// Errors: `Config`, for numbers that the other reader let pass.
    pub(super) fn new(key: &RsaPrivateKey) -> Result<Signer, Error> {
        // Not the text that was read: what can be computed of a key is computed anew, and may have been wrong there.
        let der = key.to_pkcs1_der().map_err(|_| damaged("it cannot be encoded"))?;
        let pair =
            KeyPair::from_der(der.as_bytes()).map_err(|_| damaged("its numbers do not fit together"))?;
        Ok(Signer(Arc::new(pair)))
    }

    /// PKCS#1 v1.5 of a SHA-256. The operation is blinded, and its result is checked before it leaves.
    pub(super) fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let digest = Digest::import_less_safe(digest, &SHA256).map_err(failed)?;
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).map_err(failed)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sign::blinding::Blinding;
    use crate::engine::sign::portable;

    #[test]
    fn signs_as_the_portable_one() {
        let mut rng = Blinding::new(&[9; 32], b"a reproducible generator for tests");
        for bits in [2048, 3072] {
            let key = RsaPrivateKey::new(&mut rng, bits).unwrap();
            let (fast, portable) = (Signer::new(&key).unwrap(), portable::Signer::new(&key).unwrap());
            for byte in 0..5 {
                let signature = fast.sign(&[byte; 32]).unwrap();
                assert_eq!(signature.len(), bits / 8);
                assert_eq!(signature, portable.sign(&[byte; 32]).unwrap());
            }
        }
    }
}
