//! The sessions file, stored sign-ins, programs and files that give tokens.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{Case, Lab, case, words};

/// `outlast token s` with a sessions file of this text.
fn token_with(lab: &Lab, text: &str) -> Command {
    lab.file("s.conf", text);
    words(lab, &["token", "s", "--sessions-file", "s.conf", "--timeout", "20s"])
}

const CLIENT: &str = "[s]\nissuer = https://as.example.com\nclient_id = c\n";

/// A stored sign-in in the place of [s].
fn stored(lab: &Lab, text: &str) {
    std::fs::create_dir_all(lab.path(".local/state/outlast/vault")).expect("the directory is ours");
    lab.file(".local/state/outlast/vault/s.sealed", text);
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("no sessions file", |lab| words(lab, &["token", "s"])),
        case("a session that does not exist", |lab| token_with(lab, "[a]\nfile = x\n[b]\nfile = y\n")),
        case("a session name that is a path", |lab| {
            words(lab, &["token", "../x", "--sessions-file", "/dev/null"])
        }),
        case("a key of the sessions file that nobody knows", |lab| {
            token_with(lab, &format!("{CLIENT}client_sercet = hunter2\n"))
        }),
        case("a secret in a sessions file that others can read", |lab| {
            let command = token_with(lab, &format!("{CLIENT}client_secret = hunter2\n"));
            let open = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(lab.path("s.conf"), open).expect("the file is ours");
            command
        }),
        case("an issuer with plain http", |lab| {
            token_with(lab, "[s]\nissuer = http://as.example.com\nclient_id = c\n")
        }),
        case("a provider that nobody knows", |lab| {
            token_with(lab, &format!("{CLIENT}provider = keycloack\n"))
        }),
        case("a token that nobody has signed in for", |lab| token_with(lab, CLIENT)),
        case("a stored sign-in that is some other file", |lab| {
            stored(lab, "hunter2\n");
            token_with(lab, CLIENT)
        }),
        case("a stored sign-in of a newer version", |lab| {
            stored(lab, "outlast-vault 9 a b c\n");
            token_with(lab, CLIENT)
        }),
        case("a stored sign-in without its key", |lab| {
            let nonce = "A".repeat(32);
            stored(lab, &format!("outlast-vault 1 AAAAAAAAAAAA {nonce} AAAA\n"));
            token_with(lab, CLIENT)
        }),
        case("a vault key that is none", |lab| {
            let nonce = "A".repeat(32);
            stored(lab, &format!("outlast-vault 1 AAAAAAAAAAAA {nonce} AAAA\n"));
            token_with(lab, &format!("{CLIENT}vault_key = command:/bin/echo hunter2\n"))
        }),
        case("an identity provider that is no such thing", |lab| {
            let at = lab.cloud.endpoint();
            let text = format!("[s]\nissuer = {at}/nothing\nclient_id = c\n");
            lab.file("s.conf", text);
            words(lab, &["login", "s", "--sessions-file", "s.conf", "--no-browser"])
        }),
        case("a program that does not exist", |lab| token_with(lab, "[s]\ncommand = /nonexistent/helper\n")),
        case("a program that prints no credential", |lab| {
            token_with(lab, "[s]\ncommand = /bin/echo '{\"token\": \"hunter2 x\"}'\n")
        }),
        case("a token file that does not exist", |lab| token_with(lab, "[s]\nfile = none\n")),
        case("a token file that is half-written JSON", |lab| {
            lab.file("t", "{\"access_token\": \"hunter2");
            token_with(lab, "[s]\nfile = t\n")
        }),
        case("`outlast login` for a program", |lab| {
            lab.file("s.conf", "[s]\ncommand = /bin/true\n");
            words(lab, &["login", "s", "--sessions-file", "s.conf"])
        }),
        case("an empty refresh token", |lab| {
            lab.file("s.conf", CLIENT);
            lab.file("rt", "\n");
            words(lab, &["login", "s", "--sessions-file", "s.conf", "--refresh-token-file", "rt"])
        }),
        case("a format that there is not", |lab| words(lab, &["token", "s", "--format", "xml"])),
    ]
}
