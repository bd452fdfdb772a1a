//! What a session token says about itself. Its signature is not checked: that is the service's business.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::credential::{Credential, Grant};
use super::error::{Error, ErrorKind};
use super::secret::Secret;
use super::sign::SigningKey;
use super::time::UnixMillis;

/// The claims that matter for planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `exp`
    pub expires_at: UnixMillis,
    /// `iat`
    pub issued_at: Option<UnixMillis>,
    /// `sess_exp`: an upper bound for refreshing, if the token tells one.
    pub session_ends_at: Option<UnixMillis>,
    /// `sub`
    pub subject: Option<String>,
    /// `tenant`
    pub tenant: Option<String>,
}

impl Claims {
    /// Reads a compact JWT; spaces and line ends around it are ignored.
    ///
    /// Errors: `Config`, one line, never the token itself.
    pub fn parse(token: &str) -> Result<Claims, Error> {
        let bad = || Error::new(ErrorKind::Config, "the session token cannot be read");
        let payload = token.trim().split('.').nth(1).ok_or_else(bad)?;
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| bad())?;
        let value: Value = serde_json::from_slice(&json).map_err(|_| bad())?;
        Ok(Claims {
            expires_at: UnixMillis::from_secs(value["exp"].as_i64().ok_or_else(bad)?),
            issued_at: value["iat"].as_i64().map(UnixMillis::from_secs),
            session_ends_at: None,
            subject: None,
            tenant: None,
        })
    }
}

/// Makes a grant of the text of a token file and the session's key.
///
/// Errors: `Config`: the text is no token, or the token belongs to another key (yet: the key is written first).
pub fn session_grant(token_text: &str, key: Arc<SigningKey>) -> Result<Grant, Error> {
    let claims = Claims::parse(token_text)?;
    Ok(Grant {
        credential: Credential::OciSession { token: Secret::new(token_text.trim().to_owned()), key },
        issued_at: claims.issued_at,
        expires_at: Some(claims.expires_at),
        horizon: claims.session_ends_at.map(|end| end.max(claims.expires_at)),
    })
}
