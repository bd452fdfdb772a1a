//! Sign in, refresh, sign out.

use super::cookies;
use super::gateway::{self, error, text};
use super::settings::Platform;
use crate::clock::Millis;
use crate::http::reply::{Payload, Reply};
use crate::oauth::face::Place;
use crate::oauth::rotation::{Flying, Presented, Verdict};
use crate::oauth::settings::OauthSettings;
use crate::oauth::store::{Mint, State};
use crate::oauth::style::Why;
use crate::oauth::watch::Rule;
use crate::service::{Call, Handled, Stop};
use serde::Deserialize;
use serde_json::{Value, json};

const WRONG_LOGIN: &str = "wrong.username.or.wrong.password.or.account.blocked";

#[derive(Deserialize)]
struct Credentials {
    username: Option<String>,
    #[serde(rename = "userId")]
    user_id: Option<String>,
    password: Option<String>,
}

/// How the tokens of this platform are made.
struct Desk<'a> {
    call: &'a Call<'a>,
    rules: OauthSettings,
    issuer: String,
    key: Option<String>,
}

impl<'a> Desk<'a> {
    fn of(call: &'a Call<'a>) -> Self {
        let folio = &call.settings.folio;
        let scheme = if call.secure { "https" } else { "http" };
        let origin = format!("{scheme}://{}", call.head.get("host").unwrap_or_default());
        Self {
            call,
            rules: folio.oauth(&call.settings.oauth),
            issuer: Place::realm(&origin, &folio.tenant).issuer,
            key: (folio.platform == Platform::Okapi).then(|| call.service.folio.key()),
        }
    }

    fn mint(&self) -> Mint<'_> {
        let call = self.call;
        Mint {
            settings: &self.rules,
            issuer: &call.service.oauth.issuer,
            url: &self.issuer,
            now: call.now(),
            okapi: self.key.as_deref().map(|key| (key, call.settings.folio.tenant.as_str())),
        }
    }

    /// 201 with the two cookies and their ends.
    fn answer(&self, state: &State, tokens: &Value) -> Reply {
        let (access, refresh) = (
            tokens["access_token"].as_str().unwrap_or_default(),
            tokens["refresh_token"].as_str().unwrap_or_default(),
        );
        let end = |ends: Option<Millis>| ends.unwrap_or_default();
        let access_ends = end(state.access.get(access).map(|token| token.ends));
        let refresh_ends = end(state.refresh.get(refresh).map(|token| token.ends));
        let body = json!({
            "accessTokenExpiration": cookies::date(access_ends),
            "refreshTokenExpiration": cookies::date(refresh_ends),
        });
        let mut reply = Reply::json(201, &body);
        let now = self.call.now();
        cookies::set(
            &mut reply,
            self.call.settings.folio.platform,
            now,
            (access, access_ends),
            (refresh, refresh_ends),
        );
        reply
    }
}

fn tenant_header(call: &Call<'_>) -> Result<(), Reply> {
    match call.head.get("x-okapi-tenant") {
        None | Some("") => Err(text(400, "Missing header: X-Okapi-Tenant")),
        Some(_) => Ok(()),
    }
}

/// `POST /authn/login-with-expiry`, `/bl-users/login-with-expiry` and the legacy `/authn/login`.
pub(crate) fn login(call: &Call<'_>, body: &[u8], legacy: bool) -> Handled {
    if let Err(reply) = tenant_header(call) {
        return Ok(reply);
    }
    let folio = &call.settings.folio;
    if legacy && !folio.legacy_tokens {
        return Ok(text(404, "Not found"));
    }
    let Ok(Credentials { username, user_id, password }) = serde_json::from_slice(body) else {
        return Ok(text(400, "Bad request"));
    };
    let (Some(user), Some(password)) = (username.or(user_id), password) else {
        return Ok(text(400, "You must provide a username or userId, and a password"));
    };
    if folio.inner_failure {
        return Ok(text(500, "Internal Server error"));
    }
    let wrong_tenant = call.head.get("x-okapi-tenant") != Some(folio.tenant.as_str());
    let mut state = call.service.oauth.state();
    if wrong_tenant || state.users.get(&user).is_none_or(|known| *known != password) {
        return Ok(error(422, "Bad request", WRONG_LOGIN));
    }
    let mut desk = Desk::of(call);
    if legacy {
        // A token without end.
        desk.rules.access_life = std::time::Duration::from_hours(24 * 365 * 100);
    }
    let reply = open(&desk, &mut state, &user)?;
    if !legacy {
        return Ok(reply.0);
    }
    let token = reply.1["access_token"].as_str().unwrap_or_default().to_owned();
    Ok(Reply::json(201, &json!({ "okapiToken": token })).with("x-okapi-token", token))
}

/// A new session with its first pair.
fn open(desk: &Desk<'_>, state: &mut State, user: &str) -> Result<(Reply, Value), Stop> {
    let (folio, now) = (&desk.call.settings.folio, desk.call.now());
    let session = state.open_session(&format!("{}/{user}", folio.tenant), now);
    let chain = state.open_chain(&folio.login_client(), Some(session), "openid", now);
    let tokens = desk.mint().issue(state, chain, "openid", None, true)?;
    Ok((desk.answer(state, &tokens), tokens))
}

/// `GET /authn/token`: a code of the realm's login page becomes cookies.
pub(crate) fn code(call: &Call<'_>) -> Handled {
    if let Err(reply) = tenant_header(call) {
        return Ok(reply);
    }
    let refuse = || Ok(error(422, "Bad request", "token.exchange.unprocessable"));
    let (code, uri) = (call.route.target.query("code"), call.route.target.query("redirect-uri"));
    let (Some(code), Some(uri)) = (code, uri) else {
        return Ok(text(400, "code and redirect-uri are required"));
    };
    if call.settings.folio.platform != Platform::Eureka {
        return Ok(text(404, "Not found"));
    }
    let mut state = call.service.oauth.state();
    let now = call.now();
    let client = call.settings.folio.login_client();
    let Some(known) = state.codes.get(code) else { return refuse() };
    if known.client != client || known.redirect_uri != uri || known.chain.is_some() || now >= known.ends {
        return refuse();
    }
    let user = known.user.clone();
    let desk = Desk::of(call);
    let (reply, _) = open(&desk, &mut state, &user)?;
    let chain = state.chains.len() - 1;
    if let Some(known) = state.codes.get_mut(code) {
        known.chain = Some(chain);
    }
    Ok(reply)
}

/// `POST /authn/refresh`.
pub(crate) fn refresh(call: &Call<'_>, body: &[u8]) -> Handled {
    let oauth = &call.service.oauth;
    if let Err(reply) = tenant_header(call) {
        return Ok(reply);
    }
    if !body.is_empty() {
        oauth.watch.note(call.now(), Rule::UnaskedBody, format!("{} bytes at /authn/refresh", body.len()));
    }
    let cookies = cookies::values(call.head, cookies::REFRESH);
    let [token] = cookies[..] else {
        return Ok(error(400, "Bad request", "token.parse.failure"));
    };
    let folio = &call.settings.folio;
    let unprocessable = |note: String| {
        let words = "Authorization server unable to process token refresh request";
        let mut reply = error(422, words, "token.refresh.unprocessable");
        reply.note = Some(note);
        reply
    };
    if folio.inner_failure {
        return Ok(unprocessable("what stands behind the login module failed".into()));
    }
    // Eureka takes the tenant from the token.
    if folio.platform == Platform::Okapi && call.head.get("x-okapi-tenant") != Some(folio.tenant.as_str()) {
        return Ok(unprocessable("tenant mismatch".into()));
    }
    let chain = oauth.state().refresh.get(token).map(|known| known.chain);
    let flying = chain.map(|chain| Flying::start(oauth.shared(), chain, &oauth.watch, call.now()));
    let desk = Desk::of(call);
    let mut state = oauth.state();
    let client = folio.login_client();
    let presented = Presented { token, client: &client, scope: None, now: call.now() };
    let mut reply = match state.present(&presented, &desk.rules, &oauth.watch) {
        Ok(Verdict::Issue { chain, scope }) => {
            let tokens = desk.mint().issue(&mut state, chain, &scope, Some(token), true)?;
            desk.answer(&state, &tokens)
        }
        Ok(Verdict::Replay(answer)) => desk.answer(&state, &answer),
        Err(why) => {
            let mass = folio.platform == Platform::Okapi
                && matches!(why, Why::SessionEnded | Why::Detached | Why::Reused);
            if let Some(chain) = chain.filter(|_| mass) {
                // A row that is not there to be revoked revokes all of the user's.
                state.blast(chain, &desk.rules);
            }
            unprocessable(why.note())
        }
    };
    drop(state);
    reply.flying = flying;
    Ok(reply)
}

/// `POST /authn/logout` and `/authn/logout-all`.
pub(crate) fn logout(call: &Call<'_>, all: bool) -> Reply {
    let admitted = match gateway::admit(call, "login.logout.post") {
        Ok(admitted) => admitted,
        Err(reply) => return reply,
    };
    let platform = call.settings.folio.platform;
    let cookies = cookies::values(call.head, cookies::REFRESH);
    // Without the cookie a plain logout is one of everything, on both platforms.
    let all = all || cookies.first().is_none_or(|token| token.is_empty());
    let mut state = call.service.oauth.state();
    if all {
        for number in 0..state.sessions.len() {
            if state.sessions[number].user == admitted.user {
                end(&mut state, number, platform);
            }
        }
    } else {
        let session = cookies.first().and_then(|token| state.refresh.get(*token)).map(|token| token.chain);
        let Some(session) = session.and_then(|chain| state.chains[chain].session) else {
            return error(422, "Bad request", "token.logout.unprocessable");
        };
        end(&mut state, session, platform);
    }
    drop(state);
    if platform == Platform::Eureka {
        let kind = if all { "LOGOUT_ALL" } else { "LOGOUT" };
        let event = json!({ "type": kind, "userId": admitted.user });
        call.service.folio.state().events.push(event);
    }
    let mut reply = Reply::empty(204);
    reply.payload = Payload::Bytes { bytes: Vec::new(), claims: None };
    cookies::clear(&mut reply, platform);
    reply
}

/// Ends a session: on Okapi its refresh tokens only, since nobody can take an access token back there.
fn end(state: &mut State, session: usize, platform: Platform) {
    if platform == Platform::Eureka {
        state.end_session(session, false);
        return;
    }
    for number in 0..state.chains.len() {
        if state.chains[number].session == Some(session) {
            state.end_chain(number, Why::SessionEnded, false);
        }
    }
}
