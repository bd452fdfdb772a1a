//! The token endpoint.

use super::client::Asking;
use super::face::Place;
use super::form::{BadForm, Form};
use super::rotation::{Flying, Presented, Verdict};
use super::store::{Client, Decision, Mint, Proof, State, millis};
use super::style::{Why, no_store};
use super::watch::Rule;
use crate::http::reply::Reply;
use crate::service::{Call, Handled, Stop};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Between two polls of a device when the server named nothing (RFC 8628 section 3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// Why there are no tokens.
enum No {
    Refused(Why),
    Broken(Stop),
}

impl From<Why> for No {
    fn from(why: Why) -> Self {
        Self::Refused(why)
    }
}

/// Serves one request of the token endpoint.
pub(crate) fn serve(call: &Call<'_>, place: &Place, body: &[u8]) -> Handled {
    let settings = &call.settings.oauth;
    if settings.redirect {
        let trap = format!("{}/trap", place.issuer);
        return Ok(Reply::empty(307).with("location", trap).with("cache-control", "no-store"));
    }
    let mut flying = None;
    let mut reply = match grant(call, place, body, &mut flying) {
        Ok(tokens) => no_store(Reply::json(200, &tokens)),
        Err(No::Refused(why)) => why.reply(settings.style, &place.issuer),
        Err(No::Broken(stop)) => return Err(stop),
    };
    reply.flying = flying;
    Ok(reply)
}

/// Reads a form body, noting what is not as it must be.
pub(crate) fn read_form(call: &Call<'_>, body: &[u8]) -> Result<Form, Why> {
    let kind = call.head.get("content-type").unwrap_or_default();
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = parameters.trim().to_ascii_lowercase();
    let form = kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if !form || !(charset.is_empty() || charset == "charset=utf-8") {
        return Err(Why::NoForm);
    }
    Form::parse(body, &["resource", "audience"]).map_err(|bad| match bad {
        BadForm::Twice(name) => Why::Twice(name),
        BadForm::Encoding(why) => {
            call.service.oauth.watch.note(call.now(), Rule::Encoding, format!("form body: {why}"));
            Why::Encoding(why)
        }
    })
}

/// Which client sent this form.
pub(crate) fn client_of(
    call: &Call<'_>,
    place: &Place,
    form: &Form,
    state: &mut State,
) -> Result<(String, Client), Why> {
    Asking {
        authorization: call.head.get("authorization"),
        form,
        issuer: &place.issuer,
        token_url: &place.token_url,
        settings: &call.settings.oauth,
        watch: &call.service.oauth.watch,
        now: call.now(),
    }
    .client(state)
}

fn grant(call: &Call<'_>, place: &Place, body: &[u8], flying: &mut Option<Flying>) -> Result<Value, No> {
    let form = read_form(call, body)?;
    let kind = form.get("grant_type").ok_or(Why::Missing("grant_type"))?;
    let oauth = &call.service.oauth;
    let known = ["refresh_token", "client_credentials", "authorization_code", "password", DEVICE, EXCHANGE];
    if kind == "refresh_token" {
        // Counted before anything is judged, and until the answer has left: two of one chain must never be under way.
        let chain =
            form.get("refresh_token").and_then(|token| oauth.state().refresh.get(token).map(|t| t.chain));
        *flying = chain.map(|chain| Flying::start(oauth.shared(), chain, &oauth.watch, call.now()));
    }
    let mut state = oauth.state();
    let (id, client) = client_of(call, place, &form, &mut state)?;
    if !known.contains(&kind) {
        return Err(Why::GrantUnknown.into());
    }
    if !client.grants.is_empty() && !client.grants.iter().any(|grant| grant == kind) {
        return Err(Why::GrantNotAllowed.into());
    }
    let granting = Granting {
        call,
        form: &form,
        id: &id,
        client: &client,
        mint: Mint {
            settings: &call.settings.oauth,
            issuer: &oauth.issuer,
            url: &place.issuer,
            now: call.now(),
            okapi: None,
        },
    };
    match kind {
        "refresh_token" => granting.refresh(&mut state),
        "client_credentials" => granting.own(&mut state),
        "authorization_code" => granting.code(&mut state),
        "password" => granting.password(&mut state),
        DEVICE => granting.device(&mut state),
        _ => granting.exchange(&mut state),
    }
}

/// One grant under way.
struct Granting<'a> {
    call: &'a Call<'a>,
    form: &'a Form,
    id: &'a str,
    client: &'a Client,
    mint: Mint<'a>,
}

impl Granting<'_> {
    fn need(&self, name: &'static str) -> Result<&str, Why> {
        self.form.get(name).ok_or(Why::Missing(name))
    }

    /// The scope asked for, refused if the client may not have it.
    fn scope(&self) -> Result<String, Why> {
        let Some(asked) = self.form.get("scope") else { return Ok(self.client.scope.clone()) };
        let may = |scope: &str| self.client.scope.split(' ').any(|known| known == scope);
        match asked.split(' ').find(|scope| !may(scope)) {
            Some(scope) => Err(Why::Scope(scope.into())),
            None => Ok(asked.into()),
        }
    }

    fn issue(
        &self,
        state: &mut State,
        chain: usize,
        scope: &str,
        parent: Option<&str>,
        with_refresh: bool,
    ) -> Result<Value, No> {
        let issued = self.mint.issue(state, chain, scope, parent, with_refresh);
        issued.map_err(|error| No::Broken(error.into()))
    }

    fn refresh(&self, state: &mut State) -> Result<Value, No> {
        let token = self.need("refresh_token")?;
        let oauth = &self.call.service.oauth;
        let presented =
            Presented { token, client: self.id, scope: self.form.get("scope"), now: self.mint.now };
        match state.present(&presented, self.mint.settings, &oauth.watch)? {
            Verdict::Issue { chain, scope } => self.issue(state, chain, &scope, Some(token), true),
            Verdict::Replay(answer) => Ok(answer),
        }
    }

    fn own(&self, state: &mut State) -> Result<Value, No> {
        if matches!(self.client.proof, Proof::Nothing) {
            return Err(Why::GrantNotAllowed.into());
        }
        let scope = self.scope()?;
        let chain = state.open_chain(self.id, None, &scope, self.mint.now);
        self.issue(state, chain, &scope, None, self.mint.settings.refresh_for_clients)
    }

    fn password(&self, state: &mut State) -> Result<Value, No> {
        let (user, password) = (self.need("username")?, self.need("password")?);
        if state.users.get(user).is_none_or(|known| known != password) {
            return Err(Why::Code.into());
        }
        let scope = self.scope()?;
        let session = state.open_session(user, self.mint.now);
        let chain = state.open_chain(self.id, Some(session), &scope, self.mint.now);
        self.issue(state, chain, &scope, None, true)
    }

    fn code(&self, state: &mut State) -> Result<Value, No> {
        let (code, redirect_uri) = (self.need("code")?, self.need("redirect_uri")?);
        let known = state.codes.get(code).ok_or(Why::Code)?;
        if known.client != self.id {
            return Err(Why::Code.into());
        }
        if let Some(chain) = known.chain {
            // Whoever sends a code twice may have stolen it: all that came of it ends (RFC 6749 section 4.1.2).
            self.call.service.oauth.watch.note(self.mint.now, Rule::CodeReplayed, format!("chain {chain}"));
            state.end_chain(chain, Why::Detached, true);
            return Err(Why::Code.into());
        }
        if self.mint.now >= known.ends {
            return Err(Why::Code.into());
        }
        if known.redirect_uri != redirect_uri {
            return Err(Why::RedirectUri.into());
        }
        match (&known.challenge, self.form.get("code_verifier")) {
            (Some(challenge), Some(verifier)) => {
                let right = is_verifier(verifier)
                    && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == *challenge;
                if !right {
                    return Err(Why::Verifier.into());
                }
            }
            (Some(_), None) => return Err(Why::Missing("code_verifier").into()),
            (None, _) => {}
        }
        let (user, scope) = (known.user.clone(), known.scope.clone());
        let session = state.open_session(&user, self.mint.now);
        let chain = state.open_chain(self.id, Some(session), &scope, self.mint.now);
        if let Some(known) = state.codes.get_mut(code) {
            known.chain = Some(chain);
        }
        self.issue(state, chain, &scope, None, true)
    }

    fn device(&self, state: &mut State) -> Result<Value, No> {
        let code = self.need("device_code")?;
        let now = self.mint.now;
        let known = state.devices.get_mut(code).ok_or(Why::DeviceUnknown)?;
        if known.client != self.id {
            return Err(Why::DeviceUnknown.into());
        }
        if now >= known.ends {
            return Err(Why::DeviceExpired.into());
        }
        let too_fast = known.polled.is_some_and(|polled| now - polled < known.interval_ms);
        known.polled = Some(now);
        if too_fast {
            self.call.service.oauth.watch.note(now, Rule::PolledTooFast, format!("{} ms", known.interval_ms));
            if self.mint.settings.slow_down {
                known.interval_ms += 5000;
                return Err(Why::DeviceSlow.into());
            }
        }
        let user = match &known.decision {
            Decision::Pending => return Err(Why::DevicePending.into()),
            Decision::Denied => return Err(Why::DeviceDenied.into()),
            Decision::Approved(user) => user.clone(),
        };
        let scope = known.scope.clone();
        state.devices.remove(code);
        let session = state.open_session(&user, now);
        let chain = state.open_chain(self.id, Some(session), &scope, now);
        self.issue(state, chain, &scope, None, true)
    }

    /// RFC 8693, as Keycloak's standard exchange does it: the new chain lives in the subject's session.
    fn exchange(&self, state: &mut State) -> Result<Value, No> {
        if matches!(self.client.proof, Proof::Nothing) {
            return Err(Why::GrantNotAllowed.into());
        }
        let (token, kind) = (self.need("subject_token")?, self.need("subject_token_type")?);
        if kind != ACCESS_TOKEN {
            return Err(Why::Subject("subject_token_type is not an access token").into());
        }
        let asked = self.form.get("requested_token_type").unwrap_or(ACCESS_TOKEN);
        let with_refresh = match asked {
            ACCESS_TOKEN => false,
            "urn:ietf:params:oauth:token-type:refresh_token" => true,
            _ => return Err(Why::Subject("requested_token_type unsupported").into()),
        };
        let subject = state.access.get(token).ok_or(Why::Subject("Invalid token"))?;
        if subject.revoked || self.mint.now >= subject.ends {
            return Err(Why::Subject("Invalid token").into());
        }
        let session = subject.chain.and_then(|chain| state.chains[chain].session);
        if session.is_none_or(|session| state.sessions[session].ended) {
            return Err(Why::Subject("Invalid token").into());
        }
        let actor = self.actor(state)?;
        let scope = self.scope()?;
        let chain = state.open_chain(self.id, session, &scope, self.mint.now);
        state.chains[chain].actor = actor;
        let mut value = self.issue(state, chain, &scope, None, with_refresh)?;
        value["issued_token_type"] = asked.into();
        Ok(value)
    }

    /// Who acts: the user or client of a live actor token (RFC 8693 section 2.1: its type must come with it, and only then).
    fn actor(&self, state: &State) -> Result<Option<String>, Why> {
        let (token, kind) = (self.form.get("actor_token"), self.form.get("actor_token_type"));
        let token = match (token, kind) {
            (None, None) => return Ok(None),
            (Some(token), Some(ACCESS_TOKEN)) => token,
            (Some(_), _) => return Err(Why::Subject("actor_token_type is not an access token")),
            (None, Some(_)) => return Err(Why::Subject("actor_token_type without actor_token")),
        };
        let known = state.access.get(token).filter(|known| !known.revoked && self.mint.now < known.ends);
        let known = known.ok_or(Why::Subject("Invalid actor token"))?;
        Ok(Some(known.user.clone().unwrap_or_else(|| known.client.clone())))
    }
}

/// 43 to 128 unreserved characters (RFC 7636 section 4.1).
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// The interval of device polls.
pub(crate) fn device_interval(call: &Call<'_>) -> i64 {
    millis(call.settings.oauth.device_interval.unwrap_or(DEFAULT_INTERVAL))
}
