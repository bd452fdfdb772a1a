//! Numbers for RSA blinding, made without a source of entropy.

use rsa::rand_core::{CryptoRng, Error, RngCore};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A generator keyed by a secret of the private key and by the message: SHA-256 over (secret, message, counter).
///
/// Blinding keeps the time of a private operation from telling about the key. It needs numbers that an observer cannot
/// predict, not fresh ones: whoever could compute these would know the key already. Deriving them (as RFC 6979
/// derives the nonces of ECDSA) works on targets without an entropy source and keeps the engine reproducible.
pub(super) struct Blinding {
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
}

impl Blinding {
    pub(super) fn new(secret: &[u8; 32], message: &[u8]) -> Self {
        let seed = Sha256::new().chain_update(secret).chain_update(message).finalize();
        Blinding { seed: Zeroizing::new(seed.into()), counter: 0 }
    }
}

impl RngCore for Blinding {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(&self.seed[..])
                .chain_update(self.counter.to_be_bytes())
                .finalize();
            self.counter += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Blinding {}
