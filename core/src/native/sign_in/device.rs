//! Signing in with a code, on any other machine.

use std::time::{Duration, Instant};

use super::{Guide, random, unfit};
use crate::engine::command::ExchangeClass;
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::provider::no_answer;
use crate::engine::wire::oauth2::device::{self, Polling};
use crate::engine::wire::oauth2::{Ask, Endpoints, pkce, request};
use crate::native::source::OAuth2;
use crate::native::web::{Post, Web};

/// How often it is looked whether to give up.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn sign_in(
    oauth2: &OAuth2,
    web: &Web,
    endpoints: &Endpoints,
    limit: Duration,
    guide: &impl Guide,
) -> Result<Grant, Error> {
    let Some(url) = &endpoints.device else {
        return Err(unfit(
            "the identity provider has no device authorization endpoint; sign in with a browser",
        ));
    };
    let verifier = oauth2.provider.device_pkce.then(|| pkce::verifier(&random()));
    let challenge = verifier.as_ref().map(pkce::challenge);
    let request = oauth2
        .with_client(endpoints, web, |client| {
            request::device_authorization(url, client, oauth2.scope(), challenge.as_deref())
        })
        .map_err(|failure| failure.error)?;
    let attempt = request.attempt;
    let code = web.post(request, |outcome| match outcome {
        Ok(reply) => device::parse(reply)
            .map_err(|rejection| oauth2.provider.failure(&rejection, attempt, &oauth2.remedy).error),
        Err(failure) => Err(no_answer(failure, attempt).error),
    })?;
    let until = Instant::now() + code.expires_in.min(limit);
    guide.code(&code);
    let mut polling = Polling::new(code.interval);
    loop {
        pause(polling.wait(), until, guide)?;
        match oauth2.ask(&Ask::Device { device_code: &code.device_code, verifier: verifier.as_ref() }, web) {
            Ok((reply, took)) => return oauth2.grant(reply, None, took).map_err(|failure| failure.error),
            Err(failure) => {
                let error = failure.error.http().and_then(|http| http.code.as_deref());
                match (failure.class, error) {
                    (ExchangeClass::Transient, Some("slow_down")) => polling.slow_down(),
                    (ExchangeClass::Transient, Some("authorization_pending")) => polling.pending(),
                    // The person's approval is still there when the server is.
                    (ExchangeClass::Transient | ExchangeClass::NotSent | ExchangeClass::Ambiguous, _) => {
                        polling.lost();
                    }
                    _ => return Err(failure.error),
                }
            }
        }
    }
}

fn pause(wait: Duration, until: Instant, guide: &impl Guide) -> Result<(), Error> {
    let next = Instant::now() + wait;
    loop {
        let now = Instant::now();
        if guide.stopped() {
            return Err(Error::new(ErrorKind::Cancelled, "the sign-in was given up"));
        }
        if now >= until {
            return Err(Error::new(
                ErrorKind::Timeout,
                "nobody approved the sign-in in time; run the command again",
            ));
        }
        if now >= next {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY.min(next - now));
    }
}
