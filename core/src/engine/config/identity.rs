//! Who signs, and where the secrets of that are.

use std::path::{Path, PathBuf};

use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::sign::SigningKey;

/// How requests are authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// A user's API key: does not expire.
    ApiKey,
    /// A session token and the session's key.
    SecurityToken,
}

impl AuthKind {
    /// Reads the value of `--auth`.
    ///
    /// Errors: `Config`, naming what is supported.
    pub fn parse(text: &str) -> Result<AuthKind, Error> {
        const OTHERS: [&str; 5] = [
            "instance_principal",
            "instance_obo_user",
            "resource_principal",
            "oke_workload_identity",
            "pkcs11",
        ];
        match text {
            "api_key" => Ok(AuthKind::ApiKey),
            "security_token" => Ok(AuthKind::SecurityToken),
            _ => {
                let what = if OTHERS.contains(&text) { "is not supported yet" } else { "is not known" };
                let text: String = text.chars().take(40).collect();
                let message = format!("auth type {text:?} {what}; supported are api_key and security_token");
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    /// The value of `--auth`.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthKind::ApiKey => "api_key",
            AuthKind::SecurityToken => "security_token",
        }
    }
}

/// Who signs.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A user with an API key.
    ApiKey(ApiKeyIdentity),
    /// A signed-in session.
    Session(SessionIdentity),
}

impl Identity {
    /// Which kind it is.
    pub fn kind(&self) -> AuthKind {
        match self {
            Identity::ApiKey(_) => AuthKind::ApiKey,
            Identity::Session(_) => AuthKind::SecurityToken,
        }
    }
}

/// A user with an API key; every text has been checked.
#[derive(Clone, Debug)]
pub struct ApiKeyIdentity {
    /// Tenancy OCID.
    pub tenancy: String,
    /// User OCID.
    pub user: String,
    /// Fingerprint of the public key.
    pub fingerprint: String,
    /// The private key.
    pub key: KeySource,
    /// The key's passphrase, needed or not.
    pub passphrase: Option<Secret<String>>,
}

impl ApiKeyIdentity {
    /// `<tenancy>/<user>/<fingerprint>`
    pub fn key_id(&self) -> String {
        format!("{}/{}/{}", self.tenancy, self.user, self.fingerprint)
    }

    /// Checks that the key is the one whose fingerprint is configured.
    ///
    /// The service would answer a mismatch with the same 401 as everything else.
    /// Errors: `Config`, with both fingerprints (they are public).
    pub fn check_key(&self, key: &SigningKey) -> Result<(), Error> {
        if key.fingerprint() == self.fingerprint {
            return Ok(());
        }
        let message = format!(
            "the key's fingerprint is {}, the configured one is {}; the wrong key file, or an old fingerprint",
            key.fingerprint(),
            self.fingerprint
        );
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// A private key's place.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// The key itself, from `OCI_CLI_KEY_CONTENT`.
    Content(Secret<String>),
}

/// A signed-in session: both files may be replaced at any time by a refresh or a new sign-in.
#[derive(Clone, Debug)]
pub struct SessionIdentity {
    /// The session's private key.
    pub key_file: PathBuf,
    /// The key's passphrase, needed or not.
    pub passphrase: Option<Secret<String>>,
    /// The token.
    pub token_file: PathBuf,
    /// Tenancy OCID, if configured; the token names it too.
    pub tenancy: Option<String>,
}

/// At least five segments of letters, digits, `-`, `_`, separated by `.` or `:`; inner ones may be empty.
///
/// Source: `oci.md` section 1.3.
pub(super) fn is_ocid(text: &str) -> bool {
    let segments: Vec<&str> = text.split(['.', ':']).collect();
    let legal =
        |segment: &&str| segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    segments.len() >= 5
        && segments.iter().all(legal)
        && segments.first().is_some_and(|first| !first.is_empty())
        && segments.last().is_some_and(|last| !last.is_empty())
}

/// Sixteen lower-case hex pairs joined by `:`.
pub(super) fn is_fingerprint(text: &str) -> bool {
    let pair =
        |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    text.split(':').count() == 16 && text.split(':').all(pair)
}

/// What to tell about a secret file's mode (the low twelve bits of `st_mode`, of the file itself or of the link that leads
/// to it, as the caller looks): nothing when only the owner may read or write it.
///
/// The official tools warn for the same bits (octal 177: execute for the owner, anything for the others).
pub fn permission_warning(path: &Path, mode: u32) -> Option<String> {
    const UNWANTED: u32 = 0o177;
    let mode = mode & 0o7777;
    (mode & UNWANTED != 0).then(|| {
        let path = path.display();
        format!("the permissions of {path} are {mode:04o}, wider than they should be; run: chmod 600 {path}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ocids_are_told_from_other_text() {
        for text in [
            "ocid1.tenancy.oc1..aaaa",
            "ocid1.user.oc1.phx.x_y-z",
            "ocidv1:tenancy:oc1:phx:1460406592660:aaa",
            "a....b",
        ] {
            assert!(is_ocid(text), "{text}");
        }
        for text in [
            "",
            "....",
            "a...b",
            "a....",
            "....b",
            "a.b.c.d.e f",
            "a.b.c.d.é",
            "a/b.c.d.e.f",
            "a.b.c.d.\"e\"",
            "a.b.c.d.e\n",
        ] {
            assert!(!is_ocid(text), "{text}");
        }
    }

    #[test]
    fn fingerprints_are_exact() {
        let good = "f7:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11";
        assert!(is_fingerprint(good));
        for text in [
            &good.to_uppercase(),
            &good[3..],
            &format!("{good}:00"),
            &good.replace(':', ""),
            &good.replace("f7", "g7"),
            "",
        ] {
            assert!(!is_fingerprint(text), "{text}");
        }
    }

    #[test]
    fn auth_kinds_are_closed() {
        for kind in [AuthKind::ApiKey, AuthKind::SecurityToken] {
            assert_eq!(AuthKind::parse(kind.as_str()).unwrap(), kind);
        }
        assert_eq!(
            AuthKind::parse("instance_principal").unwrap_err().to_string(),
            "auth type \"instance_principal\" is not supported yet; supported are api_key and security_token"
        );
        assert_eq!(
            AuthKind::parse("API_KEY").unwrap_err().to_string(),
            "auth type \"API_KEY\" is not known; supported are api_key and security_token"
        );
    }

    #[test]
    fn wide_permissions_are_told() {
        for mode in [0o600, 0o400, 0o200, 0o000, 0o100_600] {
            assert_eq!(permission_warning(Path::new("k"), mode), None, "{mode:o}");
        }
        for mode in [0o644, 0o640, 0o602, 0o700, 0o100_660] {
            assert!(permission_warning(Path::new("k"), mode).is_some(), "{mode:o}");
        }
        assert_eq!(
            permission_warning(Path::new("/home/u/.oci/config"), 0o100_644).unwrap(),
            "the permissions of /home/u/.oci/config are 0644, wider than they should be; run: chmod 600 /home/u/.oci/config"
        );
    }

    #[test]
    fn a_key_is_compared_with_its_fingerprint() {
        let vectors = crate::engine::sign::vectors::read();
        let pem = vectors["test_key"]["private_key_pkcs8_pem"].as_str().unwrap();
        let key = SigningKey::from_pem(pem.as_bytes(), None).unwrap();
        let mut identity = ApiKeyIdentity {
            tenancy: "t".into(),
            user: "u".into(),
            fingerprint: key.fingerprint().to_owned(),
            key: KeySource::Content(pem.to_owned().into()),
            passphrase: None,
        };
        identity.check_key(&key).unwrap();
        assert_eq!(identity.key_id(), format!("t/u/{}", key.fingerprint()));
        assert!(!format!("{identity:?}").contains("BEGIN"));
        identity.fingerprint = identity.fingerprint.replace("f7", "00");
        assert_eq!(
            identity.check_key(&key).unwrap_err().to_string(),
            "the key's fingerprint is f7:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11, the configured one is \
             00:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11; the wrong key file, or an old fingerprint"
        );
    }
}
