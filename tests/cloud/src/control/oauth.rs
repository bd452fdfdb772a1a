//! The control interface's part for the authorization server and the FOLIO front ends.

use super::Control;
use crate::error::{Error, ErrorKind};
use crate::oauth::client::ClientSpec;
use crate::oauth::face::Place;
use crate::oauth::settings::Preset;
use crate::oauth::store::{ChainFacts, Decision, Mint};
use crate::oauth::style::Why;
use crate::oauth::watch::Violation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A grant made without a browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrantSpec {
    /// Client it is granted to.
    pub client: String,
    /// User who grants it.
    pub user: String,
    /// Scope; `None` for all the client may have.
    pub scope: Option<String>,
}

impl Default for GrantSpec {
    fn default() -> Self {
        Self { client: "cli".into(), user: "ann".into(), scope: None }
    }
}

/// What is ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndGrant {
    /// One chain, its access tokens included.
    Chain(usize),
    /// Every session of a user, as an administrator would end them.
    User(String),
    /// The newest access token of a chain only: the resource refuses it before its time.
    AccessToken(usize),
}

impl Control {
    /// Takes over the ways of a server (see [`Preset`]).
    pub fn oauth_preset(&self, preset: Preset) {
        self.change(|settings| settings.oauth.take_over(preset));
    }

    /// Registers a client, or changes one. Errors: `Invalid`, `Key`.
    pub fn oauth_client(&self, spec: &ClientSpec) -> Result<(), Error> {
        let client = spec.client()?;
        self.service.oauth.state().clients.insert(spec.id.clone(), client);
        Ok(())
    }

    /// Registers a user, or changes the password of one.
    pub fn oauth_user(&self, name: &str, password: &str) {
        self.service.oauth.state().users.insert(name.into(), password.into());
    }

    /// Grants a chain as if `user` had signed in, and says what the token endpoint would have answered.
    ///
    /// `origin` is the base URL that clients use: it stands in the tokens. Errors: `Missing` (no such client), `Key`.
    pub fn oauth_grant(&self, grant: &GrantSpec, origin: &str) -> Result<Value, Error> {
        let settings = self.service.settings();
        let mut state = self.service.oauth.state();
        let missing = || Error::new(ErrorKind::Missing, format!("there is no client {}", grant.client));
        let client = state.clients.get(&grant.client).ok_or_else(missing)?;
        let scope = grant.scope.clone().unwrap_or_else(|| client.scope.clone());
        let now = self.service.clock.now();
        let session = state.open_session(&grant.user, now);
        let chain = state.open_chain(&grant.client, Some(session), &scope, now);
        let mint = Mint {
            settings: &settings.oauth,
            issuer: &self.service.oauth.issuer,
            url: &Place::own(origin).issuer,
            now,
            okapi: None,
        };
        mint.issue(&mut state, chain, &scope, None, true)
    }

    /// Ends grants from outside; says how many there were.
    pub fn oauth_end(&self, which: &EndGrant) -> usize {
        let mut state = self.service.oauth.state();
        match which {
            EndGrant::Chain(chain) if *chain < state.chains.len() => {
                state.end_chain(*chain, Why::SessionEnded, true);
                1
            }
            EndGrant::AccessToken(chain) => {
                let newest = state.chains.get(*chain).map(|chain| chain.access.clone()).unwrap_or_default();
                state.access.get_mut(&newest).map_or(0, |token| {
                    token.revoked = true;
                    1
                })
            }
            EndGrant::Chain(_) => 0,
            EndGrant::User(user) => {
                let of_user = |number: &usize| state.sessions[*number].user == *user;
                let sessions: Vec<_> = (0..state.sessions.len()).filter(of_user).collect();
                for session in &sessions {
                    state.end_session(*session, true);
                }
                sessions.len()
            }
        }
    }

    /// Approves (as this user) or denies the device with this user code; false if there is none.
    pub fn oauth_device(&self, user_code: &str, user: Option<&str>) -> bool {
        let decision = user.map_or(Decision::Denied, |user| Decision::Approved(user.into()));
        crate::oauth::decide(&mut self.service.oauth.state(), user_code, &decision)
    }

    /// All chains, oldest first; those of FOLIO are among them.
    pub fn oauth_chains(&self) -> Vec<ChainFacts> {
        self.service.oauth.chains()
    }

    /// What clients did that no client may do, oldest first.
    pub fn violations(&self) -> Vec<Violation> {
        self.service.oauth.watch.all()
    }

    /// Kinds of secrets of the authorization server that occur in a text (a log, an event stream, an error).
    pub fn secrets_in(&self, text: &str) -> Vec<&'static str> {
        self.service.oauth.secrets_in(text)
    }

    /// Messages that a Eureka platform would have published: logouts.
    pub fn folio_events(&self) -> Vec<Value> {
        self.service.folio.events()
    }

    /// What a restart of mod-authtoken without a configured key does: every Okapi token is worthless.
    pub fn folio_restart(&self) {
        self.service.folio.restart();
        let mut state = self.service.oauth.state();
        let state = &mut *state;
        let gone: Vec<usize> = (0..state.chains.len())
            .filter(|number| state.chains[*number].client == "mod-authtoken")
            .collect();
        state.refresh.retain(|_, token| !gone.contains(&token.chain));
        state.access.retain(|_, token| token.chain.is_none_or(|chain| !gone.contains(&chain)));
    }
}
