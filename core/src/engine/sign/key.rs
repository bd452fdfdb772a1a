//! The RSA key of a session or user.

use std::fmt;
use std::fmt::Write as _;

use md5::Md5;
use pkcs8::der::Decode as _;
use pkcs8::der::asn1::AnyRef;
use pkcs8::pkcs5::Error as Pkcs5Error;
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::CryptoRngCore;
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

#[cfg(feature = "native")]
use super::fast::Signer;
use super::legacy;
use super::pem::{Encoding, damaged, find_key, problem};
#[cfg(not(feature = "native"))]
use super::portable::Signer;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;

/// A private RSA key, ready to sign. Zeroised on drop; Debug shows the fingerprint only.
#[derive(Clone)]
pub struct SigningKey {
    key: RsaPrivateKey,
    signer: Signer,
    fingerprint: String,
    public_key_pem: String,
}

impl SigningKey {
    /// Smallest modulus that is accepted, bits. Source: service documentation of API signing keys.
    pub const MIN_BITS: usize = 2048;
    /// Largest modulus that is accepted, bits: the limit of the RSA implementation.
    pub const MAX_BITS: usize = RsaPublicKey::MAX_SIZE;

    /// Reads a key: PKCS#8, PKCS#1, either of them encrypted, with text after the END line and spaces around.
    ///
    /// A passphrase that is not needed is not used; an empty one counts as none.
    /// Errors: `Config`, one line that says what the text is instead.
    pub fn from_pem(pem: &[u8], passphrase: Option<&str>) -> Result<SigningKey, Error> {
        let passphrase = passphrase.filter(|text| !text.is_empty());
        let needed = || passphrase.ok_or_else(|| problem("is encrypted and no passphrase was given"));
        let wrong = || problem("cannot be decrypted: the passphrase is wrong");
        let block = find_key(pem)?;
        match (block.encoding, block.legacy_cipher) {
            (Encoding::Pkcs8, None) => from_pkcs8(&block.der),
            (Encoding::Pkcs1, None) => from_pkcs1(&block.der),
            (Encoding::Pkcs8Encrypted, None) => {
                let der = decrypt_pkcs8(&block.der, needed()?)?.ok_or_else(wrong)?;
                // The padding of a wrong key fits once in 256 times; what comes out then is not a key.
                if PrivateKeyInfo::try_from(&der[..]).is_err() { Err(wrong()) } else { from_pkcs8(&der) }
            }
            (Encoding::Pkcs1, Some(cipher)) => {
                let der = legacy::decrypt(cipher, &block.der, needed()?)?.ok_or_else(wrong)?;
                if rsa::pkcs1::RsaPrivateKey::try_from(&der[..]).is_err() {
                    Err(wrong())
                } else {
                    from_pkcs1(&der)
                }
            }
            (_, Some(_)) => Err(problem("is encrypted in a way that does not fit its BEGIN line")),
        }
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
        let der = public.to_public_key_der().map_err(|_| damaged("it cannot be encoded"))?;
        let public_key_pem =
            der.to_pem("PUBLIC KEY", LineEnding::LF).map_err(|_| damaged("it cannot be encoded"))?;
        let mut fingerprint = String::with_capacity(47);
        for (index, byte) in Md5::digest(der.as_bytes()).iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(fingerprint, "{colon}{byte:02x}").expect("writing to a string cannot fail");
        }
        Ok(SigningKey { signer: Signer::new(&key)?, key, fingerprint, public_key_pem })
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
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).expect("a key that was read or made can be encoded");
        Secret::new(String::clone(&pem))
    }

    /// Signs with PKCS#1 v1.5 over SHA-256; the same message gives the same signature.
    ///
    /// The private operation is blinded, and its result is checked before it leaves.
    /// Errors: `Internal`, when the machine miscomputes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signer.sign(&Sha256::digest(message).into())
    }

    /// [`SigningKey::sign`] of a message of which only the SHA-256 is known; the signature is the same.
    ///
    /// Errors: as there.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        self.signer.sign(digest)
    }

    /// Whether `modulus` and `exponent` (big-endian, leading zeros allowed) are this key's public half.
    pub fn has_public_numbers(&self, modulus: &[u8], exponent: &[u8]) -> bool {
        self.key.n().to_bytes_be() == strip_zeros(modulus)
            && self.key.e().to_bytes_be() == strip_zeros(exponent)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint)
    }
}

pub(super) fn failed(error: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("signing failed: {error}"))
}

fn strip_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn from_pkcs8(der: &[u8]) -> Result<SigningKey, Error> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| damaged("it is not a PKCS#8 structure"))?;
    match info.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => from_pkcs1(info.private_key),
        "1.2.840.10045.2.1" => Err(problem("is an EC key; the service takes RSA keys only")),
        "1.3.101.112" | "1.3.101.113" => {
            Err(problem("is an Ed25519 or Ed448 key; the service takes RSA keys only"))
        }
        "1.2.840.113549.1.1.10" => Err(problem("is an RSA-PSS key; the service takes plain RSA keys only")),
        _ => Err(problem("is not an RSA key")),
    }
}

fn from_pkcs1(der: &[u8]) -> Result<SigningKey, Error> {
    let parts =
        rsa::pkcs1::RsaPrivateKey::try_from(der).map_err(|_| damaged("it is not a PKCS#1 structure"))?;
    let modulus = parts.modulus.as_bytes();
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if bits < SigningKey::MIN_BITS {
        return Err(problem(format!("has {bits} bits; the service wants {} at least", SigningKey::MIN_BITS)));
    }
    if bits > SigningKey::MAX_BITS {
        return Err(problem(format!(
            "has {bits} bits; {} is the most that is supported",
            SigningKey::MAX_BITS
        )));
    }
    let key = RsaPrivateKey::from_pkcs1_der(der).map_err(|_| damaged("its numbers do not fit together"))?;
    SigningKey::new(key)
}

/// `Ok(None)`: the passphrase is wrong.
fn decrypt_pkcs8(der: &[u8], passphrase: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let old = || {
        problem(
            "is encrypted in a way that is not supported; re-encrypt it with \"openssl pkcs8 -topk8 -v2 aes-256-cbc\"",
        )
    };
    // A structure that is whole but not understood uses a scheme that the crate does not know, PBES1 for one.
    let info = EncryptedPrivateKeyInfo::try_from(der).map_err(|_| match AnyRef::from_der(der) {
        Ok(_) => old(),
        Err(_) => damaged("it is not an encrypted PKCS#8 structure"),
    })?;
    match info.decrypt(passphrase) {
        Ok(document) => Ok(Some(document.to_bytes())),
        // The crate names a bad padding either way.
        Err(pkcs8::Error::EncryptedPrivateKey(Pkcs5Error::DecryptFailed | Pkcs5Error::EncryptFailed)) => {
            Ok(None)
        }
        // The padding fitted by chance and what came out is no structure.
        Err(pkcs8::Error::Asn1(_)) => Ok(None),
        Err(_) => Err(old()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::blinding::Blinding;
    use super::super::vectors;
    use super::*;

    fn keys() -> Value {
        let text = include_str!("../../../../tests/vectors/oci-keys.json");
        serde_json::from_str(text).expect("the key file is JSON")
    }

    fn message(pem: &str, passphrase: Option<&str>) -> String {
        let error = SigningKey::from_pem(pem.as_bytes(), passphrase).expect_err(pem);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        error.to_string()
    }

    #[test]
    fn reads_every_encoding() {
        let vectors = vectors::read();
        let test_key = &vectors["test_key"];
        let passphrase = test_key["passphrase"].as_str();
        let fingerprint = test_key["fingerprint_md5_of_spki_der"].as_str().unwrap();
        let mut pems: Vec<(String, String)> = test_key
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| name.starts_with("private_key"))
            .map(|(name, pem)| (name.clone(), pem.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(pems.len(), 5);
        let plain = test_key["private_key_pkcs8_pem"].as_str().unwrap();
        pems.push(("spaces around".into(), format!("\n \t{plain} \r\n\n")));
        pems.push(("CRLF".into(), plain.replace('\n', "\r\n")));
        pems.push(("BOM".into(), format!("\u{feff}{plain}")));
        pems.push(("one line".into(), plain.replace('\n', " ")));
        pems.push(("text before".into(), format!("Bag Attributes\n    friendlyName: x\n{plain}")));
        pems.push((
            "public key before".into(),
            format!("{}{plain}", test_key["public_key_pem"].as_str().unwrap()),
        ));
        let more = keys();
        let more = more["readable"].as_object().unwrap();
        assert_eq!(more.len(), 6);
        pems.extend(more.iter().map(|(name, pem)| (name.clone(), pem.as_str().unwrap().to_owned())));
        for (name, pem) in pems {
            let key = SigningKey::from_pem(pem.as_bytes(), passphrase)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(key.fingerprint(), fingerprint, "{name}");
            assert_eq!(key.public_key_pem(), test_key["public_key_pem"].as_str().unwrap(), "{name}");
            assert_eq!(key.to_pkcs8_pem().expose(), plain, "{name}");
        }
    }

    #[test]
    fn broken_keys_get_one_clear_line() {
        let vectors = vectors::read();
        let test_key = &vectors["test_key"];
        let plain = test_key["private_key_pkcs8_pem"].as_str().unwrap();
        let encrypted = test_key["private_key_pkcs8_encrypted_pem"].as_str().unwrap();
        let legacy = test_key["private_key_pkcs1_legacy_encrypted_pem"].as_str().unwrap();
        let keys = keys();
        let refused = |name: &str| keys["refused"][name].as_str().expect("a key of this name").to_owned();
        let lines: Vec<&str> = plain.lines().collect();
        let without_end = lines[..lines.len() - 1].join("\n");
        let without_begin = lines[1..].join("\n");
        let short = format!("{}\n{}\n{}\n{}\n", lines[0], lines[1], lines[2], lines[lines.len() - 1]);
        let other_number = plain.replacen("noOg", "noOh", 1).replacen("xNAckE", "xNAckF", 1);
        assert_ne!(other_number, plain);
        let base64_only = without_begin.replace("-----END PRIVATE KEY-----", "");
        let frame =
            |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let not_encrypted_after_all = legacy.replace("Proc-Type: 4,ENCRYPTED\n", "");
        let cases: Vec<(&str, String, Option<&str>, &str)> = vec![
            ("empty", String::new(), None, "the key is empty"),
            ("blank", " \r\n\t".into(), None, "the key is empty"),
            ("prose", "hello".into(), None, "the key is not a PEM text: it has no BEGIN line"),
            ("base64 alone", base64_only, None, "the key is not a PEM text: it has no BEGIN line"),
            ("no END", without_end, None, "the key is cut off: its END line is missing"),
            (
                "half a BEGIN",
                "-----BEGIN PRIVATE KEY".into(),
                None,
                "the key is cut off: its END line is missing",
            ),
            ("no BEGIN", without_begin, None, "the key is cut off: its BEGIN line is missing"),
            ("two lines of it", short, None, "the key is damaged or cut short: it is not a PKCS#8 structure"),
            (
                "other numbers",
                other_number,
                None,
                "the key is damaged or cut short: its numbers do not fit together",
            ),
            (
                "nothing inside",
                frame("PRIVATE KEY", ""),
                None,
                "the key has nothing between its BEGIN and END lines",
            ),
            (
                "not base64",
                frame("PRIVATE KEY", "your key here!"),
                None,
                "the key is damaged or cut short: what stands between BEGIN and END is not base64",
            ),
            (
                "escaped line breaks",
                plain.replace('\n', "\\n"),
                None,
                "the key holds the two characters \"\\n\" where line breaks belong",
            ),
            (
                "placeholder",
                "Update_private_key_path".into(),
                None,
                "the key is a placeholder; put the private key in its place",
            ),
            (
                "placeholder",
                "<private key>".into(),
                None,
                "the key is a placeholder; put the private key in its place",
            ),
            ("public", refused("public"), None, "the key is a public key; the private one is needed"),
            (
                "certificate",
                refused("certificate"),
                None,
                "the key is a certificate; a private key is needed",
            ),
            ("EC, SEC1", refused("ec_sec1"), None, "the key is an EC key; the service takes RSA keys only"),
            (
                "EC, PKCS#8",
                refused("ec_pkcs8"),
                None,
                "the key is an EC key; the service takes RSA keys only",
            ),
            (
                "Ed25519",
                refused("ed25519"),
                None,
                "the key is an Ed25519 or Ed448 key; the service takes RSA keys only",
            ),
            (
                "RSA-PSS",
                refused("rsa_pss"),
                None,
                "the key is an RSA-PSS key; the service takes plain RSA keys only",
            ),
            (
                "1024 bits",
                refused("rsa_1024"),
                None,
                "the key has 1024 bits; the service wants 2048 at least",
            ),
            (
                "1024 bits",
                refused("rsa_1024_traditional"),
                None,
                "the key has 1024 bits; the service wants 2048 at least",
            ),
            (
                "OpenSSH",
                frame("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEA"),
                None,
                "the key is in OpenSSH's own format; convert a copy with \"ssh-keygen -p -m PEM -f <copy>\"",
            ),
            (
                "OpenSSH, public",
                "ssh-rsa AAAAB3NzaC1yc2E= somebody".into(),
                None,
                "the key is an OpenSSH public key; a private RSA key in PEM form is needed",
            ),
            (
                "PuTTY",
                "PuTTY-User-Key-File-3: ssh-rsa".into(),
                None,
                "the key is in PuTTY's format; export it as PEM",
            ),
            (
                "token",
                "eyJh.eyJi.c2ln".into(),
                None,
                "the key is a session token; key_file and security_token_file seem to be swapped",
            ),
            ("no passphrase", encrypted.into(), None, "the key is encrypted and no passphrase was given"),
            (
                "empty passphrase",
                encrypted.into(),
                Some(""),
                "the key is encrypted and no passphrase was given",
            ),
            (
                "no passphrase, legacy",
                legacy.into(),
                None,
                "the key is encrypted and no passphrase was given",
            ),
            (
                "wrong passphrase",
                encrypted.into(),
                Some("x"),
                "the key cannot be decrypted: the passphrase is wrong",
            ),
            (
                "wrong passphrase, legacy",
                legacy.into(),
                Some("x"),
                "the key cannot be decrypted: the passphrase is wrong",
            ),
            (
                "PBES1",
                refused("pbes1_sha1_3des"),
                Some("test-passphrase"),
                "the key is encrypted in a way that is not supported; re-encrypt it with \"openssl pkcs8 -topk8 -v2 aes-256-cbc\"",
            ),
            (
                "Camellia",
                refused("legacy_camellia128"),
                Some("test-passphrase"),
                "the key is encrypted with CAMELLIA-128-CBC, which is not supported; re-encrypt it with \"openssl pkcs8 -topk8\"",
            ),
            (
                "no DEK-Info",
                legacy.replace("DEK-Info", "X-Info"),
                Some("test-passphrase"),
                "the key says that it is encrypted but not how (no DEK-Info line)",
            ),
            (
                "short vector",
                legacy.replace("AF1EADF762AF9875360EDC4EAF44AC4F", "AF1E"),
                Some("test-passphrase"),
                "the key has an unreadable DEK-Info line",
            ),
            (
                "encrypted but not marked so",
                not_encrypted_after_all,
                Some("test-passphrase"),
                "the key is damaged or cut short: it is not a PKCS#1 structure",
            ),
        ];
        for (name, pem, passphrase, expected) in cases {
            assert_eq!(message(&pem, passphrase), expected, "{name}");
        }
        for (bytes, expected) in [
            (&b"\xff\xfe-\0"[..], "the key is UTF-16 text; save the file as UTF-8"),
            (b"\x30\x82\x04\xbe", "the key is in binary (DER) form; convert it to PEM"),
            (b"\xc3\x28", "the key is not text"),
        ] {
            assert_eq!(SigningKey::from_pem(bytes, None).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn wrong_passphrases_never_read_as_damage() {
        // A wrong key's padding fits by chance once in 256 times; the message must be the same then.
        let vectors = vectors::read();
        for pem in ["private_key_pkcs1_legacy_encrypted_pem", "private_key_pkcs8_encrypted_pem"] {
            let pem = vectors["test_key"][pem].as_str().unwrap();
            for attempt in 0..600 {
                let expected = "the key cannot be decrypted: the passphrase is wrong";
                assert_eq!(message(pem, Some(&format!("wrong {attempt}"))), expected);
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error_never_a_panic() {
        let vectors = vectors::read();
        for (pem, end) in [
            ("private_key_pkcs8_pem", "-----END PRIVATE KEY-----"),
            ("private_key_pkcs1_pem", "-----END RSA PRIVATE KEY-----"),
            ("private_key_pkcs1_legacy_encrypted_pem", "-----END RSA PRIVATE KEY-----"),
        ] {
            let pem = vectors["test_key"][pem].as_str().unwrap();
            let body = pem.split(end).next().unwrap();
            for cut in (0..body.len()).step_by(7) {
                message(&pem[..cut], Some("test-passphrase"));
                message(&format!("{}\n{end}", &pem[..cut]), Some("test-passphrase"));
            }
        }
    }

    #[test]
    fn new_keys_have_the_official_shape_and_survive_a_round_trip() {
        let mut rng = Blinding::new(&[7; 32], b"a reproducible generator for tests");
        let key = SigningKey::generate(&mut rng).unwrap();
        let read = SigningKey::from_pem(key.to_pkcs8_pem().expose().as_bytes(), Some("not needed")).unwrap();
        assert_eq!(read.fingerprint(), key.fingerprint());
        assert_eq!(read.sign(b"x").unwrap(), key.sign(b"x").unwrap());
        assert_eq!(read.sign_digest(&Sha256::digest(b"x").into()).unwrap(), key.sign(b"x").unwrap());
        assert!(
            key.public_key_pem().starts_with("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
        );
        assert!(key.has_public_numbers(&[&[0, 0], &key.key.n().to_bytes_be()[..]].concat(), &[1, 0, 1]));
        assert!(!key.has_public_numbers(&[1], &[1, 0, 1]));
        let pem = key.to_pkcs8_pem();
        let debug = format!("{key:?}");
        assert!(
            debug.starts_with("SigningKey(") && debug.len() < 64 && !pem.expose().contains(&debug),
            "{debug}"
        );
    }

    #[test]
    fn blinding_differs_per_message_and_key_but_repeats() {
        let numbers = |secret: u8, message: &[u8]| {
            use rsa::rand_core::RngCore as _;
            let mut blinding = Blinding::new(&[secret; 32], message);
            (blinding.next_u64(), blinding.next_u32(), blinding.next_u64())
        };
        assert_eq!(numbers(1, b"a"), numbers(1, b"a"));
        assert_ne!(numbers(1, b"a"), numbers(1, b"b"));
        assert_ne!(numbers(1, b"a"), numbers(2, b"a"));
        let (first, _, third) = numbers(1, b"a");
        assert_ne!(first, third);
    }
}
