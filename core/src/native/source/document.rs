//! A credential as a program prints it or a file holds it: the bare token, or JSON.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::engine::credential::{Bearer, Credential, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::time::UnixMillis;
use crate::engine::wire::oauth2::reply::{claimed_end, claimed_start, is_token};
use crate::engine::wire::oci::parse_rfc3339;

/// Reads a credential.
///
/// Shape: `TOKEN`, or `{"access_token": …, "token_type": …, "expires_at": RFC 3339, "expires_in": seconds}`; names in any
/// case, with or without `_`; `Token`, `Expiration` and `Version` are known as well. A JWT's `exp` bounds it.
/// Errors: `Config`: what is wrong, never what was read.
pub(super) fn read(text: &[u8], arrived: UnixMillis) -> Result<Grant, Error> {
    let wrong = |why: &str| Error::new(ErrorKind::Config, why);
    let text = std::str::from_utf8(text).map_err(|_| wrong("it is not UTF-8 text"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    let mut token_type = None;
    let (mut end, mut life) = (None, None);
    let token = if text.starts_with('{') {
        let members: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| wrong("it is no whole JSON object"))?;
        let find = |names: &[&str]| {
            members.iter().find_map(|(key, value)| {
                let key = key.to_ascii_lowercase().replace(['_', '-'], "");
                names.contains(&key.as_str()).then_some(value)
            })
        };
        let word = |names: &[&str]| find(names).and_then(Value::as_str).map(str::to_owned);
        if let Some(version) = find(&["version"])
            && version.as_u64() != Some(1)
        {
            return Err(wrong("its version is not 1"));
        }
        token_type = word(&["tokentype"]);
        if let Some(value) = find(&["expiresat", "expiration"]).filter(|value| !value.is_null()) {
            let moment = match value {
                Value::String(text) => parse_rfc3339(text),
                Value::Number(number) => number.as_i64().map(UnixMillis::from_secs),
                _ => None,
            };
            end = Some(moment.ok_or_else(|| wrong("its expiration is no RFC 3339 date"))?);
        }
        if let Some(value) = find(&["expiresin"]).filter(|value| !value.is_null()) {
            let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            let seconds = seconds.filter(|seconds| (0.0..1e10).contains(seconds));
            life = Some(Duration::from_secs_f64(
                seconds.ok_or_else(|| wrong("its expires_in is no number of seconds"))?,
            ));
        }
        word(&["accesstoken", "token"]).ok_or_else(|| wrong("it has no access_token"))?
    } else {
        text.to_owned()
    };
    let token = Secret::new(token);
    if !is_token(token.expose()) {
        return Err(wrong("its token has signs that no token has"));
    }
    // A JWT that is being written has not all of its three segments yet.
    if token.expose().starts_with("eyJ")
        && token.expose().split('.').filter(|part| !part.is_empty()).count() < 3
    {
        return Err(wrong("its token is a part of a JWT; it may be written just now"));
    }
    let claimed = claimed_end(token.expose()).map(UnixMillis::from_secs);
    let told = end.or(life.map(|life| arrived + life));
    let issued_at = claimed_start(token.expose()).map(UnixMillis::from_secs);
    let expires_at = [told, claimed].into_iter().flatten().min();
    let bearer = Bearer::new(token, token_type.as_deref().unwrap_or("Bearer"))?;
    Ok(Grant { issued_at, expires_at, ..Grant::new(Credential::Bearer(bearer)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn tokens_are_read_in_every_form() {
        for (text, token, end) in [
            ("abc\n", "abc", None),
            ("\u{feff} abc ", "abc", None),
            (r#"{"access_token":"t","expires_in":60}"#, "t", Some(1_700_000_060_000)),
            (
                r#"{"Version":1,"AccessToken":"t","Expiration":"2023-11-14T22:13:25Z"}"#,
                "t",
                Some(1_700_000_005_000),
            ),
            (r#"{"token":"t","expires_at":1700000009,"expires_in":null}"#, "t", Some(1_700_000_009_000)),
            (r#"{"token":"t","expires_in":"7"}"#, "t", Some(1_700_000_007_000)),
        ] {
            let grant = read(text.as_bytes(), NOW).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(grant.credential.bearer().expect("a bearer").token().expose(), token, "{text}");
            assert_eq!(grant.expires_at.map(|at| at.0), end, "{text}");
        }
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3Mjk3ODA0MDgsImlhdCI6MTcyOTc4MDM0OH0.sig";
        assert_eq!(read(jwt.as_bytes(), NOW).expect("a JWT").expires_at, Some(UnixMillis(1_729_780_408_000)));
        let custom = read(br#"{"token":"t","token_type":"Custom"}"#, NOW).expect("a type of its own");
        assert_eq!(custom.credential.bearer().expect("a bearer").token_type(), "Custom");
    }

    #[test]
    fn what_is_none_is_told_without_being_shown() {
        for (text, words) in [
            ("", "empty"),
            (" \n", "empty"),
            ("hunter2 x", "signs that no token has"),
            ("{\"access_token\":\"hunter2\"", "no whole JSON"),
            ("{\"token_type\":\"hunter2\"}", "no access_token"),
            ("{\"token\":7}", "no access_token"),
            ("{\"token\":\"hunter2\",\"version\":2}", "version"),
            ("{\"token\":\"hunter2\",\"expiration\":\"soon\"}", "RFC 3339"),
            ("{\"token\":\"hunter2\",\"expires_in\":-1}", "number of seconds"),
            ("{\"token\":\"hunter2\",\"expires_in\":[]}", "number of seconds"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJl", "part of a JWT"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJl.", "part of a JWT"),
        ] {
            let error = read(text.as_bytes(), NOW).expect_err(text);
            assert!(error.to_string().contains(words), "{error}: {text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(read(b"\xff", NOW).is_err());
    }
}
