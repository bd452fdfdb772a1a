//! What an access token is good for, and how tokens are taken back.

use super::face::Place;
use super::settings::ErrorStyle;
use super::store::State;
use super::style::{Why, no_store};
use super::token::{client_of, read_form};
use crate::clock::whole_seconds;
use crate::http::reply::Reply;
use crate::service::Call;
use serde_json::json;

/// Whose token a request carries.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) user: Option<String>,
    pub(crate) client: String,
    pub(crate) scope: String,
    pub(crate) generation: u32,
    pub(crate) chain: Option<usize>,
}

/// Judges an access token, and remembers that it was refused.
pub(crate) fn judge(state: &mut State, token: &str, now: i64) -> Result<Bearer, &'static str> {
    let known = state.access.get(token).ok_or("unknown access token")?;
    let session = known.chain.and_then(|chain| state.chains[chain].session);
    let logged_out = session.is_some_and(|session| state.sessions[session].ended);
    let verdict = if known.revoked {
        Err("revoked access token")
    } else if logged_out {
        Err("access token of an ended session")
    } else if now >= known.ends {
        Err("expired access token")
    } else {
        Ok(Bearer {
            user: known.user.clone(),
            client: known.client.clone(),
            scope: known.scope.clone(),
            generation: known.generation,
            chain: known.chain,
        })
    };
    if verdict.is_err()
        && let Some(known) = state.access.get_mut(token)
    {
        known.refused = true;
    }
    verdict
}

/// The token in an `Authorization: Bearer` header.
pub(crate) fn bearer_of(value: Option<&str>) -> Option<&str> {
    let value = value?;
    (value.len() > 7 && value[..7].eq_ignore_ascii_case("bearer ")).then(|| value[7..].trim())
}

pub(crate) fn userinfo(call: &Call<'_>, place: &Place) -> Reply {
    let settings = &call.settings.oauth;
    let Some(token) = bearer_of(call.head.get("authorization")) else {
        return Reply::empty(401).with("www-authenticate", format!("Bearer realm=\"{}\"", place.issuer));
    };
    let judged = judge(&mut call.service.oauth.state(), token, call.now());
    match judged {
        Ok(bearer) => {
            let mut reply = Reply::json(
                200,
                &json!({
                    "sub": bearer.user.as_deref().unwrap_or(&bearer.client), "scope": bearer.scope, "client_id": bearer.client,
                }),
            );
            reply.note = Some(shown(&bearer));
            reply
        }
        Err(reason) => {
            let mut reply = refused(settings.style, settings.refused_status, &place.issuer);
            reply.note = Some(reason.into());
            reply
        }
    }
}

fn shown(bearer: &Bearer) -> String {
    match bearer.chain {
        Some(chain) => format!("chain {chain}, generation {}", bearer.generation),
        None => format!("client {}", bearer.client),
    }
}

/// The answer to a token that is no good.
fn refused(style: ErrorStyle, status: u16, realm: &str) -> Reply {
    if style == ErrorStyle::Dot {
        return Reply::empty(status);
    }
    let text = "invalid token provided";
    let challenge =
        format!("Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"{text}\"");
    Reply::json(status, &json!({ "error": "invalid_token", "error_description": text }))
        .with("www-authenticate", challenge)
}

/// RFC 7009: 200 also for tokens nobody knows.
pub(crate) fn revoke(call: &Call<'_>, place: &Place, body: &[u8]) -> Reply {
    let style = call.settings.oauth.style;
    let refuse = |why: Why| why.reply(style, &place.issuer);
    let form = match read_form(call, body) {
        Ok(form) => form,
        Err(why) => return refuse(why),
    };
    let mut state = call.service.oauth.state();
    let client = match client_of(call, place, &form, &mut state) {
        Ok((client, _)) => client,
        Err(why) => return refuse(why),
    };
    let Some(token) = form.get("token") else { return refuse(Why::Missing("token")) };
    let chain = state.refresh.get(token).map(|token| token.chain);
    if let Some(chain) = chain.filter(|chain| state.chains[*chain].client == client) {
        state.end_chain(chain, Why::SessionEnded, style == ErrorStyle::OidcProvider);
    } else if let Some(access) = state.access.get_mut(token).filter(|access| access.client == client) {
        access.revoked = true;
    }
    no_store(Reply::empty(200))
}

/// RFC 7662.
pub(crate) fn introspect(call: &Call<'_>, place: &Place, body: &[u8]) -> Reply {
    let refuse = |why: Why| why.reply(call.settings.oauth.style, &place.issuer);
    let form = match read_form(call, body) {
        Ok(form) => form,
        Err(why) => return refuse(why),
    };
    let mut state = call.service.oauth.state();
    if let Err(why) = client_of(call, place, &form, &mut state) {
        return refuse(why);
    }
    let Some(token) = form.get("token") else { return refuse(Why::Missing("token")) };
    let now = call.now();
    let active_refresh = state.refresh.get(token).is_some_and(|refresh| {
        now < refresh.ends
            && !refresh.revoked
            && refresh.used.is_none()
            && state.why_ended(refresh.chain).is_none()
    });
    let access = state.access.get(token).filter(|access| now < access.ends && !access.revoked);
    let answer = match access {
        Some(access) => json!({
            "active": true, "client_id": access.client, "scope": access.scope, "token_type": "Bearer",
            "exp": whole_seconds(access.ends), "iat": whole_seconds(access.issued), "sub": access.user,
        }),
        None => json!({ "active": active_refresh }),
    };
    no_store(Reply::json(200, &answer))
}

/// Ends the user session of a refresh token, as Keycloak's logout endpoint does.
pub(crate) fn logout(call: &Call<'_>, place: &Place, body: &[u8]) -> Reply {
    let refuse = |why: Why| why.reply(call.settings.oauth.style, &place.issuer);
    let form = match read_form(call, body) {
        Ok(form) => form,
        Err(why) => return refuse(why),
    };
    let mut state = call.service.oauth.state();
    let client = match client_of(call, place, &form, &mut state) {
        Ok((client, _)) => client,
        Err(why) => return refuse(why),
    };
    let Some(token) = form.get("refresh_token") else { return refuse(Why::Missing("refresh_token")) };
    let chain = state.refresh.get(token).map(|token| token.chain);
    let Some(chain) = chain.filter(|chain| state.chains[*chain].client == client) else {
        return refuse(Why::UnknownRefresh);
    };
    match state.chains[chain].session {
        Some(session) => state.end_session(session, false),
        None => state.end_chain(chain, Why::SessionEnded, false),
    }
    no_store(Reply::empty(204))
}
