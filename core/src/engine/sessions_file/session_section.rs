//! `[NAME]`: one session.

use std::time::Duration;

use super::keys::Keys;
use super::provider_section::{self, CHANGES};
use super::value::boolean;
use super::{
    ClientAuthDef, CommandDef, FileDef, FolioDef, GrantDef, JobDef, Kind, OAuth2Def, Places, SessionDef,
    VaultKeyRef, duration, split_words,
};
use crate::engine::config::ConfigFile;
use crate::engine::error::Error;
use crate::engine::provider::{Dialect, JobGrant, Provider};

/// How long a program may take to print a credential, unless the section says otherwise.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Algorithms an assertion can be signed with.
const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Keys of every session.
const COMMON: [&str; 3] = ["provider", "mode", "vault_key"];
/// Keys of OAuth 2.0 sessions; secrets have `_file`, `_env` and `_command` beside them.
const OAUTH2: [&str; 24] = [
    "issuer",
    "token_endpoint",
    "authorization_endpoint",
    "device_endpoint",
    "revocation_endpoint",
    "client_id",
    "client_auth",
    "client_key_id",
    "client_key_algorithm",
    "assertion_audience",
    "scope",
    "resource",
    "audience",
    "grant",
    "redirect_port",
    "redirect_path",
    "prompt",
    "subject_token_type",
    "requested_token_type",
    "actor_token_type",
    "job_client_id",
    "job_scope",
    "client_key",
    "subject_token",
];
const FOLIO: [&str; 4] = ["url", "tenant", "username", "legacy"];
const SECRETS: [&str; 5] =
    ["client_secret", "client_key", "subject_token", "actor_token", "job_client_secret"];

pub(super) fn read(file: &ConfigFile, name: &str, places: Places<'_>) -> Result<SessionDef, Error> {
    let keys = Keys::of(file, name, places)?;
    let mut provider = provider_section::find(file, keys.get("provider").unwrap_or("generic"), places)?;
    provider_section::change(&mut provider, &keys)?;
    let kind = if keys.get("command").is_some() {
        only(&keys, &["command", "timeout"], &[])?;
        command(&keys)?
    } else if keys.get("file").is_some() {
        only(&keys, &["file"], &[])?;
        Kind::File(FileDef { path: keys.path("file")?.expect("looked at above") })
    } else if provider.dialect == Dialect::Folio {
        only(&keys, &FOLIO, &["password"])?;
        folio(&keys)?
    } else {
        only(&keys, &OAUTH2, &SECRETS)?;
        oauth2(&keys, &provider)?
    };
    let mode = |text: &str| match text {
        "timer" => Some(true),
        "lazy" => Some(false),
        _ => None,
    };
    let accepted = "lazy (refresh when somebody asks) or timer (refresh also while idle)";
    let job = job(&keys, &kind, provider.job)?;
    Ok(SessionDef {
        name: name.to_owned(),
        provider,
        kind,
        job,
        timer: keys.parsed("mode", mode, accepted)?.unwrap_or(false),
        vault_key: vault_key(&keys)?,
    })
}

fn only(keys: &Keys<'_>, own: &[&str], secrets: &[&str]) -> Result<(), Error> {
    let variants: Vec<String> = secrets
        .iter()
        .flat_map(|name| ["", "_file", "_env", "_command"].map(|suffix| format!("{name}{suffix}")))
        .collect();
    let known: Vec<&str> = COMMON
        .iter()
        .chain(&CHANGES)
        .chain(own)
        .copied()
        .chain(variants.iter().map(String::as_str))
        .collect();
    keys.only(&known)
}

fn job(keys: &Keys<'_>, kind: &Kind, grant: Option<JobGrant>) -> Result<JobDef, Error> {
    let Kind::OAuth2(def) = kind else { return Ok(JobDef { grant, ..JobDef::default() }) };
    let secret = keys.secret("job_client_secret")?;
    let client = match (keys.text("job_client_id")?, secret) {
        (Some(id), Some(secret)) => Some((id, ClientAuthDef::Basic(secret))),
        (Some(id), None) => Some((id, ClientAuthDef::None)),
        (None, None) => None,
        (None, Some(_)) => return Err(keys.missing("has job_client_secret and no job_client_id")),
    };
    let proof = client.as_ref().map_or(&def.client_auth, |(_, proof)| proof);
    if grant == Some(JobGrant::ClientCredentials) && matches!(proof, ClientAuthDef::None) {
        return Err(keys.missing("has job client_credentials, which needs a client with a secret (job_client_id, job_client_secret_file)"));
    }
    let scope = scope(keys, "job_scope")?;
    Ok(JobDef { grant, client, scope, requested_type: keys.text("requested_token_type")? })
}

/// A list of words that may stand in a scope.
fn scope(keys: &Keys<'_>, key: &str) -> Result<String, Error> {
    let scope = keys.get(key).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if !scope.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(keys.wrong(key, "has signs that a scope cannot have"));
    }
    Ok(scope)
}

fn vault_key(keys: &Keys<'_>) -> Result<VaultKeyRef, Error> {
    const ACCEPTED: &str = "file:PATH, env:NAME, command:PROGRAM ARGUMENTS or keyring";
    let Some(text) = keys.get("vault_key") else { return Ok(VaultKeyRef::Default) };
    let wrong = || keys.wrong("vault_key", &format!("is {ACCEPTED}"));
    match text.split_once(':') {
        None if text == "keyring" => Ok(VaultKeyRef::Keyring),
        Some(("file", path)) if !path.trim().is_empty() => {
            Ok(VaultKeyRef::File(keys.path_of("vault_key", path.trim())?))
        }
        Some(("env", name))
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=') =>
        {
            Ok(VaultKeyRef::Env(name.to_owned()))
        }
        Some(("command", line)) => split_words(line).map(VaultKeyRef::Command).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn command(keys: &Keys<'_>) -> Result<Kind, Error> {
    let argv = keys.command("command")?.expect("looked at before");
    let short = |text: &str| duration(text).filter(|time| *time <= Duration::from_mins(10));
    let timeout = keys.parsed("timeout", short, "a time of at most 10m")?.unwrap_or(COMMAND_TIMEOUT);
    Ok(Kind::Command(CommandDef { argv, timeout }))
}

fn folio(keys: &Keys<'_>) -> Result<Kind, Error> {
    let url = keys.url("url")?.ok_or_else(|| keys.missing("needs url, the base URL of the gateway"))?;
    if url.contains('?') {
        return Err(keys.wrong("url", "must end with the host or a path"));
    }
    let tenant = keys.word("tenant")?.ok_or_else(|| keys.missing("needs tenant"))?;
    let credentials = match (keys.text("username")?, keys.secret("password")?) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(keys.missing("has username and no password_file, password_env or password_command"));
        }
        (None, Some(_)) => return Err(keys.missing("has a password and no username")),
    };
    let legacy = keys.parsed("legacy", boolean, "true or false")?.unwrap_or(false);
    if legacy && credentials.is_none() {
        return Err(keys.missing("has legacy and needs username and password_file"));
    }
    Ok(Kind::Folio(FolioDef { url: url.trim_end_matches('/').to_owned(), tenant, credentials, legacy }))
}

fn oauth2(keys: &Keys<'_>, provider: &Provider) -> Result<Kind, Error> {
    let issuer = keys.url("issuer")?;
    if issuer.as_deref().is_some_and(|issuer| issuer.contains('?')) {
        return Err(keys.wrong("issuer", "must not have a query"));
    }
    let token_endpoint = keys.url("token_endpoint")?;
    if issuer.is_none() && token_endpoint.is_none() {
        return Err(keys.missing("needs issuer or token_endpoint (or url, command, file for other kinds)"));
    }
    if token_endpoint.is_none() && !provider.discovers && provider.paths.token.is_empty() {
        return Err(keys.missing("needs token_endpoint: its provider has neither discovery nor token_path"));
    }
    let client_id = keys.text("client_id")?.ok_or_else(|| keys.missing("needs client_id"))?;
    let scope = scope(keys, "scope")?;
    let resources = keys.get("resource").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    Ok(Kind::OAuth2(Box::new(OAuth2Def {
        issuer: issuer.map(|issuer| issuer.trim_end_matches('/').to_owned()),
        token_endpoint,
        authorization_endpoint: keys.url("authorization_endpoint")?,
        device_endpoint: keys.url("device_endpoint")?,
        revocation_endpoint: keys.url("revocation_endpoint")?,
        client_id,
        client_auth: client_auth(keys)?,
        scope,
        resources,
        audience: keys.text("audience")?,
        grant: grant(keys)?,
    })))
}

fn client_auth(keys: &Keys<'_>) -> Result<ClientAuthDef, Error> {
    let (secret, key) = (keys.secret("client_secret")?, keys.secret("client_key")?);
    let needs = |what: &str| keys.missing(&format!("has client_auth {what}"));
    let method = match (keys.get("client_auth"), &secret, &key) {
        (Some(method), _, _) => method,
        (None, Some(_), None) => "basic",
        (None, None, Some(_)) => "private_key_jwt",
        (None, None, None) => "none",
        (None, Some(_), Some(_)) => {
            return Err(keys.missing("has both client_secret and client_key; say which by client_auth"));
        }
    };
    Ok(match method {
        "none" => ClientAuthDef::None,
        "basic" => ClientAuthDef::Basic(secret.ok_or_else(|| needs("basic and no client_secret_file"))?),
        "post" => ClientAuthDef::Post(secret.ok_or_else(|| needs("post and no client_secret_file"))?),
        "private_key_jwt" => ClientAuthDef::PrivateKeyJwt {
            key: key.ok_or_else(|| needs("private_key_jwt and no client_key_file"))?,
            algorithm: keys
                .parsed(
                    "client_key_algorithm",
                    |text| ALGORITHMS.contains(&text).then(|| text.to_owned()),
                    &format!("one of {}", ALGORITHMS.join(", ")),
                )?
                .unwrap_or_else(|| "RS256".to_owned()),
            key_id: keys.text("client_key_id")?,
            audience: keys.text("assertion_audience")?,
        },
        _ => return Err(keys.wrong("client_auth", "is one of none, basic, post, private_key_jwt")),
    })
}

fn grant(keys: &Keys<'_>) -> Result<GrantDef, Error> {
    match keys.get("grant").unwrap_or("sign_in") {
        "sign_in" => {
            let path = |text: &str| {
                let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
                (text.starts_with('/') && text.bytes().all(legal)).then(|| text.to_owned())
            };
            Ok(GrantDef::SignIn {
                redirect_port: keys
                    .parsed("redirect_port", |text| text.parse().ok(), "a port from 0 (any) to 65535")?
                    .unwrap_or(0),
                redirect_path: keys
                    .parsed("redirect_path", path, "a path that begins with /")?
                    .unwrap_or_else(|| "/callback".to_owned()),
                prompt: keys.text("prompt")?.unwrap_or_default(),
            })
        }
        "client_credentials" => Ok(GrantDef::ClientCredentials),
        "token_exchange" => Ok(GrantDef::TokenExchange {
            subject: keys.secret("subject_token")?.ok_or_else(|| {
                keys.missing("has grant token_exchange and no subject_token_file, subject_token_env or subject_token_command")
            })?,
            subject_type: keys.text("subject_token_type")?.unwrap_or_else(|| "access_token".to_owned()),
            requested_type: keys.text("requested_token_type")?,
            actor: match (keys.secret("actor_token")?, keys.text("actor_token_type")?) {
                (Some(actor), kind) => Some((actor, kind.unwrap_or_else(|| "access_token".to_owned()))),
                (None, Some(_)) => return Err(keys.missing("has actor_token_type and no actor_token_file")),
                (None, None) => None,
            },
        }),
        _ => Err(keys.wrong("grant", "is one of sign_in, client_credentials, token_exchange")),
    }
}
