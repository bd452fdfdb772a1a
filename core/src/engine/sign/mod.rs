//! Request signatures: the key, the string that is signed, the headers that come of it.
//!
//! Source: `oci.md` section 2 and its ten test vectors. Algorithm `rsa-sha256`: RSA PKCS#1 v1.5 over SHA-256.

#[cfg(any(test, not(feature = "native")))]
mod blinding;
#[cfg(feature = "native")]
mod fast;
mod key;
mod legacy;
mod pem;
#[cfg(any(test, not(feature = "native")))]
mod portable;
mod string;

pub use key::SigningKey;
pub use string::{SignedHeaders, authorize};

/// The test vectors, made with the official signer.
#[cfg(test)]
pub(crate) mod vectors {
    use serde_json::Value;

    pub(crate) fn read() -> Value {
        let text = include_str!("../../../../tests/vectors/oci-signing-vectors.json");
        serde_json::from_str(text).expect("the vectors are JSON")
    }
}
