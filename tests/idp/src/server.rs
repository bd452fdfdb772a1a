//! The servers, as processes that end with the test that started them.

use crate::proxy::Proxy;
use crate::web::{self, Answer};
use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The secret of the confidential clients: one that must be form-encoded before it goes into a Basic header.
pub const SECRET: &str = "p%2B+ :s/ecret";
/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_mins(8);

/// Runs a program that knows nothing of its stdin, and ends it and what it has started when that closes.
const UNTIL_STDIN_CLOSES: &str =
    r#"setsid bash "$0" "$@" </dev/null & cat >/dev/null; kill -KILL -- -$!; wait"#;

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// npm `oidc-provider`.
    OidcProvider,
    /// PyPI `django-oauth-toolkit`.
    Django,
    /// Keycloak.
    Keycloak,
}

/// Lives in whole seconds.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// Of access tokens.
    pub access: u64,
    /// Of a refresh token, counted anew with each refresh.
    pub idle: u64,
    /// Of the whole chain, where the server knows such a limit.
    pub absolute: u64,
    /// Django: grace for a spent refresh token. Keycloak: further uses of one.
    pub grace: u64,
}

impl Default for Lives {
    fn default() -> Self {
        Self { access: 60, idle: 600, absolute: 1200, grace: 0 }
    }
}

/// A running server behind a proxy.
pub struct Server {
    /// Which one.
    pub kind: Kind,
    /// What stands before it; its origin is what clients use.
    pub proxy: Proxy,
    child: Child,
    _directory: Option<TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // All of them end with their stdin, and so also when this process dies.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Where `install` has put the servers.
fn installed() -> io::Result<PathBuf> {
    std::env::var_os("OUTLAST_IDP").map(PathBuf::from).ok_or_else(|| {
        io::Error::other("OUTLAST_IDP does not say where the servers are: run tests/run identity")
    })
}

impl Server {
    /// Starts a server and waits until it answers.
    pub fn start(kind: Kind, lives: Lives) -> io::Result<Self> {
        let place = installed()?;
        let proxy = Proxy::start()?;
        let mut directory = None;
        let mut command = match kind {
            Kind::OidcProvider => {
                let options =
                    json!({ "accessLife": lives.access, "idle": lives.idle, "absolute": lives.absolute });
                let mut command = Command::new("node");
                command.arg(place.join("oidc/server.mjs")).arg(&proxy.origin).arg(options.to_string());
                command
            }
            Kind::Django => {
                let own = tempfile::tempdir()?;
                let options = json!({
                    "directory": own.path(), "accessLife": lives.access, "idle": lives.idle, "grace": lives.grace,
                });
                let mut command = Command::new(place.join("django/venv/bin/python"));
                command.arg(place.join("django/server.py")).arg(options.to_string());
                directory = Some(own);
                command
            }
            Kind::Keycloak => {
                let mut command = Command::new("bash");
                command
                    .args(["-c", UNTIL_STDIN_CLOSES])
                    .arg(place.join("keycloak/bin/kc.sh"))
                    .args([
                        "start-dev",
                        "--db=dev-mem",
                        "--cache=local",
                        "--http-host=127.0.0.1",
                        "--http-port=0",
                    ])
                    .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
                    .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin")
                    // Quick to start matters more here than quick to run.
                    .env("JAVA_OPTS_APPEND", "-XX:TieredStopAtLevel=1");
                command
            }
        };
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        let (sender, port) = mpsc::channel();
        // Reads to the end, so that the server never waits for a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let said = serde_json::from_str::<Value>(&line).ok().and_then(|line| line["port"].as_u64());
                let logged = || line.split("Listening on: http://127.0.0.1:").nth(1)?.trim().parse().ok();
                if let Some(port) = said.or_else(logged) {
                    let _ = sender.send(port);
                }
                if line.contains(" ERROR ") {
                    eprintln!("{line}");
                }
            }
        });
        let server = Self { kind, proxy, child, _directory: directory };
        let port =
            port.recv_timeout(START).map_err(|_| io::Error::other(format!("{kind:?} does not start")))?;
        server.proxy.lead_to(u16::try_from(port).map_err(io::Error::other)?);
        if kind == Kind::Keycloak {
            let realm = include_str!("../keycloak/realm.json");
            let admin = server.admin()?;
            let made = web::send(server.origin(), "POST", "/admin/realms", &[admin.header(), JSON], realm)?;
            if made.status != 201 {
                return Err(io::Error::other(format!("Keycloak does not take the realm: {made:?}")));
            }
            server.set_lives(lives)?;
        }
        Ok(server)
    }

    /// What clients use.
    pub fn origin(&self) -> &str {
        &self.proxy.origin
    }

    /// The issuer, whose discovery document names everything.
    pub fn issuer(&self) -> String {
        match self.kind {
            Kind::OidcProvider => self.origin().to_owned(),
            Kind::Django => format!("{}/o", self.origin()),
            Kind::Keycloak => format!("{}/realms/lab", self.origin()),
        }
    }

    /// Path of the token endpoint.
    pub fn token_path(&self) -> &'static str {
        match self.kind {
            Kind::OidcProvider => "/token",
            Kind::Django => "/o/token/",
            Kind::Keycloak => "/realms/lab/protocol/openid-connect/token",
        }
    }

    /// Path of the revocation endpoint.
    pub fn revoke_path(&self) -> &'static str {
        match self.kind {
            Kind::OidcProvider => "/token/revocation",
            Kind::Django => "/o/revoke_token/",
            Kind::Keycloak => "/realms/lab/protocol/openid-connect/revoke",
        }
    }

    /// Status of a resource that asks the server about this access token.
    pub fn resource(&self, access: &str) -> io::Result<u16> {
        let path = match self.kind {
            Kind::OidcProvider => "/me",
            Kind::Django => "/whoami",
            Kind::Keycloak => "/realms/lab/protocol/openid-connect/userinfo",
        };
        Ok(web::get_as(self.origin(), path, access)?.status)
    }

    /// A first refresh token of the client `job` (or `cli`), as a sign-in would have given it.
    pub fn grant(&self, client: &str) -> io::Result<Value> {
        if self.kind == Kind::Keycloak {
            let mut pairs = vec![
                ("grant_type", "password"),
                ("username", "ann"),
                ("password", "ann-password"),
                ("scope", "openid"),
                ("client_id", client),
            ];
            if client == "job" {
                pairs.push(("client_secret", SECRET));
            }
            let answer = web::form(self.origin(), self.token_path(), &[], &pairs)?;
            return ok(&answer);
        }
        ok(&web::get(self.origin(), &format!("/test/grant?client={client}"))?)
    }

    /// Refreshes as a plain client would.
    pub fn refresh(&self, token: &str) -> io::Result<Answer> {
        let basic = basic();
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
        web::form(self.origin(), self.token_path(), &[("authorization", &basic)], &pairs)
    }

    /// Keycloak: ends the user's session of this refresh token of a public client, as its logout endpoint does.
    pub fn log_out(&self, client: &str, refresh: &str) -> io::Result<()> {
        let path = "/realms/lab/protocol/openid-connect/logout";
        let pairs = [("client_id", client), ("refresh_token", refresh)];
        let answer = web::form(self.origin(), path, &[], &pairs)?;
        if answer.status == 204 { Ok(()) } else { Err(io::Error::other(format!("{answer:?}"))) }
    }

    /// Refreshes that the server itself says it honoured, and refused.
    pub fn counts(&self) -> io::Result<(u64, u64)> {
        if self.kind != Kind::Keycloak {
            let counts = ok(&web::get(self.origin(), "/test/counts")?)?;
            return Ok((counts["refreshes"].as_u64().unwrap_or(0), counts["refused"].as_u64().unwrap_or(0)));
        }
        let admin = self.admin()?;
        let count = |kind: &str| -> io::Result<u64> {
            let target = format!("/admin/realms/lab/events?max=10000&type={kind}");
            let answer = web::send(self.origin(), "GET", &target, &[admin.header()], "")?;
            Ok(ok(&answer)?.as_array().map_or(0, |events| events.len() as u64))
        };
        Ok((count("REFRESH_TOKEN")?, count("REFRESH_TOKEN_ERROR")?))
    }

    /// Lets the device with this user code in.
    pub fn approve(&self, user_code: &str) -> io::Result<()> {
        if self.kind == Kind::Keycloak {
            let start = format!("{}/realms/lab/device?user_code={user_code}", self.origin());
            return sign_ann_in(&mut web::Browser::default(), &start, |_| false).map(drop);
        }
        assert_eq!(self.kind, Kind::OidcProvider, "only this one has a short way");
        ok(&web::get(self.origin(), &format!("/test/approve?user_code={user_code}"))?).map(drop)
    }

    /// Django: the grace for spent refresh tokens, in seconds, from now on.
    pub fn set_grace(&self, seconds: u64) -> io::Result<()> {
        ok(&web::get(self.origin(), &format!("/test/grace?seconds={seconds}"))?).map(drop)
    }

    /// Keycloak: the realm's lives, for tokens issued from now on.
    pub fn set_lives(&self, lives: Lives) -> io::Result<()> {
        let change = json!({
            "realm": "lab", "accessTokenLifespan": lives.access, "ssoSessionIdleTimeout": lives.idle,
            "ssoSessionMaxLifespan": lives.absolute, "revokeRefreshToken": true, "refreshTokenMaxReuse": lives.grace,
        });
        let admin = self.admin()?;
        let headers = [admin.header(), JSON];
        let answer = web::send(self.origin(), "PUT", "/admin/realms/lab", &headers, &change.to_string())?;
        if answer.status == 204 { Ok(()) } else { Err(io::Error::other(format!("{answer:?}"))) }
    }

    fn admin(&self) -> io::Result<Admin> {
        let pairs = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let path = "/realms/master/protocol/openid-connect/token";
        let began = Instant::now();
        loop {
            // The port may be open before the first realm is there.
            let answer = web::form(self.origin(), path, &[], &pairs)?;
            if let Some(token) = answer.json()["access_token"].as_str() {
                return Ok(Admin(format!("Bearer {token}")));
            }
            if began.elapsed() > Duration::from_mins(1) {
                return Err(io::Error::other(format!("no administrator: {answer:?}")));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Fills Keycloak's pages as Ann would, from `start` until there is nothing more to fill in or `stop` accepts the address of
/// the next step; gives that address.
pub fn sign_ann_in(
    browser: &mut web::Browser,
    start: &str,
    stop: impl Fn(&str) -> bool,
) -> io::Result<String> {
    let mut url = start.to_owned();
    for _ in 0..6 {
        let (at, page) = browser.follow(&url, &stop)?;
        let Some(answer) = page else { return Ok(at) };
        let page = String::from_utf8_lossy(&answer.body);
        let Some((action, mut fields)) = web::first_form(&page) else {
            // "Device Login Successful", or why not.
            return if answer.status == 200 { Ok(at) } else { Err(io::Error::other(page.into_owned())) };
        };
        let known = [("username", "ann"), ("password", "ann-password"), ("accept", "Yes")];
        let known: Vec<_> = known.into_iter().filter(|(name, _)| web::has_field(&page, name)).collect();
        if known.is_empty() {
            return Err(io::Error::other(format!("a page that nobody knows: {page}")));
        }
        for (name, value) in known {
            fields.retain(|(field, _)| field != name);
            fields.push((name.to_owned(), value.to_owned()));
        }
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = browser.send(&web::absolute(&at, &action), "POST", &fields)?;
        if !(300..400).contains(&answer.status) {
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(io::Error::other(format!("the form was not taken ({}): {page}", answer.status)));
        }
        url = web::absolute(&at, answer.get("location"));
    }
    Err(io::Error::other("more than 6 pages"))
}

const JSON: (&str, &str) = ("content-type", "application/json");

struct Admin(String);

impl Admin {
    fn header(&self) -> (&str, &str) {
        ("authorization", &self.0)
    }
}

/// `Authorization` of the client `job`.
pub fn basic() -> String {
    let pair = format!("job:{}", web::encode(SECRET));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn ok(answer: &Answer) -> io::Result<Value> {
    if answer.status == 200 { Ok(answer.json()) } else { Err(io::Error::other(format!("{answer:?}"))) }
}
