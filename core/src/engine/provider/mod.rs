//! Identity providers as data: what a failure means, what may be done when an answer was lost, how long things live.
//!
//! A further provider is a row of [`table`], or a `[provider NAME]` section of the sessions file; no code knows a
//! provider by its name.

pub(crate) mod classify;
mod table;

use std::borrow::Cow;
use std::time::Duration;

pub use classify::{Meaning, Rule, no_answer};
pub use table::{GENERIC_RULES, PROVIDERS, find, names};

use crate::engine::chain::{ChainProfile, ExpirySign, OnAmbiguous};
use crate::engine::session::Windows;

/// Which requests a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// [`crate::engine::wire::oauth2`]
    OAuth2,
    /// [`crate::engine::wire::folio`]
    Folio,
}

/// Whom an assertion of `private_key_jwt` is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The issuer: the newest guidance, safe against a token endpoint that was swapped.
    Issuer,
    /// The token endpoint's URL, as older servers want it.
    TokenEndpoint,
}

/// How a job gets tokens of its own from a person's sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobGrant {
    /// The person's access token is exchanged for a pair (RFC 8693).
    Exchange,
    /// The client's own token: the job executes as a service.
    ClientCredentials,
    /// The refresh token that the person's session has just used is presented once more, where that gives a second chain.
    Fork,
}

impl JobGrant {
    /// The way of that name in a sessions file.
    pub fn from_name(name: &str) -> Option<JobGrant> {
        match name {
            "exchange" => Some(JobGrant::Exchange),
            "client_credentials" => Some(JobGrant::ClientCredentials),
            "fork" => Some(JobGrant::Fork),
            _ => None,
        }
    }
}

/// An answer of a resource server that means "expired" although it is not 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The status.
    pub status: u16,
    /// What must stand in the body; empty: the status is enough.
    pub contains: Cow<'static, str>,
}

/// Paths of the endpoints below the issuer, for servers without discovery; empty: there is none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Paths {
    /// Token endpoint.
    pub token: Cow<'static, str>,
    /// Authorization endpoint.
    pub authorization: Cow<'static, str>,
    /// Device authorization endpoint.
    pub device: Cow<'static, str>,
    /// Revocation endpoint.
    pub revocation: Cow<'static, str>,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a server")]
pub struct Provider {
    /// The name in the sessions file.
    pub name: Cow<'static, str>,
    /// What it is, for people.
    pub about: Cow<'static, str>,
    /// Which requests it takes.
    pub dialect: Dialect,
    /// What its failures mean; the first rule that fits counts, after these [`GENERIC_RULES`].
    pub rules: Cow<'static, [Rule]>,
    /// A refresh uses the refresh token up.
    pub rotates: bool,
    /// What may be done with a refresh token whose answer was lost.
    pub on_ambiguous: OnAmbiguous,
    /// The old access token dies when its successor is issued.
    pub old_dies: bool,
    /// A chain ends when it is not refreshed for so long; `None`: not known beforehand.
    pub idle_limit: Option<Duration>,
    /// A chain ends so long after signing in; `None`: not known beforehand.
    pub lifetime: Option<Duration>,
    /// How a job gets tokens of its own; `None`: the session has to say.
    pub job: Option<JobGrant>,
    /// Answers of resource servers that mean "expired", besides 401.
    pub expiry_signs: Cow<'static, [Sign]>,
    /// Life of an access token whose answer does not tell it.
    pub default_life: Duration,
    /// When to refresh.
    pub windows: Windows,
    /// Whom assertions are addressed to.
    pub assertion_audience: Audience,
    /// It takes PKCE with device codes, too, and may insist on it (RFC 8628 has none there).
    pub device_pkce: bool,
    /// There is a discovery document below the issuer.
    pub discovers: bool,
    /// The issuer that its document and answers name instead of the one that is asked; empty: the same.
    pub issuer_alias: Cow<'static, str>,
    /// Its document may hold paths instead of URLs.
    pub relative_endpoints: bool,
    /// The endpoints where there is no document.
    pub paths: Paths,
}

impl Provider {
    /// What the session machine needs of it.
    pub fn chain_profile(&self) -> ChainProfile {
        ChainProfile {
            rotates: self.rotates,
            on_ambiguous: self.on_ambiguous,
            old_dies: self.old_dies,
            idle_limit: self.idle_limit,
            lifetime: self.lifetime,
            expiry_signs: self
                .expiry_signs
                .iter()
                .map(|sign| ExpirySign {
                    status: sign.status,
                    contains: (!sign.contains.is_empty()).then(|| sign.contains.clone().into_owned()),
                })
                .collect(),
        }
    }
}
