//! The providers we know, one row each. Source: `oauth2.md` sections 6 to 9, `folio.md` sections 1 to 4.

use std::borrow::Cow;
use std::time::Duration;

use super::classify::{Meaning, Rule};
use super::{Audience, Dialect, JobGrant, Paths, Provider, Sign};
use crate::engine::chain::OnAmbiguous;
use crate::engine::session::Windows;

use Meaning::{Busy, CodeExpired, Dead, Denied, Misconfigured, Pending, Reused, SlowDown, Unknown};

const DAY: Duration = Duration::from_hours(24);

/// What the standard's error codes mean, after a provider's own rules.
pub const GENERIC_RULES: &[Rule] = &[
    Rule::new(0, "invalid_grant", "", Dead),
    Rule::new(0, "invalid_client", "", Misconfigured),
    Rule::new(0, "unauthorized_client", "", Misconfigured),
    Rule::new(0, "unsupported_grant_type", "", Misconfigured),
    Rule::new(0, "invalid_scope", "", Misconfigured),
    Rule::new(0, "invalid_target", "", Misconfigured),
    // A server that breaks while it answers may have acted.
    Rule::new(500, "", "", Unknown),
    Rule::new(0, "invalid_request", "", Misconfigured),
    Rule::new(0, "use_dpop_nonce", "", Misconfigured),
    Rule::new(0, "invalid_dpop_proof", "", Misconfigured),
    Rule::new(0, "authorization_pending", "", Pending),
    Rule::new(0, "slow_down", "", SlowDown),
    Rule::new(0, "access_denied", "", Denied),
    Rule::new(0, "expired_token", "", CodeExpired),
    Rule::new(0, "temporarily_unavailable", "", Busy),
    Rule::new(400, "server_error", "", Busy),
    Rule::new(400, "internal_failure", "", Busy),
];

/// A server of which nothing is known beyond the standard.
const GENERIC: Provider = Provider {
    name: Cow::Borrowed("generic"),
    about: Cow::Borrowed("any OAuth 2.0 or OpenID Connect server"),
    dialect: Dialect::OAuth2,
    rules: Cow::Borrowed(&[]),
    rotates: true,
    // Without a known window: soon enough that a server's usual grace covers it, and it never was ours if it fails.
    on_ambiguous: OnAmbiguous::Replay { within: Duration::from_secs(10) },
    old_dies: false,
    idle_limit: None,
    lifetime: None,
    job: None,
    expiry_signs: Cow::Borrowed(&[]),
    default_life: Duration::from_mins(5),
    windows: Windows {
        advisory_percent: 20,
        advisory_least: Duration::from_mins(1),
        mandatory: Duration::from_secs(10),
    },
    assertion_audience: Audience::Issuer,
    device_pkce: false,
    discovers: true,
    issuer_alias: Cow::Borrowed(""),
    relative_endpoints: false,
    paths: Paths {
        token: Cow::Borrowed(""),
        authorization: Cow::Borrowed(""),
        device: Cow::Borrowed(""),
        revocation: Cow::Borrowed(""),
    },
};

/// The table.
pub const PROVIDERS: &[Provider] = &[
    GENERIC,
    Provider {
        name: Cow::Borrowed("oidc-provider"),
        about: Cow::Borrowed(
            "node oidc-provider: any reuse ends the whole grant, and nothing tells it apart",
        ),
        on_ambiguous: OnAmbiguous::None,
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("keycloak"),
        about: Cow::Borrowed("Keycloak 17 and later; with max reuse N set on_ambiguous = count:N"),
        rules: Cow::Borrowed(&[
            Rule::new(400, "invalid_grant", "maximum allowed refresh token reuse exceeded", Reused),
            Rule::new(400, "invalid_grant", "stale token", Reused),
            // An assertion that arrived twice; the next attempt has a new one.
            Rule::new(400, "invalid_client", "token reuse detected", Busy),
            Rule::new(0, "not_allowed", "", Misconfigured),
        ]),
        on_ambiguous: OnAmbiguous::None,
        job: Some(JobGrant::Exchange),
        device_pkce: true,
        paths: Paths {
            token: Cow::Borrowed("/protocol/openid-connect/token"),
            authorization: Cow::Borrowed("/protocol/openid-connect/auth"),
            device: Cow::Borrowed("/protocol/openid-connect/auth/device"),
            revocation: Cow::Borrowed("/protocol/openid-connect/revoke"),
        },
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("django-oauth-toolkit"),
        about: Cow::Borrowed("django-oauth-toolkit; with a grace period set on_ambiguous = replay:SECONDS"),
        on_ambiguous: OnAmbiguous::None,
        old_dies: true,
        expiry_signs: Cow::Borrowed(&[Sign { status: 403, contains: Cow::Borrowed("") }]),
        default_life: Duration::from_hours(10),
        discovers: false,
        paths: Paths {
            token: Cow::Borrowed("/token/"),
            authorization: Cow::Borrowed("/authorize/"),
            device: Cow::Borrowed("/device-authorization/"),
            revocation: Cow::Borrowed("/revoke_token/"),
        },
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("hydra"),
        about: Cow::Borrowed(
            "Ory Hydra and other servers on fosite; with a grace period set on_ambiguous = fork:SECONDS",
        ),
        rules: Cow::Borrowed(&[
            Rule::new(400, "invalid_grant", "already used", Reused),
            Rule::new(400, "invalid_request", "multiple concurrent requests", Busy),
        ]),
        on_ambiguous: OnAmbiguous::None,
        old_dies: true,
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("dex"),
        about: Cow::Borrowed("Dex: reuse is refused and ends nothing else"),
        rules: Cow::Borrowed(&[
            Rule::new(400, "invalid_request", "refresh token expired", Dead),
            Rule::new(400, "invalid_request", "refresh token is invalid", Dead),
        ]),
        // Its reuse interval may be shorter; a replay that comes too late is refused and harms nothing.
        on_ambiguous: OnAmbiguous::Replay { within: Duration::from_secs(30) },
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("okta"),
        about: Cow::Borrowed("Okta; with a rotation grace period set on_ambiguous = fork:SECONDS"),
        on_ambiguous: OnAmbiguous::None,
        default_life: Duration::from_hours(1),
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("auth0"),
        about: Cow::Borrowed("Auth0; with a rotation overlap set on_ambiguous = fork:SECONDS"),
        on_ambiguous: OnAmbiguous::None,
        default_life: DAY,
        paths: Paths {
            token: Cow::Borrowed("/oauth/token"),
            authorization: Cow::Borrowed("/authorize"),
            device: Cow::Borrowed("/oauth/device/code"),
            revocation: Cow::Borrowed("/oauth/revoke"),
        },
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("oracle-identity-domain"),
        about: Cow::Borrowed("an OCI identity domain (IDCS); issuer is the domain's URL"),
        on_ambiguous: OnAmbiguous::None,
        idle_limit: Some(Duration::from_hours(24 * 7)),
        default_life: Duration::from_hours(1),
        issuer_alias: Cow::Borrowed("https://identity.oraclecloud.com/"),
        relative_endpoints: true,
        paths: Paths {
            token: Cow::Borrowed("/oauth2/v1/token"),
            authorization: Cow::Borrowed("/oauth2/v1/authorize"),
            device: Cow::Borrowed("/oauth2/v1/device"),
            revocation: Cow::Borrowed("/oauth2/v1/revoke"),
        },
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("oracle-iot"),
        about: Cow::Borrowed(
            "Oracle IoT: refresh tokens end an hour after signing in unless the application allows more (set lifetime)",
        ),
        on_ambiguous: OnAmbiguous::None,
        idle_limit: Some(Duration::from_mins(30)),
        lifetime: Some(Duration::from_hours(1)),
        default_life: Duration::from_mins(15),
        discovers: false,
        paths: Paths {
            token: Cow::Borrowed("/oauth2/token"),
            authorization: Cow::Borrowed("/oauth2/authorize"),
            device: Cow::Borrowed(""),
            revocation: Cow::Borrowed("/oauth2/revoke"),
        },
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("folio-okapi"),
        about: Cow::Borrowed("FOLIO on Okapi: one reuse ends every session of the user in the tenant"),
        dialect: Dialect::Folio,
        rules: Cow::Borrowed(FOLIO_RULES),
        on_ambiguous: OnAmbiguous::None,
        idle_limit: Some(Duration::from_hours(24 * 7)),
        expiry_signs: Cow::Borrowed(&[Sign { status: 400, contains: Cow::Borrowed("Token missing") }]),
        default_life: Duration::from_mins(10),
        discovers: false,
        ..GENERIC
    },
    Provider {
        name: Cow::Borrowed("folio-eureka"),
        about: Cow::Borrowed("FOLIO on Eureka (Kong and Keycloak): a session ends 24 h after signing in"),
        dialect: Dialect::Folio,
        rules: Cow::Borrowed(FOLIO_RULES),
        on_ambiguous: OnAmbiguous::None,
        lifetime: Some(DAY),
        expiry_signs: Cow::Borrowed(&[Sign { status: 400, contains: Cow::Borrowed("Token missing") }]),
        default_life: Duration::from_mins(10),
        discovers: false,
        ..GENERIC
    },
];

const FOLIO_RULES: &[Rule] = &[
    // "Refused, or any trouble behind the front end": both modules turn every failure into this.
    Rule::new(422, "token.refresh.unprocessable", "", Unknown),
    Rule::new(422, "token.logout.unprocessable", "", Unknown),
    Rule::new(400, "token.parse.failure", "", Misconfigured),
    Rule::new(422, "", "", Misconfigured),
    // Also what a validation of the token answers, in plain words.
    Rule::new(401, "", "", Dead),
];

/// A provider by name.
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// All names, for messages.
pub fn names() -> String {
    PROVIDERS.iter().map(|provider| &*provider.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        let mut names: Vec<_> = PROVIDERS.iter().map(|provider| &provider.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), PROVIDERS.len());
        for provider in PROVIDERS {
            assert!(!provider.about.is_empty() && !provider.default_life.is_zero());
            let paths = [&provider.paths.token, &provider.paths.revocation, &provider.paths.device];
            assert!(paths.into_iter().all(|path| path.is_empty() || path.starts_with('/')));
            // A server that cannot be looked up has its paths in its row.
            assert!(
                provider.discovers || provider.dialect == Dialect::Folio || !provider.paths.token.is_empty(),
                "{}",
                provider.name
            );
            // Where one stray use may end more than the own chain, nothing is ever used twice.
            if provider.dialect == Dialect::Folio {
                assert_eq!(provider.chain_profile().on_ambiguous, OnAmbiguous::None);
            }
        }
        assert!(find("django-oauth-toolkit").unwrap().chain_profile().means_expired(403, b""));
        assert!(find("folio-okapi").unwrap().chain_profile().means_expired(400, b"Token missing, access"));
    }
}
