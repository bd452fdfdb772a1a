//! Which answer means "expired" is the provider's to say, not only 401: calls and uploads go by its table.
#![allow(clippy::disallowed_methods, reason = "tests of a driver read clocks and start threads")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{Lab, MIB, bytes, close, parts, put};
use outlast_cloud::{Action, Fault, Op};
use outlast_core::engine::chain::{ChainProfile, ExpirySign};
use outlast_core::engine::command::ExchangeFailure;
use outlast_core::engine::credential::Grant;
use outlast_core::native::source::{Abilities, OciSessionFiles, Patience, Wire};
use outlast_core::native::{Session, SessionSpec, Source, SourceSpec};
use outlast_core::{Error, ErrorKind};

/// The files of a session, at a provider with signs of its own.
struct Odd(OciSessionFiles, Vec<ExpirySign>);

impl Source for Odd {
    fn abilities(&self) -> Abilities {
        let chain = ChainProfile { expiry_signs: self.1.clone(), ..ChainProfile::default() };
        Abilities { chain, ..self.0.abilities() }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        self.0.load()
    }

    fn lock(&self, patience: &Patience) -> Result<Box<dyn Send>, Error> {
        self.0.lock(patience)
    }

    fn exchange(&self, held: Option<&Grant>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        self.0.exchange(held, wire)
    }

    fn store(&self, grant: &Grant) -> Result<(), Error> {
        self.0.store(grant)
    }

    fn watch(&self) -> Vec<PathBuf> {
        self.0.watch()
    }
}

fn session(lab: &Lab, client: &outlast_core::native::Client, signs: &[(u16, &str)]) -> Session {
    let files = OciSessionFiles::new(
        lab.profile.key_file.clone(),
        None,
        lab.token_file().into(),
        true,
        "the session of profile LAB".into(),
        None,
    );
    let sign = |&(status, text): &(u16, &str)| ExpirySign {
        status,
        contains: (!text.is_empty()).then(|| text.to_owned()),
    };
    let source = Odd(files, signs.iter().map(sign).collect());
    let source = SourceSpec::Custom(Arc::new(source));
    client.session(SessionSpec { source, ..lab.spec() }).expect("the endpoints are sound")
}

/// From the fifth part on the first token is refused in this way.
fn refuse(lab: &Lab, status: u16, code: &str) {
    lab.control.add_fault(Fault::on(Op::UploadPart).generation(0).after(4).act(Action::status(status, code)));
}

#[test]
fn an_upload_goes_on_after_whatever_means_expired() {
    for (signs, status, code) in [
        (&[(403, "")][..], 403, "Forbidden"),
        (&[(400, "TokenHasEnded"), (418, "")][..], 400, "TokenHasEnded"),
    ] {
        let lab = Lab::start();
        let client = lab.client();
        let session = session(&lab, &client, signs);
        refuse(&lab, status, code);
        let outcome =
            put(&session, &lab.file("f", 24 * MIB), "o", parts(MIB, 8)).expect("one refresh cures it");
        lab.assert_stored("o", &bytes("f", 24 * MIB));
        assert_eq!(lab.control.stats().refresh_requests, 1, "{status} {code}");
        assert!(outcome.refusals >= 1);
        assert_eq!(outcome.retries, 0, "it costs no retry");
        close(&client);
    }
}

#[test]
fn what_is_no_sign_is_what_it_says() {
    let lab = Lab::start();
    let client = lab.client();
    let session = session(&lab, &client, &[(400, "TokenHasEnded")]);
    refuse(&lab, 403, "NotAuthorized");
    let error = put(&session, &lab.file("f", 24 * MIB), "o", parts(MIB, 8)).expect_err("403 is no sign here");
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert_eq!(lab.control.stats().refresh_requests, 0);
    close(&client);
}

#[test]
fn a_permission_that_is_lacking_is_not_taken_for_an_expired_token_for_ever() {
    let lab = Lab::start();
    let client = lab.client();
    let session = session(&lab, &client, &[(403, "")]);
    // Whatever the token: it may not be stored there.
    lab.control.add_fault(Fault::on(Op::UploadPart).act(Action::status(403, "NotAuthorized")));
    let error = put(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 4)).expect_err("it is forbidden");
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert_eq!(lab.control.stats().refresh_requests, 1, "one refresh told");
    close(&client);
}

#[test]
fn a_call_goes_by_the_table_too() {
    let lab = Lab::start();
    let client = lab.client();
    let session = session(&lab, &client, &[(403, "HasEnded")]);
    lab.control
        .add_fault(Fault::on(Op::GetNamespace).generation(0).act(Action::status(403, "TokenHasEnded")));
    assert_eq!(client.namespace_blocking(&session).expect("after a refresh"), "labns");
    assert_eq!(lab.control.stats().refresh_requests, 1);
    // 401 means it everywhere.
    lab.control.advance_clock(std::time::Duration::from_secs(10));
    lab.control
        .add_fault(Fault::on(Op::GetNamespace).generation(1).act(Action::status(401, "NotAuthenticated")));
    client.namespace_blocking(&session).expect("after another");
    assert_eq!(lab.control.stats().refresh_requests, 2);
    close(&client);
}
