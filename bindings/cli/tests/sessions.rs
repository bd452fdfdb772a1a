//! Sessions of the sessions file: `outlast login`, `token`, `session`, `logout` against the loopback identity server.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ended, Lab, ended, run, run_with_stdin};
use outlast_cloud::{Action, ApiKey, ClientSpec, EndGrant, Fault, GrantSpec, Op, Preset, Rotation};
use outlast_core::engine::sign::SigningKey;

/// A lab with a sessions file for its identity server.
fn lab() -> Lab {
    let lab = Lab::new();
    // Here refreshes are asked for; when they are due by themselves is tried elsewhere.
    lab.control().change(|settings| settings.oauth.earliest_refresh = 0.0);
    let at = lab.cloud.endpoint();
    std::fs::create_dir_all(lab.path(".config/outlast")).expect("the directory is ours");
    lab.file("odd-secret", "p%2B+ :ü/\n");
    lab.file("password", "ann-password\n");
    lab.file("job-token", "{\"access_token\":\"from-a-file\",\"expires_in\":3600}");
    lab.file(
        ".config/outlast/sessions.conf",
        format!(
            "[work]\nprovider = keycloak\nissuer = {at}/oauth\nclient_id = cli\nscope = openid offline_access\n\
             [patient]\nissuer = {at}/oauth\nclient_id = cli\non_ambiguous = replay:60s\n\
             [service]\nissuer = {at}/oauth\nclient_id = odd client\nclient_secret_file = ~/odd-secret\n\
             grant = client_credentials\n\
             [library]\nprovider = folio-okapi\nurl = {at}\ntenant = diku\nusername = ann\npassword_file = ~/password\n\
             [program]\ncommand = /bin/echo '{{\"access_token\":\"from a program\"}}'\n\
             [printed]\ncommand = /bin/echo from-a-program\n\
             [file]\nfile = ~/job-token\n"
        ),
    );
    lab
}

fn outlast(lab: &Lab, words: &[&str]) -> Command {
    let mut command = lab.outlast();
    command.args(words);
    command
}

fn token(lab: &Lab, name: &str) -> String {
    let ended = run(&mut outlast(lab, &["token", name]));
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.stdout.trim_end().to_owned()
}

/// Signs in with a refresh token from elsewhere.
fn bring(lab: &Lab, name: &str) -> Ended {
    let pair = lab.control().oauth_grant(&GrantSpec::default(), &lab.cloud.endpoint()).expect("a grant");
    let refresh = pair["refresh_token"].as_str().expect("a refresh token");
    let command = &mut outlast(lab, &["login", name, "--refresh-token-file", "-"]);
    run_with_stdin(command, refresh.as_bytes())
}

/// Gets a page as a browser does, redirects included; gives the last page.
fn browse(url: &str) -> String {
    let mut url = url.to_owned();
    for _ in 0..8 {
        let rest = url.strip_prefix("http://").expect("loopback is plain http");
        let (host, path) = rest.split_once('/').expect("a path");
        let mut stream = TcpStream::connect(host).expect("it listens");
        write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
            .expect("it reads");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("it answers");
        let location = page.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        });
        match location {
            Some(next) if next.starts_with('/') => url = format!("http://{host}{next}"),
            Some(next) => url = next,
            None => return page,
        }
    }
    panic!("redirected too often");
}

/// A sign-in that waits for somebody, and is waited for by [`finish`]; the lines it prints until one fits.
#[expect(clippy::zombie_processes, reason = "`finish` waits for it")]
fn begin(
    lab: &Lab,
    words: &[&str],
    fits: fn(&str) -> bool,
) -> (Child, String, BufReader<std::process::ChildStderr>) {
    let mut child =
        outlast(lab, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("text") > 0, "it ended without that line");
        if fits(&line) {
            return (child, line.trim().to_owned(), lines);
        }
    }
}

fn finish(child: Child, mut lines: BufReader<std::process::ChildStderr>) -> Ended {
    let mut stderr = String::new();
    lines.read_to_string(&mut stderr).expect("text");
    Ended { stderr, ..ended(&child.wait_with_output().expect("it ends")) }
}

#[test]
fn a_browser_signs_in_and_the_chain_is_sealed_used_and_revoked() {
    let lab = lab();
    let parked = run(&mut outlast(&lab, &["token", "work"]));
    assert!(parked.line(75).contains("sign in with `outlast login work`"), "{parked:?}");
    let (child, url, lines) =
        begin(&lab, &["login", "work", "--no-browser"], |line| line.contains("http://"));
    assert!(url.contains("code_challenge_method=S256"), "{url}");
    assert!(browse(&url).contains("You are signed in"));
    let signed_in = finish(child, lines);
    assert_eq!(signed_in.code, 0, "{signed_in:?}");
    assert!(signed_in.stderr.contains("signed in to [work]"), "{signed_in:?}");

    let first = token(&lab, "work");
    assert_eq!(token(&lab, "work"), first, "a good token is not refreshed");
    let sealed =
        std::fs::read_to_string(lab.path(".local/state/outlast/vault/work.sealed")).expect("the vault");
    assert!(sealed.starts_with("outlast-vault 1 ") && !sealed.contains(&first));
    let shown = run(&mut outlast(&lab, &["session", "show", "work", "--output", "json"])).json();
    assert_eq!((&shown["state"], &shown["chain"]["link"]), (&"fresh".into(), &1.into()), "{shown}");

    let moved = run(&mut outlast(&lab, &["session", "refresh", "work", "--output", "json"])).json();
    assert_eq!(moved["session"], "work", "{moved}");
    assert_ne!(token(&lab, "work"), first);
    let header = run(&mut outlast(&lab, &["token", "work", "--format", "header"]));
    assert!(header.stdout.starts_with("Authorization: Bearer "), "{header:?}");
    let json = run(&mut outlast(&lab, &["token", "work", "--format", "json"])).json();
    assert!(json["expires_at_ms"].as_i64().is_some(), "{json}");
    let process = run(&mut outlast(&lab, &["token", "work", "--format", "credential_process"])).json();
    assert_eq!(process["Version"], 1, "{process}");

    let out = run(&mut outlast(&lab, &["logout", "work"]));
    assert!(out.code == 0 && out.stderr.contains("revoked"), "{out:?}");
    assert_eq!(run(&mut outlast(&lab, &["token", "work"])).code, 75);
    let again = run(&mut outlast(&lab, &["logout", "work"]));
    assert!(again.code == 0 && again.stderr.contains("nobody was signed in"), "{again:?}");
    assert_eq!(lab.control().violations(), vec![]);
}

#[test]
fn a_code_signs_in_on_another_machine() {
    let lab = lab();
    let (child, line, lines) =
        begin(&lab, &["login", "work", "--device"], |line| line.trim().starts_with("code "));
    let code = line.split_whitespace().last().expect("a code").to_owned();
    assert!(lab.control().oauth_device(&code, Some("ann")));
    let signed_in = finish(child, lines);
    assert_eq!(signed_in.code, 0, "{signed_in:?}");
    assert!(!token(&lab, "work").is_empty());
    let (child, line, lines) =
        begin(&lab, &["login", "work", "--device"], |line| line.trim().starts_with("code "));
    let code = line.split_whitespace().last().expect("a code").to_owned();
    assert!(lab.control().oauth_device(&code, None));
    let denied = finish(child, lines);
    assert!(denied.line(75).contains("refused"), "{denied:?}");
}

#[test]
fn many_processes_make_one_refresh() {
    let lab = lab();
    lab.control().oauth_preset(Preset::Keycloak);
    assert_eq!(bring(&lab, "work").code, 0);
    let before = token(&lab, "work");
    let children: Vec<Child> = (0..8)
        .map(|_| {
            outlast(&lab, &["session", "refresh", "work"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary runs")
        })
        .collect();
    for child in children {
        let ended = ended(&child.wait_with_output().expect("it ends"));
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_ne!(token(&lab, "work"), before);
    // No refresh token went out twice, no two were in flight.
    assert_eq!(lab.control().violations(), vec![]);
}

#[test]
fn a_dead_chain_parks_and_is_not_asked_again() {
    let lab = lab();
    assert_eq!(bring(&lab, "work").code, 0);
    lab.control().oauth_end(&EndGrant::User("ann".into()));
    let refused = run(&mut outlast(&lab, &["session", "refresh", "work"]));
    assert_eq!(refused.code, 75, "{refused:?}");
    let asked = |lab: &Lab| lab.control().log().iter().filter(|entry| entry.op == Op::OauthToken).count();
    let before = asked(&lab);
    let refused = run(&mut outlast(&lab, &["session", "refresh", "work"]));
    assert_eq!(refused.code, 75, "{refused:?}");
    assert_eq!(asked(&lab), before, "what was refused is never presented again, by no process");
    let out = run(&mut outlast(&lab, &["logout", "work"]));
    assert!(out.stderr.contains("was not told"), "what was brought along is shared: {out:?}");
}

#[test]
fn services_programs_and_files_give_tokens() {
    let lab = lab();
    assert!(!token(&lab, "service").is_empty());
    assert_eq!(token(&lab, "printed"), "from-a-program");
    assert_eq!(token(&lab, "file"), "from-a-file");
    let wrong = run(&mut outlast(&lab, &["token", "program"]));
    assert!(wrong.stderr.contains("no token has") && !wrong.stderr.contains("from a program"), "{wrong:?}");
    let folio = run(&mut outlast(&lab, &["token", "library", "--format", "header"]));
    assert!(
        folio.stdout.contains("X-Okapi-Token: ") && folio.stdout.contains("X-Okapi-Tenant: diku"),
        "{folio:?}"
    );
    assert!(!folio.stdout.contains("Authorization"));
    let first = token(&lab, "library");
    let refreshed = run(&mut outlast(&lab, &["session", "refresh", "library"]));
    assert_eq!(refreshed.code, 0, "{refreshed:?}");
    assert_ne!(token(&lab, "library"), first);
    let out = run(&mut outlast(&lab, &["logout", "library"]));
    assert!(out.code == 0 && out.stderr.contains("revoked"), "{out:?}");
    assert_eq!(lab.control().violations(), vec![]);
}

#[test]
fn keep_writes_a_token_file_for_others() {
    let lab = lab();
    assert_eq!(bring(&lab, "work").code, 0);
    let file = lab.path("token");
    let kept = run(&mut outlast(&lab, &["session", "keep", "work", "--for", "1s", "--write-token", "token"]));
    assert_eq!(kept.code, 0, "{kept:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), token(&lab, "work"));
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    let left = std::fs::read_dir(Path::new(lab.dir.path())).expect("ours").flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp")));
}

#[test]
fn a_client_may_prove_itself_with_a_key() {
    let lab = lab();
    let profile = lab.control().api_key(&ApiKey::new("JWT", lab.path("keys"))).expect("an API key");
    let pem = std::fs::read(&profile.key_file).expect("just written");
    let key = SigningKey::from_pem(&pem, None).expect("a good key");
    let public_key_pem = Some(key.public_key_pem());
    lab.control()
        .oauth_client(&ClientSpec { id: "signer".into(), public_key_pem, ..ClientSpec::default() })
        .expect("a key");
    lab.file("key.pem", key.to_pkcs8_pem().expose());
    let at = lab.cloud.endpoint();
    let section = |name: &str, algorithm: &str| {
        format!(
            "[{name}]\nissuer = {at}/oauth\nclient_id = signer\nclient_key_file = key.pem\n\
             client_key_algorithm = {algorithm}\ngrant = client_credentials\n"
        )
    };
    lab.file("s.conf", section("good", "RS256") + &section("other", "PS512"));
    let call = |words: &[&str]| run(outlast(&lab, words).args(["--sessions-file", "s.conf"]));
    // Each attempt has an assertion of its own: one that comes twice is refused.
    for _ in 0..3 {
        let token = call(&["token", "good"]);
        assert_eq!(token.code, 0, "{token:?}");
        assert_eq!(call(&["logout", "good", "--local"]).code, 0);
    }
    let refused = call(&["token", "other"]);
    assert!(refused.line(1).contains("check client_id, its secret or key"), "{refused:?}");
    assert_eq!(lab.control().violations(), vec![]);
}

/// Requests to the token endpoint that have been answered, or given up on.
fn asked(lab: &Lab) -> usize {
    lab.control().log().iter().filter(|entry| entry.op == Op::OauthToken).count()
}

#[expect(clippy::disallowed_methods, reason = "what the server has done is looked for")]
fn until(what: &str, lab: &Lab, holds: impl Fn(&Lab) -> bool) {
    let begun = Instant::now();
    while !holds(lab) {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A refresh whose answer the server withholds, killed while it waits for it: the server has rotated by then.
fn kill_in_mid_refresh(lab: &Lab, name: &str) {
    assert_eq!(bring(lab, name).code, 0);
    let (rotated, answered) = (lab.control().oauth_chains()[0].refreshes, asked(lab));
    let delay = Action::Delay { time: Duration::from_secs(3) };
    let fault = lab.control().add_fault(Fault::on(Op::OauthToken).act(delay));
    let mut child = outlast(lab, &["session", "refresh", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    until("the server rotates", lab, |lab| lab.control().oauth_chains()[0].refreshes > rotated);
    // SIGKILL: nothing is put in order.
    child.kill().expect("it is ours");
    assert!(!child.wait().expect("it has ended").success());
    lab.control().remove_faults(Some(fault));
    until("the server is done with it", lab, |lab| asked(lab) > answered);
}

#[test]
fn killed_in_mid_refresh_where_nothing_may_be_replayed_it_says_so_and_loses_no_token() {
    let lab = lab();
    let before = {
        // The token that was good before is good after; it is not touched.
        kill_in_mid_refresh(&lab, "work");
        token(&lab, "work")
    };
    let answered = asked(&lab);
    let shown = run(&mut outlast(&lab, &["session", "show", "work", "--output", "json"])).json();
    assert_eq!((&shown["state"], &shown["chain"]["answer_lost"]), (&"fresh".into(), &true.into()), "{shown}");
    let refused = run(&mut outlast(&lab, &["session", "refresh", "work"]));
    let line = refused.line(75);
    assert!(line.contains("the answer to a refresh was lost"), "{line}");
    assert!(line.contains("sign in with `outlast login work`"), "{line}");
    assert_eq!(token(&lab, "work"), before, "it serves to its own end");
    assert_eq!(asked(&lab), answered, "the refresh token was never presented again");
    assert_eq!(lab.control().violations(), vec![]);
    assert!(lab.control().secrets_in(&format!("{refused:?}{shown}")).is_empty());
    // Somebody signs in again, and all is well.
    assert_eq!(bring(&lab, "work").code, 0);
    assert_eq!(run(&mut outlast(&lab, &["session", "refresh", "work"])).code, 0);
}

#[test]
fn killed_in_mid_refresh_where_a_replay_is_allowed_the_next_start_recovers() {
    let lab = lab();
    lab.control().change(|settings| {
        settings.oauth.rotation = Rotation::Replay;
        settings.oauth.grace = Duration::from_mins(1);
    });
    kill_in_mid_refresh(&lab, "patient");
    let recovered = run(&mut outlast(&lab, &["session", "refresh", "patient"]));
    assert_eq!(recovered.code, 0, "{recovered:?}");
    let shown = run(&mut outlast(&lab, &["session", "show", "patient", "--output", "json"])).json();
    assert_eq!(
        (&shown["chain"]["answer_lost"], &shown["chain"]["ended"]),
        (&false.into(), &serde_json::Value::Null)
    );
    // The pair that was lost is the pair that is used: one chain, nothing forked, nothing ended.
    assert_eq!(run(&mut outlast(&lab, &["session", "refresh", "patient"])).code, 0);
    assert!(lab.control().oauth_chains()[0].ended.is_none());
    assert_eq!(lab.control().violations(), vec![]);
}

#[test]
fn a_service_refreshed_right_after_its_first_token_is_well() {
    let lab = lab();
    for name in ["service", "printed"] {
        let first = token(&lab, name);
        for _ in 0..2 {
            let refreshed = run(&mut outlast(&lab, &["session", "refresh", name, "--output", "json"])).json();
            assert_eq!(
                (&refreshed["session"], &refreshed["horizon"]),
                (&name.into(), &serde_json::Value::Null)
            );
        }
        // A server mints another; a program may say the same again.
        assert_eq!(token(&lab, name) == first, name == "printed");
    }
    assert_eq!(lab.control().violations(), vec![]);
}

#[test]
fn a_job_has_tokens_of_its_own_until_it_is_ended() {
    let lab = lab();
    let at = lab.cloud.endpoint();
    lab.file("job-secret", "job-secret");
    let text = format!(
        "[work]\nissuer = {at}/oauth\nclient_id = cli\njob = exchange\njob_client_id = job\n\
         job_client_secret_file = ~/job-secret\n"
    );
    std::fs::write(lab.path(".config/outlast/sessions.conf"), text).expect("ours");
    assert_eq!(bring(&lab, "work").code, 0);
    let job = |lab: &Lab| run(&mut outlast(lab, &["token", "work", "--job", "import-7"]));
    let first = job(&lab);
    assert_eq!(first.code, 0, "{first:?}");
    assert_ne!(first.stdout.trim(), token(&lab, "work"));
    assert_eq!(job(&lab).stdout, first.stdout, "the same until it has ended");
    // The person signs out, here and at the server.
    lab.control().oauth_end(&EndGrant::Chain(0));
    assert_eq!(run(&mut outlast(&lab, &["logout", "work"])).code, 0);
    assert_eq!(job(&lab).stdout, first.stdout, "the job is not");
    let end = |lab: &Lab| run(&mut outlast(lab, &["logout", "work", "--job", "import-7"]));
    let ended = end(&lab);
    assert!(ended.code == 0 && ended.stderr.contains("has revoked its tokens"), "{ended:?}");
    assert!(lab.control().oauth_chains().iter().all(|chain| chain.ended.is_some()));
    assert!(end(&lab).stderr.contains("has no tokens"));
    let bad = run(&mut outlast(&lab, &["token", "work", "--job", "../x"]));
    assert!(bad.line(2).contains("a job's name"), "{bad:?}");
}

#[test]
fn a_service_takes_over_from_a_session_that_has_ended() {
    let lab = lab();
    let printed = run(&mut outlast(&lab, &["token", "work", "--service", "service", "--format", "json"]));
    let secret = printed.json()["access_token"].as_str().expect("a token").to_owned();
    let audit = std::fs::read_to_string(lab.path(".local/state/outlast/audit.ndjson")).expect("the record");
    let lines: Vec<serde_json::Value> =
        audit.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 1, "{audit}");
    assert_eq!(
        (&lines[0]["principal"], &lines[0]["credential"], &lines[0]["reason"]),
        (&"session work".into(), &"session service".into(), &"session-ended".into())
    );
    assert!(!audit.contains(&secret) && lab.control().secrets_in(&audit).is_empty());
    // While the person is signed in nobody takes over.
    assert_eq!(bring(&lab, "work").code, 0);
    let own =
        run(&mut outlast(&lab, &["token", "work", "--service", "service", "--audit-log", "other.ndjson"]));
    assert_eq!(own.stdout.trim(), token(&lab, "work"));
    assert_eq!(std::fs::read_to_string(lab.path("other.ndjson")).expect("it is made"), "");
    // One that does not work takes nothing over.
    assert_eq!(run(&mut outlast(&lab, &["logout", "work", "--local"])).code, 0);
    lab.file("odd-secret", "wrong");
    let _ = std::fs::remove_file(lab.path(".local/state/outlast/vault/service.sealed"));
    let neither = run(&mut outlast(&lab, &["token", "work", "--service", "service"]));
    assert!(neither.line(75).contains("sign in with `outlast login work`"), "{neither:?}");
}
