//! What people see: the page where they sign in and agree, and the one where they let a device in.

use super::face::Place;
use super::form::Form;
use super::store::{Code, Decision, Device, State, millis};
use super::style::{Why, no_store};
use super::token::{client_of, device_interval, read_form};
use crate::http::reply::{Payload, Reply};
use crate::random::{hex, url_safe};
use crate::service::Call;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

/// What an authorization request says.
struct Request {
    client: String,
    redirect_uri: String,
    state: Option<String>,
    scope: String,
    challenge: Option<String>,
}

/// The authorization endpoint. Approves at once, or shows a form and approves when it comes back right.
pub(crate) fn authorize(call: &Call<'_>, place: &Place, body: &[u8]) -> Reply {
    let mut state = call.service.oauth.state();
    let request = match request(call, &state) {
        Ok(request) => request,
        // Never redirect to an address nobody registered.
        Err(text) => return page(400, "Cannot sign in", &format!("<p>{text}</p>")),
    };
    let user = if call.head.method == "POST" {
        match signed_in(&state, body) {
            Some(user) => user,
            None => return page(403, "Sign in", "<p>Wrong user name or password.</p>"),
        }
    } else if call.settings.oauth.auto_approve {
        state.users.keys().next().cloned().unwrap_or_else(|| "ann".into())
    } else {
        let text = format!("<p>{} asks for: {}</p>{FORM}", escape(&request.client), escape(&request.scope));
        return page(200, "Sign in", &text);
    };
    let code = url_safe(32);
    let record = Code {
        client: request.client,
        user,
        scope: request.scope,
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge,
        ends: call.now().saturating_add(millis(call.settings.oauth.code_life)),
        chain: None,
    };
    state.codes.insert(code.clone(), record);
    let mut target = format!("{}?code={}", request.redirect_uri, encode(&code));
    if let Some(state) = &request.state {
        target = format!("{target}&state={}", encode(state));
    }
    target = format!("{target}&iss={}", encode(&place.issuer));
    no_store(Reply::empty(302)).with("location", target)
}

fn request(call: &Call<'_>, state: &State) -> Result<Request, String> {
    let query =
        |name: &str| call.route.target.query(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let need = |name: &str| query(name).ok_or_else(|| format!("The request has no {name}."));
    let client = need("client_id")?;
    let known = state.clients.get(&client).ok_or("Nobody knows this client.")?;
    let redirect_uri = need("redirect_uri")?;
    if !is_loopback(&redirect_uri) {
        return Err("redirect_uri is not http on a literal loopback address.".into());
    }
    if need("response_type")? != "code" {
        return Err("response_type is not code.".into());
    }
    let challenge = query("code_challenge");
    let public = matches!(known.proof, super::store::Proof::Nothing);
    if public && challenge.is_none() {
        return Err("A public client needs a code_challenge.".into());
    }
    if challenge.is_some() && query("code_challenge_method").as_deref() != Some("S256") {
        return Err("code_challenge_method is not S256.".into());
    }
    if challenge.as_ref().is_some_and(|challenge| challenge.len() != 43) {
        return Err("code_challenge is not a SHA-256 in base64url.".into());
    }
    let scope = query("scope").unwrap_or_else(|| known.scope.clone());
    Ok(Request { client, redirect_uri, state: query("state"), scope, challenge })
}

/// RFC 8252 section 7.3: any port of a literal loopback address.
fn is_loopback(uri: &str) -> bool {
    let rest = uri.strip_prefix("http://127.0.0.1").or_else(|| uri.strip_prefix("http://[::1]"));
    rest.is_some_and(|rest| {
        (rest.starts_with(':') || rest.starts_with('/')) && !rest.contains(['?', '#', '@'])
    })
}

fn signed_in(state: &State, body: &[u8]) -> Option<String> {
    let form = Form::parse(body, &[]).ok()?;
    let (user, password) = (form.get("username")?, form.get("password")?);
    (state.users.get(user).is_some_and(|known| known == password)).then(|| user.to_owned())
}

/// The device authorization endpoint (RFC 8628 section 3.1).
pub(crate) fn device_start(call: &Call<'_>, place: &Place, body: &[u8]) -> Reply {
    let settings = &call.settings.oauth;
    let refuse = |why: Why| why.reply(settings.style, &place.issuer);
    let form = match read_form(call, body) {
        Ok(form) => form,
        Err(why) => return refuse(why),
    };
    let mut state = call.service.oauth.state();
    let (client, known) = match client_of(call, place, &form, &mut state) {
        Ok(client) => client,
        Err(why) => return refuse(why),
    };
    let (device_code, user_code) = (url_safe(32), user_code());
    let mut answer = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": place.device_page(),
        "verification_uri_complete": format!("{}?user_code={user_code}", place.device_page()),
        "expires_in": settings.device_life.as_secs(),
    });
    if let Some(interval) = settings.device_interval {
        answer["interval"] = interval.as_secs().into();
    }
    let record = Device {
        client,
        scope: form.get("scope").unwrap_or(&known.scope).to_owned(),
        user_code,
        ends: call.now().saturating_add(millis(settings.device_life)),
        interval_ms: device_interval(call),
        polled: None,
        decision: Decision::Pending,
    };
    state.devices.insert(device_code, record);
    no_store(Reply::json(200, &answer))
}

/// Where a person types the user code.
pub(crate) fn device_page(call: &Call<'_>, _place: &Place, body: &[u8]) -> Reply {
    let mut state = call.service.oauth.state();
    let form = Form::parse(body, &[]).unwrap_or_default();
    let code =
        call.route.target.query("user_code").or_else(|| form.get("user_code")).unwrap_or_default().to_owned();
    let user = if call.head.method == "POST" {
        signed_in(&state, body)
    } else {
        call.settings.oauth.auto_approve.then(|| state.users.keys().next().cloned()).flatten()
    };
    match user {
        None => page(200, "Let a device in", FORM),
        Some(user) if decide(&mut state, &code, &Decision::Approved(user.clone())) => {
            page(200, "The device is in", "<p>You may close this window.</p>")
        }
        Some(_) => page(404, "No such code", "<p>It may have been used, or have ended.</p>"),
    }
}

/// Decides about the device with this user code; false if there is none.
pub(crate) fn decide(state: &mut State, user_code: &str, decision: &Decision) -> bool {
    match state.devices.values_mut().find(|device| device.user_code == user_code) {
        Some(device) => {
            device.decision = decision.clone();
            true
        }
        None => false,
    }
}

const FORM: &str = "<form method=post><p><input name=username placeholder=user> \
    <input name=password type=password placeholder=password> <button>Sign in and agree</button></form>";

fn page(status: u16, title: &str, body: &str) -> Reply {
    let html = format!("<!doctype html><title>{title}</title><h1>{title}</h1>{body}\n");
    let mut reply = no_store(Reply::empty(status)).with("content-type", "text/html; charset=utf-8");
    reply.payload = Payload::Bytes { bytes: html.into_bytes(), claims: None };
    reply
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// `ABCD-EFGH` from twenty consonants (RFC 8628 section 6.1).
fn user_code() -> String {
    let letters = b"BCDFGHJKLMNPQRSTVWXZ";
    let seed = hex(url_safe(12).as_bytes());
    let pick = |at: usize| {
        let byte = u8::from_str_radix(&seed[at * 2..at * 2 + 2], 16).unwrap_or(0);
        char::from(letters[usize::from(byte) % letters.len()])
    };
    (0..4).map(pick).chain(['-']).chain((4..8).map(pick)).collect()
}
