//! Sessions whose credentials the application supplies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outlast_core::engine::secret::Secret;
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::wire::Method;
use outlast_core::{Error, ErrorKind};
use outlast_wasm_host::{Credential, Request, SessionSpec, SourceSpec, Supplier};

use crate::common::{self, Lab, MIB, bytes, parts, put};

/// A bearer token that says which one it is, and lasts longer than those with lower numbers.
fn bearer(number: u64) -> Credential {
    let token = Secret::new(format!("token-{number}"));
    let expires_at =
        Some(UnixMillis::from_secs(4_000_000_000).offset(i64::try_from(number).expect("small") * 3_600_000));
    Credential::Bearer { token, token_type: None, expires_at }
}

fn request() -> Request {
    let (host, target) = ("api.example.com".to_owned(), "/jobs".to_owned());
    Request { method: Method::Get, host, target, body: None, content_type: None }
}

#[tokio::test]
async fn access_tokens_are_asked_for_once_and_again_when_they_are_refused() {
    let lab = Lab::start();
    let client = lab.client();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let supplier = Supplier::new(move || {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        async move { Ok(bearer(number)) }
    });
    let spec = SessionSpec { source: SourceSpec::Supplied(supplier), ..lab.spec() };
    let session = client.session(spec).await.expect("the session can be opened");
    let (one, two) = tokio::join!(session.sign(request()), session.token());
    let (signed, (generation, token)) = (one.expect("a token"), two.expect("a token"));
    assert_eq!((token.expose().as_str(), asked.load(Ordering::Relaxed)), ("token-1", 1));
    let headers: Vec<_> =
        signed.headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    assert_eq!(headers, [("authorization", "Bearer token-1")]);
    assert!(!format!("{signed:?}").contains("token-1"), "headers are not shown");

    for _ in 0..15 {
        session.reject(generation);
    }
    let (newer, token) = session.token().await.expect("the next token");
    assert!(newer > generation);
    assert_eq!((token.expose().as_str(), asked.load(Ordering::Relaxed)), ("token-2", 2));

    session.supply(bearer(70)).await.expect("it takes one unasked");
    let (_, token) = session.token().await.expect("a token");
    assert_eq!(token.expose(), "token-70");

    let path = lab.file("x", MIB);
    let error = put(&session, &path, "x", parts(MIB, 1)).await.expect_err("Object Storage takes signatures");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("bearer token"), "{error}");
}

#[tokio::test]
async fn what_the_supplier_cannot_give_is_told_and_cured() {
    let lab = Lab::start();
    let client = lab.client();
    let supplier =
        Supplier::new(|| async { Err(Error::new(ErrorKind::SignInNeeded, "nobody is signed in")) });
    let spec = SessionSpec { source: SourceSpec::Supplied(supplier), ..lab.spec() };
    let session = client.session(spec).await.expect("the session can be opened");
    let error = session.token().await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
    assert!(error.to_string().contains("supply a credential"), "{error}");

    let unusable =
        Credential::Bearer { token: Secret::new("two words".into()), token_type: None, expires_at: None };
    let error = session.supply(unusable).await.expect_err("it cannot stand in a header");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.to_string().contains("two words"), "{error}");

    let read =
        |path| Secret::new(std::fs::read_to_string(path).expect("the profile's file").trim().to_owned());
    let secret = outlast_wasm_host::SessionSecret {
        key: read(lab.profile.key_file.as_path()),
        key_passphrase: None,
        token: read(lab.token_file()),
    };
    session.supply(Credential::OciSession(secret)).await.expect("somebody has signed in");
    let path = lab.file("cured", 2 * MIB);
    put(&session, &path, "cured", parts(MIB, 2)).await.expect("it is stored");
    lab.assert_stored("cured", &bytes("cured", 2 * MIB));
}

#[tokio::test]
async fn a_session_with_a_source_of_its_own_takes_none() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    let error = session.supply(bearer(1)).await.expect_err("it has files");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let path = lab.file("own", MIB);
    common::wait(&common::start(&session, &path, "own", parts(MIB, 1)).await).await.expect("it is stored");
}
