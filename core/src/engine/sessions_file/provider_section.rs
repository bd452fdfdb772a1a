//! `[provider NAME]`: a row of the table, written by the user; and the keys of it that a session may change for itself.

use std::borrow::Cow;

use super::keys::Keys;
use super::value::boolean;
use super::{PROVIDER_PREFIX, Places, config, duration};
use crate::engine::chain::OnAmbiguous;
use crate::engine::config::ConfigFile;
use crate::engine::error::Error;
use crate::engine::provider::{self, Audience, JobGrant, Meaning, Provider, Rule, Sign};

/// Keys that change a provider, in its own section or in a session's.
pub(super) const CHANGES: [&str; 10] = [
    "on_ambiguous",
    "idle_limit",
    "lifetime",
    "old_token_dies",
    "expired",
    "default_life",
    "refresh_before",
    "refresh_before_percent",
    "rotates",
    "job",
];

/// What a duration looks like.
const TIME: &str = "a time such as 90s, 10m, 1h30m or 7d";

/// Keys of a provider's own section only.
const OWN: [&str; 12] = [
    "based_on",
    "about",
    "failures",
    "assertion_audience",
    "discovery",
    "issuer_alias",
    "relative_endpoints",
    "token_path",
    "authorization_path",
    "device_path",
    "device_pkce",
    "revocation_path",
];

/// The provider of that name: the file's own, else the table's.
pub(super) fn find(file: &ConfigFile, name: &str, places: Places<'_>) -> Result<Provider, Error> {
    let section = format!("{PROVIDER_PREFIX}{name}");
    if file.find(&section).is_some() {
        return read(file, &section, name, places);
    }
    provider::find(name).cloned().ok_or_else(|| {
        let own: Vec<&str> =
            file.profiles().filter_map(|section| section.strip_prefix(PROVIDER_PREFIX)).collect();
        let own =
            if own.is_empty() { String::new() } else { format!(", and of this file {}", own.join(", ")) };
        config(format!("there is no provider \"{name:.60}\"; known are {}{own}", provider::names()))
    })
}

fn read(file: &ConfigFile, section: &str, name: &str, places: Places<'_>) -> Result<Provider, Error> {
    let keys = Keys::of(file, section, places)?;
    let known: Vec<&str> = CHANGES.into_iter().chain(OWN).collect();
    keys.only(&known)?;
    let based_on = keys.get("based_on").unwrap_or("generic");
    // On the table only: a chain of sections could be a circle.
    let base = provider::find(based_on)
        .ok_or_else(|| keys.wrong("based_on", &format!("is one of {}", provider::names())))?;
    let mut provider = Provider { name: Cow::Owned(name.to_owned()), ..base.clone() };
    if let Some(about) = keys.text("about")? {
        provider.about = Cow::Owned(about);
    }
    if let Some(text) = keys.get("failures") {
        let mut rules = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            rules.push(rule(line).ok_or_else(|| {
                keys.wrong(
                    "failures",
                    &format!(
                        "has a line per failure: STATUS or *, ERROR or *, the words in quotes or *, and one of {}",
                        Meaning::names()
                    ),
                )
            })?);
        }
        rules.extend(base.rules.iter().cloned());
        provider.rules = Cow::Owned(rules);
    }
    if let Some(audience) = keys.parsed("assertion_audience", audience, "issuer or token_endpoint")? {
        provider.assertion_audience = audience;
    }
    if let Some(discovers) = keys.parsed("discovery", boolean, "true or false")? {
        provider.discovers = discovers;
    }
    if let Some(pkce) = keys.parsed("device_pkce", boolean, "true or false")? {
        provider.device_pkce = pkce;
    }
    if let Some(relative) = keys.parsed("relative_endpoints", boolean, "true or false")? {
        provider.relative_endpoints = relative;
    }
    if let Some(alias) = keys.url("issuer_alias")? {
        provider.issuer_alias = Cow::Owned(alias);
    }
    for (key, path) in [
        ("token_path", &mut provider.paths.token),
        ("authorization_path", &mut provider.paths.authorization),
        ("device_path", &mut provider.paths.device),
        ("revocation_path", &mut provider.paths.revocation),
    ] {
        let legal = |text: &str| {
            (text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()))
                .then(|| text.to_owned())
        };
        if let Some(text) = keys.parsed(key, legal, "a path that begins with /")? {
            *path = Cow::Owned(text);
        }
    }
    change(&mut provider, &keys)?;
    Ok(provider)
}

/// Applies the keys of [`CHANGES`].
pub(super) fn change(provider: &mut Provider, keys: &Keys<'_>) -> Result<(), Error> {
    if let Some(policy) =
        keys.parsed("on_ambiguous", on_ambiguous, "none, replay:10s, newest_child:30s, fork:30s or count:1")?
    {
        provider.on_ambiguous = policy;
    }
    if let Some(limit) = keys.parsed("idle_limit", duration, TIME)? {
        provider.idle_limit = Some(limit);
    }
    if let Some(limit) = keys.parsed("lifetime", duration, TIME)? {
        provider.lifetime = Some(limit);
    }
    if let Some(life) = keys.parsed("default_life", duration, TIME)? {
        provider.default_life = life;
    }
    if let Some(lead) = keys.parsed("refresh_before", duration, TIME)? {
        provider.windows.advisory_least = lead;
    }
    let percent = |text: &str| text.parse().ok().filter(|percent| (1..=90).contains(percent));
    if let Some(percent) = keys.parsed("refresh_before_percent", percent, "a whole number from 1 to 90")? {
        provider.windows.advisory_percent = percent;
    }
    if let Some(dies) = keys.parsed("old_token_dies", boolean, "true or false")? {
        provider.old_dies = dies;
    }
    if let Some(rotates) = keys.parsed("rotates", boolean, "true or false")? {
        provider.rotates = rotates;
    }
    let ways = "exchange, client_credentials or fork";
    if let Some(way) = keys.parsed("job", JobGrant::from_name, ways)? {
        provider.job = Some(way);
    }
    let accepted =
        "a line per answer that means expired: a status from 400 to 599, then words of its body or nothing";
    if let Some(signs) = keys.parsed("expired", expired, accepted)? {
        provider.expiry_signs = Cow::Owned(signs);
    }
    Ok(())
}

fn audience(text: &str) -> Option<Audience> {
    match text {
        "issuer" => Some(Audience::Issuer),
        "token_endpoint" => Some(Audience::TokenEndpoint),
        _ => None,
    }
}

fn on_ambiguous(text: &str) -> Option<OnAmbiguous> {
    let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value.trim())));
    let within = || duration(value?);
    match (name.trim(), value) {
        ("none", None) => Some(OnAmbiguous::None),
        ("replay", _) => Some(OnAmbiguous::Replay { within: within()? }),
        ("newest_child", _) => Some(OnAmbiguous::NewestChild { within: within()? }),
        ("fork", _) => Some(OnAmbiguous::Fork { within: within()? }),
        ("count", Some(count)) => count
            .parse()
            .ok()
            .filter(|left| (1..=1000).contains(left))
            .map(|left| OnAmbiguous::Count { left }),
        _ => None,
    }
}

fn expired(text: &str) -> Option<Vec<Sign>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (status, words) = line.split_once(' ').unwrap_or((line, ""));
            let status: u16 = status.parse().ok().filter(|status| (400..600).contains(status))?;
            Some(Sign { status, contains: Cow::Owned(words.trim().to_owned()) })
        })
        .collect()
}

fn rule(line: &str) -> Option<Rule> {
    let words = super::split_words(line)?;
    let [status, error, text, meaning] = words.as_slice() else { return None };
    let any = |text: &String| if text == "*" { String::new() } else { text.clone() };
    let status = match status.as_str() {
        "*" => 0,
        status => status.parse().ok().filter(|status| (200..600).contains(status))?,
    };
    Some(Rule {
        status,
        error: Cow::Owned(any(error)),
        words: Cow::Owned(any(text)),
        meaning: Meaning::from_name(meaning)?,
    })
}
