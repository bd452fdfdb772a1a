use std::path::Path;

use super::*;
use crate::engine::chain::OnAmbiguous;
use crate::engine::provider::Meaning;
use crate::engine::random::Random;
use crate::engine::wire::oauth2::Rejection;

fn places() -> Places<'static> {
    Places { home: Some(Path::new("/home/u")), dir: Path::new("/etc/o"), allow_http: false }
}

fn read(text: &str, name: &str) -> Result<SessionDef, Error> {
    SessionsFile::parse(text)?.session(name, places())
}

fn good(text: &str) -> SessionDef {
    read(text, "s").unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_public_client_needs_three_lines() {
    let def = good("[s]\nissuer = https://kc/realms/R/\nprovider = keycloak\nclient_id = cli\n");
    assert_eq!((def.provider.name.as_ref(), def.timer), ("keycloak", false));
    assert_eq!(def.origin(), "https://kc/realms/R cli");
    let Kind::OAuth2(oauth2) = def.kind else { panic!("OAuth 2.0") };
    assert!(matches!(oauth2.client_auth, ClientAuthDef::None));
    assert!(
        matches!(&oauth2.grant, GrantDef::SignIn { redirect_port: 0, redirect_path, .. } if redirect_path == "/callback")
    );
}

#[test]
fn everything_can_be_said() {
    let def = good(
        "[DEFAULT]\nvault_key = command:secret-tool lookup service outlast\nclient_id = c\n[s]\nprovider=mine\n\
         token_endpoint=https://as/t\nclient_secret_env=S\nclient_auth=post\ngrant=client_credentials\n\
         scope=\n  a\n  b\nresource=https://x https://y\nmode=timer\non_ambiguous=count:2\nlifetime=2h\n\
         [provider mine]\nbased_on=keycloak\nidle_limit=30m\nold_token_dies=yes\n\
         expired=\n  403\n  400 Token missing\nfailures=\n  400 odd_error \"try again\" busy\n  * gone * dead\n",
    );
    assert!(def.timer && def.provider.old_dies);
    assert_eq!(def.provider.on_ambiguous, OnAmbiguous::Count { left: 2 });
    assert_eq!(def.provider.lifetime, Some(Duration::from_hours(2)));
    assert!(matches!(&def.vault_key, VaultKeyRef::Command(argv) if argv.len() == 4));
    let profile = def.provider.chain_profile();
    assert!(profile.means_expired(403, b"") && profile.means_expired(400, b"x Token missing y"));
    let meaning = |status, error: &str, words: &str| {
        def.provider.meaning(&Rejection {
            status,
            error: Some(error.into()),
            words: Some(words.into()),
            retry_after: None,
            unreadable: None,
            dpop_nonce: false,
        })
    };
    assert_eq!(meaning(400, "odd_error", "please TRY again"), Meaning::Busy);
    assert_eq!(meaning(401, "gone", ""), Meaning::Dead);
    assert_eq!(meaning(400, "invalid_grant", "Stale token"), Meaning::Reused);
    let Kind::OAuth2(oauth2) = def.kind else { panic!("OAuth 2.0") };
    assert_eq!((oauth2.scope.as_str(), oauth2.resources.len()), ("a b", 2));
    assert!(matches!(oauth2.client_auth, ClientAuthDef::Post(SecretRef::Env(name)) if name == "S"));
}

#[test]
fn other_kinds() {
    let def =
        good("[s]\nprovider=folio-okapi\nurl=https://okapi/\ntenant=diku\nusername=u\npassword_file=~/pw\n");
    let Kind::Folio(folio) = &def.kind else { panic!("FOLIO") };
    assert_eq!((folio.url.as_str(), folio.legacy), ("https://okapi", false));
    assert!(
        matches!(&folio.credentials, Some((_, SecretRef::File(path))) if path == Path::new("/home/u/pw"))
    );
    let def = good("[s]\ncommand=/bin/helper 'a b'\ntimeout=5s\n");
    assert!(
        matches!(&def.kind, Kind::Command(command) if command.argv[1] == "a b" && command.timeout.as_secs() == 5)
    );
    let def = good("[s]\nfile=token.txt\n");
    assert!(matches!(&def.kind, Kind::File(file) if file.path == Path::new("/etc/o/token.txt")));
    assert!(!def.has_inline_secret());
    let def = good("[s]\nissuer=https://i\nclient_id=c\nclient_secret=hunter2\n");
    assert!(def.has_inline_secret());
    assert!(!format!("{def:?}").contains("hunter2"));
    let def = good(
        "[s]\nissuer=https://i\nclient_id=c\nclient_key_file=k.pem\ngrant=token_exchange\nsubject_token_command=x\n",
    );
    let Kind::OAuth2(oauth2) = def.kind else { panic!("OAuth 2.0") };
    assert!(
        matches!(oauth2.client_auth, ClientAuthDef::PrivateKeyJwt { algorithm, .. } if algorithm == "RS256")
    );
}

#[test]
fn what_is_wrong_is_named_and_never_shown() {
    let base = "[s]\nissuer=https://i\nclient_id=c\n";
    for (text, words) in [
        ("[s]\n", "[s] needs issuer or token_endpoint"),
        ("[s]\nissuer=https://i\n", "[s] needs client_id"),
        (
            &format!("{base}clientsecret=hunter2\n"),
            "line 4, [s]: clientsecret is no key of this kind of section; did you mean client_secret?",
        ),
        (&format!("{base}hunter2\n"), "line 4: this is neither"),
        (
            &format!("{base}client_secret=hunter2\nclient_secret_env=X\n"),
            "client_secret_env and client_secret exclude",
        ),
        (&format!("{base}client_auth=basic\n"), "has client_auth basic and no client_secret_file"),
        (&format!("{base}client_auth=hunter2\n"), "line 4, [s]: client_auth is one of none, basic"),
        (&format!("{base}grant=hunter2\n"), "grant is one of sign_in"),
        (&format!("{base}grant=token_exchange\n"), "no subject_token_file"),
        (&format!("{base}redirect_port=70000\n"), "redirect_port is a port"),
        (
            &format!("{base}provider=nobody\n"),
            "there is no provider \"nobody\"; known are generic, oidc-provider",
        ),
        (&format!("{base}mode=sometimes\n"), "mode is lazy"),
        (&format!("{base}lifetime=soon\n"), "lifetime is a time such as"),
        (&format!("{base}on_ambiguous=replay\n"), "on_ambiguous is none, replay:10s"),
        (&format!("{base}on_ambiguous=count:0\n"), "on_ambiguous is none"),
        (&format!("{base}vault_key=hunter2\n"), "vault_key is file:PATH"),
        (&format!("{base}vault_key=command:'x\n"), "vault_key is file:PATH"),
        (&format!("{base}expired=200\n"), "expired is a line per answer"),
        (&format!("{base}client_secret_command='x\n"), "client_secret_command is a program"),
        ("[s]\nissuer=http://i\nclient_id=c\n", "issuer cannot be used"),
        ("[s]\nissuer=https://u:hunter2@i\nclient_id=c\n", "issuer cannot be used"),
        ("[s]\nissuer=https://i?x=hunter2\nclient_id=c\n", "must not have a query"),
        ("[s]\nprovider=oracle-iot\ntoken_endpoint=ftp://x\nclient_id=c\n", "token_endpoint cannot be used"),
        ("[s]\nprovider=folio-okapi\nurl=https://o\n", "needs tenant"),
        ("[s]\nprovider=folio-okapi\nurl=https://o\ntenant=a b\n", "one word"),
        ("[s]\nprovider=folio-okapi\nurl=https://o\ntenant=d\nusername=u\n", "no password_file"),
        ("[s]\nprovider=folio-okapi\nurl=https://o\ntenant=d\nclient_id=x\n", "client_id is no key"),
        ("[s]\ncommand='x\n", "command is a program"),
        ("[s]\ncommand=x\ntimeout=1h\n", "timeout is a time of at most 10m"),
        (&format!("{base}provider=p\n[provider p]\nbased_on=q\n"), "based_on is one of"),
        (
            &format!("{base}provider=p\n[provider p]\nfailures=\n  400 x dead\n"),
            "failures has a line per failure",
        ),
        (&format!("{base}provider=p\n[provider p]\ntoken_path=x\n"), "token_path is a path"),
        (&format!("{base}provider=p\n[provider p]\nscope=x\n"), "scope is no key"),
    ] {
        let error = read(text, "s").expect_err(text);
        assert!(error.to_string().contains(words), "{error}\n  for {text}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let error = read("[a]\nfile=x\n[provider p]\n", "s").unwrap_err();
    assert_eq!(error.to_string(), "there is no session [s]; the file has a");
    for name in ["", ".", "..", "a/b", "-x", "a b", "\u{fc}", &"x".repeat(65)] {
        assert_eq!(read("", name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
    }
}

#[test]
fn any_text_is_read_or_refused_never_a_panic() {
    const PIECES: [&str; 24] = [
        "[s]\n",
        "[provider p]\n",
        "[DEFAULT]\n",
        "issuer",
        "client_id",
        "provider",
        "command",
        "file",
        "url",
        "vault_key",
        "failures",
        "expired",
        "on_ambiguous",
        "=",
        "=",
        "=",
        "\n",
        "\n",
        "\n  ",
        "https://i",
        "p",
        "'",
        "keycloak",
        "\u{fc}\u{0}",
    ];
    let mut random = Random::new(11);
    for _ in 0..20_000 {
        let text: String =
            (0..random.below(30)).map(|_| PIECES[usize::try_from(random.below(24)).unwrap()]).collect();
        let _ = read(&text, "s");
    }
}
