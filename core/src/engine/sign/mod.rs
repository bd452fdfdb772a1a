//! Request signatures: the key, the string that is signed, the headers that come of it.
//!
//! Source: `oci.md` section 2 and its ten test vectors. Algorithm `rsa-sha256`: RSA PKCS#1 v1.5 over SHA-256.

mod key;
mod pem;
mod string;

pub use key::SigningKey;
pub use string::{SignedHeaders, authorize};
