//! `outlast login`, `token` and `logout` against a real server, as a user and their scripts call them.

#![allow(clippy::disallowed_methods, reason = "a server without a clock of ours is waited for")]

use outlast_idp::server::{Kind, Lives, Server};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SCRIPTS: usize = 8;
const LIFE: Duration = Duration::from_secs(20);

/// The program, with a home of its own. `OUTLAST` says where it is.
fn outlast(home: &Path) -> Command {
    let program = std::env::var_os("OUTLAST").expect("OUTLAST names the program: run tests/run identity");
    let mut command = Command::new(program);
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .stdin(Stdio::null());
    command
}

fn token(home: &Path) -> Output {
    outlast(home).args(["token", "lab", "--format", "raw"]).output().unwrap()
}

/// What a call printed, if it went well.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

#[test]
fn scripts_share_a_sign_in() {
    let server =
        Server::start(Kind::OidcProvider, Lives { access: LIFE.as_secs(), ..Lives::default() }).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    std::fs::create_dir_all(home.join("config/outlast")).unwrap();
    let text = format!(
        "[lab]\nprovider = oidc-provider\nissuer = {}\nclient_id = cli\nscope = openid offline_access\n",
        server.issuer()
    );
    std::fs::write(home.join("config/outlast/sessions.conf"), text).unwrap();

    let nobody = token(home);
    assert!(!nobody.status.success());
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("outlast login lab"), "{nobody:?}");

    // The code is shown on stderr; a person types it elsewhere.
    let mut login = outlast(home).args(["login", "lab", "--device"]).stderr(Stdio::piped()).spawn().unwrap();
    let shown = BufReader::new(login.stderr.take().unwrap());
    for line in shown.lines().map_while(Result::ok) {
        if let Some(code) = line.trim().strip_prefix("code") {
            server.approve(code.trim()).unwrap();
        }
    }
    assert!(login.wait().unwrap().success());
    let signed_in = Instant::now();
    let first = printed(&token(home));
    assert_eq!(server.resource(&first).unwrap(), 200);
    assert_eq!(server.proxy.honoured(), 0, "no refresh before its time");

    // The token has ended, and many scripts want one at once: one of them refreshes, for all.
    thread::sleep((LIFE + Duration::from_secs(1)).saturating_sub(signed_in.elapsed()));
    let tokens: Vec<String> = thread::scope(|scope| {
        let calls: Vec<_> = (0..SCRIPTS).map(|_| scope.spawn(|| printed(&token(home)))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0] && *token != first), "one token for all");
    assert_eq!((server.proxy.honoured(), server.counts().unwrap()), (1, (1, 0)));
    assert_eq!(server.resource(&tokens[0]).unwrap(), 200);

    let logout = outlast(home).args(["logout", "lab"]).output().unwrap();
    assert!(logout.status.success(), "{logout:?}");
    assert_eq!(server.resource(&tokens[0]).unwrap(), 401, "this server ends the whole grant");
    assert!(!token(home).status.success());
}
