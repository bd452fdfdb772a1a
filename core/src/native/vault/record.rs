//! What is stored of a session.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::engine::chain::{Chain, ChainEnd, Intent, Knowledge, Known, Spent};
use crate::engine::credential::{Bearer, Credential, Grant};
use crate::engine::error::Error;
use crate::engine::secret::Secret;
use crate::engine::time::UnixMillis;
use crate::native::lockfile::hex;

/// A stored sign-in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Whom the tokens may be sent to: the issuer or endpoint, and the client. Another one gets nothing.
    pub origin: String,
    /// The access token.
    #[serde(with = "secret")]
    pub access_token: Option<Secret<String>>,
    /// Its type; empty: `Bearer`.
    pub token_type: String,
    /// When it was issued.
    pub issued_at: Option<UnixMillis>,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
    /// The moment beyond which nothing extends it.
    pub horizon: Option<UnixMillis>,
    /// The refresh token.
    #[serde(with = "secret")]
    pub refresh_token: Option<Secret<String>>,
    /// Which link of the chain it is.
    pub serial: u64,
    /// When the chain began.
    pub started_at: Option<UnixMillis>,
    /// When this link was issued.
    pub refreshed_at: Option<UnixMillis>,
    /// The refresh token's life as told with it, milliseconds.
    pub reported_life_ms: Option<u64>,
    /// The idle limit in milliseconds, and how it is known.
    pub idle_limit_ms: Option<(u64, String)>,
    /// The absolute end, and how it is known.
    pub absolute_end: Option<(UnixMillis, String)>,
    /// The record of the refresh token having been presented.
    pub intent: Option<StoredIntent>,
    /// The chain belongs to somebody else as well: it was brought along (`outlast login --refresh-token-file`), so
    /// `outlast logout` does not revoke it.
    pub shared: bool,
    /// It is a job's, forked from the person's chain that began then: one grant, which whoever leaves last revokes.
    pub fork_of: Option<UnixMillis>,
}

/// An [`Intent`] bound to the refresh token it speaks of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredIntent {
    /// SHA-256 of the refresh token, hex.
    pub token: String,
    /// [`Intent::serial`]
    pub serial: u64,
    /// [`Intent::began_at`]
    pub began_at: UnixMillis,
    /// [`Intent::attempts`]
    pub attempts: u32,
    /// The name of a [`ChainEnd`]; `None`: unknown.
    pub ended: Option<String>,
    /// The process that presented it, for people who look for what happened.
    pub process: u32,
}

impl Record {
    /// The record of a grant. What the grant does not know (`origin`, `shared`, `fork_of`) is taken from `before`.
    pub fn of(grant: &Grant, before: Record) -> Record {
        let bearer = grant.credential.bearer().ok();
        let chain = grant.chain.as_deref();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Record {
            access_token: bearer.map(|bearer| bearer.token().clone()),
            token_type: bearer.map(|bearer| bearer.token_type().to_owned()).unwrap_or_default(),
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
            horizon: grant.horizon,
            refresh_token: chain.map(|chain| chain.refresh.clone()),
            serial: chain.map_or(0, |chain| chain.serial),
            started_at: chain.and_then(|chain| chain.started_at),
            refreshed_at: chain.and_then(|chain| chain.refreshed_at),
            reported_life_ms: chain.and_then(|chain| chain.reported_life).map(millis),
            idle_limit_ms: chain
                .and_then(|chain| chain.idle_limit)
                .map(|limit| (millis(limit.value), known_as(limit.by).to_owned())),
            absolute_end: chain
                .and_then(|chain| chain.absolute_end)
                .map(|end| (end.value, known_as(end.by).to_owned())),
            intent: None,
            ..before
        }
    }

    /// The grant of the record; `dress` makes the credential of token and type. `None`: there is no access token.
    ///
    /// Errors: of `dress`.
    pub fn grant(
        &self,
        dress: impl FnOnce(Secret<String>, &str) -> Result<Bearer, Error>,
    ) -> Result<Option<Grant>, Error> {
        let Some(token) = self.access_token.clone() else { return Ok(None) };
        let token_type = if self.token_type.is_empty() { "Bearer" } else { &self.token_type };
        let credential = Credential::Bearer(dress(token, token_type)?);
        Ok(Some(Grant {
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            horizon: self.horizon,
            chain: self.chain().map(Box::new),
            ..Grant::new(credential)
        }))
    }

    /// The chain of the record.
    pub fn chain(&self) -> Option<Chain> {
        let refresh = self.refresh_token.clone()?;
        let by = |name: &str| match name {
            "reported" => Knowledge::Reported,
            "learned" => Knowledge::Learned,
            _ => Knowledge::Declared,
        };
        let intent = self.intent.as_ref().filter(|intent| intent.token == fingerprint(&refresh));
        Some(Chain {
            serial: self.serial.max(1),
            started_at: self.started_at,
            refreshed_at: self.refreshed_at,
            reported_life: self.reported_life_ms.map(Duration::from_millis),
            idle_limit: self
                .idle_limit_ms
                .as_ref()
                .map(|(limit, name)| Known { value: Duration::from_millis(*limit), by: by(name) }),
            absolute_end: self.absolute_end.as_ref().map(|(end, name)| Known { value: *end, by: by(name) }),
            intent: intent.map(StoredIntent::intent),
            ..Chain::first(refresh, None)
        })
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Room for the whole, so that growing leaves no copies.
        let mut text = Zeroizing::new(Vec::with_capacity(256 << 10));
        serde_json::to_writer(&mut *text, self).expect("a record has no maps, and memory takes it");
        text
    }

    pub(super) fn from_json(text: &[u8]) -> Option<Record> {
        // An array would be taken for the members in their order.
        if text.starts_with(b"{") { serde_json::from_slice(text).ok() } else { None }
    }
}

impl StoredIntent {
    /// The record of presenting `refresh`.
    pub fn of(refresh: &Secret<String>, intent: &Intent) -> StoredIntent {
        StoredIntent {
            token: fingerprint(refresh),
            serial: intent.serial,
            began_at: intent.began_at,
            attempts: intent.attempts,
            ended: match intent.outcome {
                Spent::Unknown => None,
                Spent::Ended(end) => Some(end.name().to_owned()),
            },
            process: std::process::id(),
        }
    }

    fn intent(&self) -> Intent {
        let ended = self.ended.as_deref().map(|name| ChainEnd::from_name(name).unwrap_or(ChainEnd::Revoked));
        Intent {
            serial: self.serial,
            began_at: self.began_at,
            attempts: self.attempts,
            outcome: ended.map_or(Spent::Unknown, Spent::Ended),
        }
    }
}

fn known_as(by: Knowledge) -> &'static str {
    match by {
        Knowledge::Declared => "declared",
        Knowledge::Reported => "reported",
        Knowledge::Learned => "learned",
    }
}

/// Tells refresh tokens apart without holding them.
pub(crate) fn fingerprint(token: &Secret<String>) -> String {
    hex(&Sha256::digest(token.expose().as_bytes()))
}

mod secret {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        let bearer = Bearer::new(Secret::new("at".into()), "bearer").expect("a good token");
        let chain = Chain {
            serial: 3,
            started_at: Some(UnixMillis(1000)),
            refreshed_at: Some(UnixMillis(2000)),
            reported_life: Some(Duration::from_secs(9)),
            idle_limit: Some(Known { value: Duration::from_secs(9), by: Knowledge::Reported }),
            absolute_end: Some(Known { value: UnixMillis(99_000), by: Knowledge::Learned }),
            ..Chain::first(Secret::new("rt".into()), None)
        };
        Grant {
            expires_at: Some(UnixMillis(5000)),
            chain: Some(Box::new(chain)),
            ..Grant::new(Credential::Bearer(bearer))
        }
    }

    #[test]
    fn a_grant_survives_the_vault() {
        let before = Record { origin: "o".into(), shared: true, ..Record::default() };
        let record = Record::of(&grant(), before);
        let record = Record::from_json(&record.to_json()).expect("just written");
        assert_eq!((record.origin.as_str(), record.shared), ("o", true));
        let back = record.grant(Bearer::new).expect("a good token").expect("there is one");
        assert!(back.credential.same_as(&grant().credential) && back.spends_same(&grant()));
        let (chain, was) = (back.chain.expect("kept"), grant().chain.expect("made"));
        assert_eq!(
            (chain.serial, chain.started_at, chain.reported_life),
            (3, was.started_at, was.reported_life)
        );
        assert_eq!((chain.idle_limit, chain.absolute_end), (was.idle_limit, was.absolute_end));
        assert_eq!(back.expires_at, Some(UnixMillis(5000)));
    }

    #[test]
    fn an_intent_speaks_of_its_own_token_only() {
        let mut record = Record::of(&grant(), Record::default());
        let refresh = Secret::new("rt".to_owned());
        for outcome in [Spent::Unknown, Spent::Ended(ChainEnd::Reused)] {
            let intent = Intent { serial: 3, began_at: UnixMillis(7), attempts: 2, outcome };
            record.intent = Some(StoredIntent::of(&refresh, &intent));
            let back = Record::from_json(&record.to_json()).expect("just written");
            assert_eq!(back.chain().expect("kept").intent, Some(intent));
        }
        record.refresh_token = Some(Secret::new("newer".into()));
        assert_eq!(record.chain().expect("kept").intent, None);
        assert!(!String::from_utf8_lossy(&record.to_json()).contains("\"rt\""));
    }

    #[test]
    fn foreign_records_are_refused_or_read_with_what_they_have() {
        assert!(Record::from_json(b"{}").expect("all is optional").access_token.is_none());
        for text in ["", "[]", "{\"serial\":-1}", "{\"access_token\":7}", "null"] {
            assert!(Record::from_json(text.as_bytes()).is_none(), "{text}");
        }
    }
}
