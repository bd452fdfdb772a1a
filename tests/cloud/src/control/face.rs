//! The control interface over HTTP: `/_control/…`, JSON in and out, for this machine's programs only.
//!
//! It is unauthenticated on purpose. Three rules keep strangers out: the peer must be a loopback address, `host` must
//! name one (a rebound DNS name does not), and a POST must be `application/json` (which a web page cannot send
//! unasked).

use super::Control;
use super::oauth::{EndGrant, GrantSpec};
use super::profile::{ApiKey, Login};
use crate::auth::registry::{Revoke, millis};
use crate::error::{Error, ErrorKind};
use crate::fault::{Fault, Shows};
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::reply::{Fail, Payload, Reply};
use crate::oauth::client::ClientSpec;
use crate::oauth::settings::Preset;
use crate::route::Route;
use crate::service::Service;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const MAX_BODY_BYTES: usize = 1 << 20;

/// Every address of this interface, shown at `/_control/`.
const INDEX: [&str; 33] = [
    "GET /_control/stats",
    "GET /_control/log?after=SEQ",
    "GET /_control/wait?counter=NAME&at_least=N&timeout_s=S",
    "GET /_control/settings",
    "POST /_control/settings",
    "GET /_control/faults",
    "POST /_control/fault",
    "POST /_control/fault/remove",
    "GET /_control/clock",
    "POST /_control/clock",
    "POST /_control/login",
    "POST /_control/api_key",
    "POST /_control/refresh",
    "POST /_control/revoke",
    "POST /_control/trust",
    "GET /_control/sessions",
    "GET /_control/token?profile=NAME",
    "GET /_control/uploads",
    "GET /_control/objects",
    "GET /_control/bytes?bucket=NAME&name=NAME",
    "POST /_control/bucket",
    "POST /_control/corrupt",
    "POST /_control/reset",
    "GET /_control/violations",
    "GET /_control/oauth/chains",
    "POST /_control/oauth/preset",
    "POST /_control/oauth/client",
    "POST /_control/oauth/user",
    "POST /_control/oauth/grant",
    "POST /_control/oauth/end",
    "POST /_control/oauth/device",
    "GET /_control/folio/events",
    "POST /_control/folio/restart",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileName {
    profile: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketName {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresetName {
    name: Preset,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceDecision {
    user_code: String,
    /// Who approves; null denies.
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trust {
    key_id: String,
    public_key_pem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corrupt {
    upload: String,
    part: u32,
    #[serde(default)]
    shows: Shows,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RemoveFault {
    id: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SetClock {
    /// Stops the clock here, milliseconds since 1970.
    freeze_ms: Option<i64>,
    /// Lets a stopped clock run again, unshifted.
    run: bool,
    /// Seconds ahead of the machine's clock.
    shift_s: Option<f64>,
    /// Seconds to move forward from where it is.
    advance_s: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    #[default]
    All,
    Stats,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reset {
    what: What,
}

/// Serves one control request.
pub(crate) async fn serve(
    service: &Arc<Service>,
    head: &Head,
    route: &Route<'_>,
    body: &mut Body<'_>,
    peer: SocketAddr,
) -> Reply {
    if let Err(fail) = admit(head, peer) {
        return fail.reply();
    }
    let json = match body.collect(MAX_BODY_BYTES).await {
        Ok(Some(json)) => json,
        Ok(None) => return Fail::new(413, "RequestEntityTooLarge", "The body is larger than 1 MiB").reply(),
        Err(_) => return Fail::new(400, "CannotParseRequest", "The body did not come to its end").reply(),
    };
    let control = Control::new(Arc::clone(service));
    let path = route.target.path.trim_start_matches("/_control").trim_matches('/');
    let answer = match head.method.as_str() {
        "GET" if path == "wait" => wait(&control, route).await,
        "GET" => look(&control, path, route),
        // Making a key takes a fifth of a second of one core.
        "POST" => tokio::task::block_in_place(|| act(&control, head, path, &json)),
        _ => Err(Fail::new(405, "MethodNotAllowed", "The control interface knows GET and POST")),
    };
    answer.unwrap_or_else(|fail| fail.reply())
}

fn admit(head: &Head, peer: SocketAddr) -> Result<(), Fail> {
    let forbidden = |message: &str| Err(Fail::new(403, "NotAllowed", message));
    if !peer.ip().to_canonical().is_loopback() {
        return forbidden("The control interface answers to this machine only");
    }
    if !names_loopback(head.get("host").unwrap_or_default()) {
        return forbidden("The host header does not name a loopback address");
    }
    let json = head.get("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if head.method == "POST" && !json {
        return Err(Fail::new(415, "UnsupportedMediaType", "A control request is application/json"));
    }
    Ok(())
}

fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn look(control: &Control, path: &str, route: &Route<'_>) -> Result<Reply, Fail> {
    let query = |name: &str| route.target.query(name);
    match path {
        "" => show(&json!({ "control": INDEX.as_slice() })),
        "stats" => show(&control.stats()),
        "log" => {
            let after = query("after").unwrap_or("0").parse().map_err(|_| bad("after is not a number"))?;
            show(&control.log_after(after))
        }
        "settings" => show(&control.settings()),
        "faults" => show(&control.faults()),
        "clock" => clock(control),
        "sessions" => show(&control.sessions()),
        "token" => {
            let (token, facts) = control.token(query("profile").ok_or_else(|| bad("profile is missing"))?)?;
            show(&json!({ "token": token, "facts": facts }))
        }
        "violations" => show(&control.violations()),
        "oauth/chains" => show(&control.oauth_chains()),
        "folio/events" => show(&control.folio_events()),
        "uploads" => show(&control.uploads()),
        "objects" => show(&control.objects()),
        "bytes" => {
            let bucket = query("bucket").ok_or_else(|| bad("bucket is missing"))?;
            let name = query("name").ok_or_else(|| bad("name is missing"))?;
            let mut reply = Reply::empty(200).with("content-type", "application/octet-stream");
            reply.payload = Payload::Bytes { bytes: control.object_bytes(bucket, name)?, claims: None };
            Ok(reply)
        }
        _ => Err(nowhere()),
    }
}

fn act(control: &Control, head: &Head, path: &str, json: &[u8]) -> Result<Reply, Fail> {
    match path {
        "settings" => {
            let changes: serde_json::Map<String, Value> = read(json)?;
            let mut outcome = Ok(());
            control.change(|settings| outcome = merge(settings, changes));
            outcome?;
            show(&control.settings())
        }
        "fault" => show(&json!({ "id": control.add_fault(read::<Fault>(json)?) })),
        "fault/remove" => show(&json!({ "removed": control.remove_faults(read::<RemoveFault>(json)?.id) })),
        "clock" => {
            let set: SetClock = read(json)?;
            if set.run || set.freeze_ms.is_some() {
                control.freeze_clock(set.freeze_ms);
            }
            if let Some(seconds) = set.shift_s {
                control.set_clock_shift_ms(seconds_ms(seconds));
            }
            if let Some(seconds) = set.advance_s {
                control.service.clock.advance(seconds_ms(seconds));
            }
            clock(control)
        }
        "login" => show(&control.login(&read::<Login>(json)?)?),
        "api_key" => show(&control.api_key(&read::<ApiKey>(json)?)?),
        "refresh" => show(&control.refresh_file(&read::<ProfileName>(json)?.profile)?),
        "revoke" => show(&json!({ "revoked": control.revoke(&read::<Revoke>(json)?) })),
        "trust" => {
            let trust: Trust = read(json)?;
            control.trust_pem(&trust.key_id, &trust.public_key_pem)?;
            show(&json!({}))
        }
        "oauth/preset" => {
            control.oauth_preset(read::<PresetName>(json)?.name);
            show(&control.settings().oauth)
        }
        "oauth/client" => {
            control.oauth_client(&read::<ClientSpec>(json)?)?;
            show(&json!({}))
        }
        "oauth/user" => {
            let user: User = read(json)?;
            control.oauth_user(&user.name, &user.password);
            show(&json!({}))
        }
        "oauth/grant" => {
            let origin = format!("http://{}", head.get("host").unwrap_or_default());
            show(&control.oauth_grant(&read::<GrantSpec>(json)?, &origin)?)
        }
        "oauth/end" => show(&json!({ "ended": control.oauth_end(&read::<EndGrant>(json)?) })),
        "oauth/device" => {
            let device: DeviceDecision = read(json)?;
            show(&json!({ "found": control.oauth_device(&device.user_code, device.user.as_deref()) }))
        }
        "folio/restart" => {
            control.folio_restart();
            show(&json!({}))
        }
        "bucket" => {
            control.add_bucket(&read::<BucketName>(json)?.name);
            show(&json!({}))
        }
        "corrupt" => {
            let corrupt: Corrupt = read(json)?;
            control.corrupt_part(&corrupt.upload, corrupt.part, corrupt.shows)?;
            show(&json!({}))
        }
        "reset" => {
            match read::<Reset>(json)?.what {
                What::All => control.reset(),
                What::Stats => control.reset_stats(),
            }
            show(&json!({}))
        }
        _ => Err(nowhere()),
    }
}

/// Answers when a counter has reached a value, or with `reached: false` when the time is over.
async fn wait(control: &Control, route: &Route<'_>) -> Result<Reply, Fail> {
    let query = |name: &str| route.target.query(name).ok_or_else(|| bad(&format!("{name} is missing")));
    let counter = query("counter")?;
    let at_least: u64 = query("at_least")?.parse().map_err(|_| bad("at_least is not a number"))?;
    let seconds: f64 = route.target.query("timeout_s").unwrap_or("10").parse().unwrap_or(f64::NAN);
    let limit =
        Duration::try_from_secs_f64(seconds).map_err(|_| bad("timeout_s is not a number of seconds"))?;
    let deadline = tokio::time::Instant::now() + limit.min(Duration::from_hours(1));
    loop {
        let stats = serde_json::to_value(control.stats()).map_err(|error| bad(&error.to_string()))?;
        let value =
            stats.get(counter).and_then(Value::as_u64).ok_or_else(|| bad("there is no such counter"))?;
        let reached = value >= at_least;
        if reached || tokio::time::Instant::now() >= deadline {
            return show(&json!({ "reached": reached, "value": value }));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Changes the named settings and no others; in `oauth` and `folio` likewise. A name may be a path: `oauth.idle_s`.
pub(crate) fn merge(settings: &mut Settings, changes: serde_json::Map<String, Value>) -> Result<(), Fail> {
    let unreadable = |error: serde_json::Error| bad(&error.to_string());
    let mut whole = serde_json::to_value(&*settings).map_err(unreadable)?;
    for (name, value) in changes {
        lay(&mut whole, &name, value);
    }
    *settings = serde_json::from_value(whole).map_err(unreadable)?;
    Ok(())
}

/// Puts a value where its name leads, objects into objects. A name that leads nowhere makes a key that nobody knows.
fn lay(whole: &mut Value, name: &str, value: Value) {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let Some(map) = whole.as_object_mut() else { return };
    let slot = map.entry(first).or_insert(Value::Null);
    match (rest, value) {
        (Some(rest), value) => lay(slot, rest, value),
        (None, Value::Object(inner)) if slot.is_object() => {
            inner.into_iter().for_each(|(name, value)| lay(slot, &name, value));
        }
        (None, value) => *slot = value,
    }
}

fn clock(control: &Control) -> Result<Reply, Fail> {
    show(&json!({ "now_ms": control.now_ms(), "shift_ms": control.service.clock.shift() }))
}

fn seconds_ms(seconds: f64) -> i64 {
    let whole = millis(Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::ZERO));
    if seconds < 0.0 { -whole } else { whole }
}

fn show(value: &impl Serialize) -> Result<Reply, Fail> {
    let value = serde_json::to_value(value).map_err(|error| bad(&error.to_string()))?;
    Ok(Reply::json(200, &value))
}

/// An empty body counts as an empty object.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Fail> {
    let json = if json.is_empty() { b"{}" } else { json };
    serde_json::from_slice(json).map_err(|error| bad(&error.to_string()))
}

fn bad(message: &str) -> Fail {
    Fail::new(400, "InvalidParameter", message)
}

fn nowhere() -> Fail {
    Fail::new(404, "NotFound", "There is no such control address; GET /_control/ lists them")
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Missing => 404,
            ErrorKind::Invalid | ErrorKind::Key => 400,
            ErrorKind::File | ErrorKind::Listen => 500,
        };
        Self::new(status, "ControlFailed", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass() {
        for host in ["localhost", "localhost:80", "127.0.0.1:1", "127.9.9.9", "[::1]:8080"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["", "evil.example:80", "10.0.0.1", "localhost.evil.example", "[::2]:1", "0.0.0.0"] {
            assert!(!names_loopback(host), "{host}");
        }
    }

    #[test]
    fn settings_change_one_by_one() {
        let mut settings = Settings::default();
        let changes = |text: &str| serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap();
        merge(&mut settings, changes(r#"{"token_life_s": 2.5, "expect": "ignore"}"#)).unwrap();
        assert_eq!(settings.token_life, Duration::from_millis(2500));
        assert_eq!(settings.page_size, 1000);
        merge(
            &mut settings,
            changes(r#"{"oauth": {"idle_s": 9}, "oauth.rotation": "count", "folio.tenant": "x"}"#),
        )
        .unwrap();
        assert_eq!(settings.oauth.idle, Duration::from_secs(9));
        assert_eq!(settings.oauth.rotation, crate::oauth::settings::Rotation::Count);
        assert_eq!(settings.oauth.max_reuse, 0);
        assert_eq!(settings.folio.tenant, "x");
        assert!(merge(&mut settings, changes(r#"{"oauth": {"idles": 9}}"#)).is_err());
        assert!(merge(&mut settings, changes(r#"{"oauth.x.y": 9}"#)).is_err());
        assert!(merge(&mut settings, changes(r#"{"pagesize.x": 1}"#)).is_err());
        assert!(merge(&mut settings, changes(r#"{"pagesize": 1}"#)).is_err());
        assert!(merge(&mut settings, changes(r#"{"token_life_s": -1}"#)).is_err());
    }
}
