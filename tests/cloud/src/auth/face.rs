//! The endpoints of the auth and identity services.

use super::registry::{Caller, Minted, Opening, Refreshed, SessionKind};
use crate::error::{Error, ErrorKind};
use crate::fault::Cut;
use crate::http::reply::{Fail, Reply};
use crate::op::Op;
use crate::service::{Call, Handled, Stop};
use crate::settings::RefreshMode;
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshBody {
    current_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpstBody {
    public_key: String,
    /// The official tool sends the number as a string.
    #[serde(default)]
    session_expiration_in_minutes: Option<Value>,
}

/// Serves one request of the auth or identity service.
pub(crate) async fn serve(call: &Call<'_>, json: &[u8]) -> Handled {
    match call.route.op {
        Op::Refresh => refresh(call, json).await,
        Op::GenerateUpst => generate_upst(call, json),
        _ => Ok(regions(call)),
    }
}

async fn refresh(call: &Call<'_>, json: &[u8]) -> Handled {
    let body: RefreshBody = parse(json)?;
    let refused = |reason: &str| Stop::from(Fail::unauthenticated(true, reason));
    let Caller::Token { session, facts, jwt } = call.caller else {
        return Err(refused("a refresh is signed with a session token, not with an API key"));
    };
    if **jwt != *body.current_token {
        return Err(refused("currentToken is not the token that signed the request"));
    }
    tokio::time::sleep(call.settings.refresh_delay).await;
    let mode = call.settings.refresh;
    match mode {
        RefreshMode::Unavailable => {
            return Err(Fail::new(503, "ServiceUnavailable", "The service is currently unavailable").into());
        }
        RefreshMode::Refuse => return Err(refused("refresh mode: refuse")),
        RefreshMode::Extend | RefreshMode::SameExpiry | RefreshMode::LoseAnswer => {}
    }
    let current = Minted { jwt: jwt.clone(), facts: facts.clone(), session: *session };
    let move_exp = mode != RefreshMode::SameExpiry;
    match call.service.registry.refresh(&current, move_exp, call.settings, call.now())? {
        Refreshed::AtHorizon => Err(refused("the session is at its horizon")),
        Refreshed::Gone => Err(refused("the session was forgotten")),
        Refreshed::Token(fresh) => {
            call.service.ledger.count(|stats| stats.refreshes += 1);
            if mode == RefreshMode::LoseAnswer {
                return Err(Stop::Cut(Cut::Close));
            }
            Ok(Reply::json(200, &json!({ "token": &*fresh.jwt })))
        }
    }
}

fn generate_upst(call: &Call<'_>, json: &[u8]) -> Handled {
    let body: UpstBody = parse(json)?;
    let invalid = |message: &str| Stop::from(Fail::new(400, "InvalidParameter", message));
    let key = public_key(&body.public_key)
        .map_err(|_| invalid("publicKey is not an RSA key of 2048 bits or more"))?;
    let minutes = match &body.session_expiration_in_minutes {
        None => Some(60),
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
    };
    let minutes = minutes.filter(|minutes| (5..=60).contains(minutes));
    let minutes =
        minutes.ok_or_else(|| invalid("sessionExpirationInMinutes is not a number from 5 to 60"))?;
    let token_life = call.settings.upst_life.unwrap_or(Duration::from_secs(minutes * 60));
    let (user, tenancy) = match call.caller {
        Caller::Key { user, tenancy } => (user.clone(), tenancy.clone()),
        Caller::Token { session, .. } => call
            .service
            .registry
            .owner(*session)
            .ok_or_else(|| Fail::unauthenticated(true, "the session was forgotten"))?,
        Caller::Nobody => return Err(Fail::unauthenticated(true, "nobody signed the request").into()),
    };
    let opening = Opening {
        profile: "upst",
        kind: SessionKind::NoBrowser,
        user: &user,
        tenancy: &tenancy,
        key,
        token_life,
        horizon: token_life,
    };
    let minted = call.service.registry.open(opening, call.settings, call.now())?;
    Ok(Reply::json(200, &json!({ "token": &*minted.jwt })))
}

fn regions(call: &Call<'_>) -> Reply {
    let region = call.service.config.region.as_str();
    let key = if region == "us-phoenix-1" { "PHX" } else { "LAB" };
    Reply::json(200, &json!([{ "key": key, "name": region }]))
}

/// An RSA public key from SPKI PEM, at least as large as the official tool's.
pub(crate) fn public_key(pem: &str) -> Result<RsaPublicKey, Error> {
    let wrong = |why: String| Error::new(ErrorKind::Key, format!("cannot read an RSA public key: {why}"));
    let key = RsaPublicKey::from_public_key_pem(pem.trim()).map_err(|error| wrong(error.to_string()))?;
    if key.size() * 8 < super::issuer::KEY_BITS {
        return Err(wrong("it is shorter than 2048 bits".into()));
    }
    Ok(key)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Fail> {
    serde_json::from_slice(json).map_err(|error| {
        Fail::new(400, "CannotParseRequest", "The request body could not be parsed").noted(error.to_string())
    })
}
