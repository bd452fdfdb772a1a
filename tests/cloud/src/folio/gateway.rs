//! Whose token a request carries, and how each platform says no.
//!
//! Sources: Okapi's and mod-authtoken's filters, Kong's plugin for FOLIO and the module sidecar, as read in their code.

use super::cookies;
use super::settings::Platform;
use crate::http::reply::{Payload, Reply};
use crate::oauth::resource::{bearer_of, judge};
use crate::oauth::store::millis;
use crate::service::Call;
use serde_json::json;

/// A user whose token the gateway let in.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) token: String,
    /// `tenant/user`, as the store knows it.
    pub(crate) user: String,
}

/// Lets a request in, or says how it is refused. `permission` is what the target needs.
pub(crate) fn admit(call: &Call<'_>, permission: &str) -> Result<Admitted, Reply> {
    let folio = &call.settings.folio;
    let tenant = call.head.get("x-okapi-tenant");
    if tenant.is_none_or(str::is_empty) {
        return Err(text(400, "Missing header: X-Okapi-Tenant"));
    }
    if tenant != Some(folio.tenant.as_str()) {
        return Err(text(403, "Tenant mismatch"));
    }
    let token = token(call)?;
    let Some(token) = token else {
        return Err(match folio.platform {
            Platform::Okapi => text(400, &format!("Token missing, access requires permission: {permission}")),
            Platform::Eureka => unauthorized(),
        });
    };
    let key = format!("{} {} {token}", call.head.method, call.route.target.path);
    let now = call.now();
    let open = call.service.folio.state().admitted.get(&key).is_some_and(|until| now < *until);
    // Okapi still takes a token in the second in which it ends.
    let judged_at = if folio.platform == Platform::Okapi { now - 1000 } else { now };
    let mut state = call.service.oauth.state();
    let user = state.access.get(&token).and_then(|known| known.user.clone()).unwrap_or_default();
    let judged = judge(&mut state, &token, judged_at);
    drop(state);
    match judged {
        Err(reason) if !open => {
            let mut reply = match folio.platform {
                Platform::Okapi => text(401, "Invalid token"),
                Platform::Eureka => unauthorized(),
            };
            reply.note = Some(reason.into());
            Err(reply)
        }
        _ => {
            if folio.platform == Platform::Okapi && !open && !folio.gateway_cache.is_zero() {
                let until = now.saturating_add(millis(folio.gateway_cache));
                call.service.folio.state().admitted.insert(key, until);
            }
            Ok(Admitted { token, user })
        }
    }
}

/// The one token of a request, wherever it stands; two that differ are refused.
fn token(call: &Call<'_>) -> Result<Option<String>, Reply> {
    let platform = call.settings.folio.platform;
    let cookies = cookies::values(call.head, cookies::ACCESS);
    if platform == Platform::Okapi && cookies.len() > 1 {
        return Err(text(400, "More than one folioAccessToken cookie"));
    }
    let authorization = call.head.get("authorization");
    let bearer = bearer_of(authorization);
    if platform == Platform::Eureka && authorization.is_some() && bearer.is_none() {
        return Err(text(404, "Authorization header does not contain a Bearer token"));
    }
    let mut found: Vec<&str> = cookies;
    found.extend(bearer);
    found.extend(call.head.get("x-okapi-token"));
    if found.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(match platform {
            Platform::Okapi => text(400, "X-Okapi-Token conflicts with the folioAccessToken cookie"),
            Platform::Eureka => {
                text(404, "X-Okapi-Token token is not equal to folioAccessToken token in cookies")
            }
        });
    }
    Ok(found.first().map(|token| (*token).to_owned()))
}

pub(crate) fn text(status: u16, words: &str) -> Reply {
    let mut reply = Reply::empty(status).with("content-type", "text/plain");
    reply.payload = Payload::Bytes { bytes: words.as_bytes().to_vec(), claims: None };
    reply.note = Some(words.to_owned());
    reply
}

/// FOLIO's error object.
pub(crate) fn error(status: u16, message: &str, code: &str) -> Reply {
    let mut reply = Reply::json(
        status,
        &json!({ "errors": [{ "message": message, "code": code, "type": "error" }], "total_records": 1 }),
    );
    reply.note = Some(code.to_owned());
    reply
}

pub(crate) fn unauthorized() -> Reply {
    error(401, "Unauthorized", "authorization_error")
}
