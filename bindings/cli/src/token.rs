//! `outlast token`: a fresh token for scripts.

use outlast_core::engine::credential::{Bearer, Grant, Lease};
use outlast_core::native::{Expected, JobSpec};
use serde_json::{Map, Value, json};

use crate::args::{TokenArgs, TokenFormat};
use crate::defined::Defined;
use crate::exit::{Code, Failure, Outcome};
use crate::output;
use crate::screen::Screen;
use crate::session::rfc3339;
use crate::signals::Signals;

/// Prints it.
pub(crate) fn run(args: &TokenArgs) -> Outcome {
    let screen = Screen::new(false);
    let defined = Defined::open(&args.name, &args.sessions, &screen)?;
    Signals::install(&screen)?;
    let (client, session) =
        defined.served(std::time::Duration::ZERO, &args.service, &args.sessions, &screen)?;
    let lease = match &args.job {
        None => session.lease_blocking(args.timeout)?,
        Some(name) => {
            let spec = JobSpec { name: name.clone(), expected: Expected::Unknown };
            let job = client.job_blocking(&session, &spec, args.timeout)?;
            let lease = job.session().lease_blocking(args.timeout)?;
            // It is ended by `outlast logout --job`.
            job.leave();
            lease
        }
    };
    let text = text(&lease, args.format)?;
    output::write_out(&text)?;
    drop(session);
    // A refresh under way ends first: what it brings must reach the vault.
    client
        .close(args.timeout)
        .map_err(|error| Failure::new(Code::Failure, format!("the session did not come to rest: {error}")))
}

fn text(lease: &Lease, format: TokenFormat) -> Outcome<String> {
    let grant: &Grant = &lease.grant;
    let bearer = grant.credential.bearer()?;
    Ok(match format {
        TokenFormat::Raw => format!("{}\n", bearer.token().expose()),
        TokenFormat::Header => headers(bearer),
        TokenFormat::Json => {
            let headers: Map<String, Value> = bearer
                .headers()
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.expose().as_str())))
                .collect();
            let value = json!({
                "access_token": bearer.token().expose(),
                "token_type": bearer.token_type(),
                "headers": headers,
                "expires_at": grant.expires_at.map(rfc3339),
                "expires_at_ms": grant.expires_at.map(|at| at.0),
                "horizon": grant.reach().map(rfc3339),
                "horizon_ms": grant.reach().map(|at| at.0),
            });
            format!("{value:#}\n")
        }
        TokenFormat::CredentialProcess => {
            let value = json!({
                "Version": 1,
                "AccessToken": bearer.token().expose(),
                "TokenType": bearer.token_type(),
                "Expiration": grant.expires_at.map(rfc3339),
            });
            format!("{value}\n")
        }
    })
}

/// `Authorization: Bearer …`, one line per header.
fn headers(bearer: &Bearer) -> String {
    bearer.headers().iter().fold(String::new(), |mut text, (name, value)| {
        let words: Vec<String> = name
            .split('-')
            .map(|word| {
                word.chars()
                    .next()
                    .map_or_else(String::new, |c| c.to_uppercase().chain(word.chars().skip(1)).collect())
            })
            .collect();
        text.extend([&words.join("-"), ": ", value.expose(), "\n"]);
        text
    })
}
