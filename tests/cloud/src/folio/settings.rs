//! How the FOLIO front ends behave.

use crate::oauth::settings::{Blast, ErrorStyle, LifetimeMember, OauthSettings, Rotation, TokenForm};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Switches of the FOLIO front ends. In JSON they are the object `folio` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches are what it is made of")]
pub struct FolioSettings {
    /// Which platform answers.
    pub platform: Platform,
    /// The one tenant; on Eureka also the realm.
    pub tenant: String,
    /// Life of access tokens.
    #[serde(rename = "access_life_s", with = "crate::seconds")]
    pub access_life: Duration,
    /// Life of a refresh token; on Eureka the life of the whole session. `None`: 7 days, and 24 hours on Eureka.
    #[serde(rename = "refresh_life_s", with = "crate::seconds::option")]
    pub refresh_life: Option<Duration>,
    /// Eureka: Keycloak's "refresh token max reuse".
    pub max_reuse: u32,
    /// Okapi: `POST /authn/login` gives tokens without end.
    pub legacy_tokens: bool,
    /// Whatever stands behind the login module fails; the caller hears 422.
    pub inner_failure: bool,
    /// Okapi: how long a path once open to a token stays open to it. The real one: 180 seconds.
    #[serde(rename = "gateway_cache_s", with = "crate::seconds")]
    pub gateway_cache: Duration,
    /// Eureka: an expired user token is refused between modules too, as until November 2024.
    pub nested_calls_check_expiry: bool,
    /// Eureka: a module's egress turns a 401 of its target into 503 with `Retry-After: 1`.
    pub egress_answers_503: bool,
    /// How long an import works on a record before it makes the nested call.
    #[serde(rename = "record_time_s", with = "crate::seconds")]
    pub record_time: Duration,
}

/// Which FOLIO platform answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Okapi with mod-login and mod-authtoken.
    #[default]
    Okapi,
    /// Kong with Keycloak, mod-login-keycloak and sidecars.
    Eureka,
}

impl Default for FolioSettings {
    fn default() -> Self {
        Self {
            platform: Platform::Okapi,
            tenant: "diku".into(),
            access_life: Duration::from_mins(10),
            refresh_life: None,
            max_reuse: 0,
            legacy_tokens: true,
            inner_failure: false,
            gateway_cache: Duration::ZERO,
            nested_calls_check_expiry: true,
            egress_answers_503: false,
            record_time: Duration::ZERO,
        }
    }
}

impl FolioSettings {
    /// The rules of the store that keeps this platform's tokens.
    pub(crate) fn oauth(&self, usual: &OauthSettings) -> OauthSettings {
        let common = OauthSettings {
            access_life: self.access_life,
            earliest_refresh: usual.earliest_refresh,
            ..OauthSettings::default()
        };
        match self.platform {
            Platform::Okapi => OauthSettings {
                idle: self.refresh_life.unwrap_or(Duration::from_hours(7 * 24)),
                absolute: None,
                rotation: Rotation::Strict,
                blast: Blast::User,
                blast_reaches_access: false,
                ..common
            },
            Platform::Eureka => {
                let session = self.refresh_life.unwrap_or(Duration::from_hours(24));
                OauthSettings {
                    style: ErrorStyle::Keycloak,
                    access_form: TokenForm::Jwt,
                    refresh_form: TokenForm::Jwt,
                    idle: session,
                    absolute: Some(session),
                    rotation: Rotation::Count,
                    max_reuse: self.max_reuse,
                    blast: Blast::ClientSession,
                    blast_reaches_access: false,
                    lifetime_member: LifetimeMember::RefreshExpiresIn,
                    ..common
                }
            }
        }
    }

    /// The client that logs users in; on Eureka it is registered in the realm.
    pub(crate) fn login_client(&self) -> String {
        match self.platform {
            Platform::Okapi => "mod-authtoken".into(),
            Platform::Eureka => format!("{}-login-application", self.tenant),
        }
    }
}
