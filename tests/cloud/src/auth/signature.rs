//! Request signatures: the `Authorization` header and the string it signs.
//!
//! Sources: draft-cavage-http-signatures-08 as the service profiles it (version 1, `rsa-sha256` = RSA PKCS#1 v1.5 over
//! SHA-256). Everything is checked against what was received, nothing is normalised first. A refusal is a reason for
//! the log; the client only ever hears `NotAuthenticated`.

use crate::clock::{Millis, parse_http_date};
use crate::http::head::Head;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::RsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256};

/// What a request without a body, or with the user's bytes as body, must sign besides a date.
pub(crate) const HEAD_SET: &[&str] = &["(request-target)", "host"];
/// What every other request must sign besides a date.
pub(crate) const BODY_SET: &[&str] =
    &["(request-target)", "host", "content-length", "content-type", "x-content-sha256"];

/// A parsed `Authorization` header.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) key_id: String,
    names: Vec<String>,
    signature: Vec<u8>,
}

impl Authorization {
    /// Parses the header's value as an unordered set of parameters, each exactly once and none unknown.
    pub(crate) fn parse(value: &str) -> Result<Self, String> {
        let mut rest = value.strip_prefix("Signature ").ok_or("the authorization scheme is not Signature")?;
        let [mut version, mut key_id, mut algorithm, mut headers, mut signature] =
            [const { None::<&str> }; 5];
        loop {
            let (name, tail) =
                rest.split_once("=\"").ok_or("an authorization parameter is not name=\"value\"")?;
            let (text, tail) = tail.split_once('"').ok_or("an authorization parameter is not closed")?;
            let slot = match name {
                "version" => &mut version,
                "keyId" => &mut key_id,
                "algorithm" => &mut algorithm,
                "headers" => &mut headers,
                "signature" => &mut signature,
                other => return Err(format!("unknown authorization parameter {other:?}")),
            };
            if slot.replace(text).is_some() {
                return Err(format!("authorization parameter {name} is repeated"));
            }
            if tail.is_empty() {
                break;
            }
            rest = tail.strip_prefix(',').ok_or("authorization parameters are not separated by commas")?;
            rest = rest.trim_start_matches(' ');
        }
        if version != Some("1") {
            return Err("the signature version is not 1".into());
        }
        if algorithm != Some("rsa-sha256") {
            return Err("the signature algorithm is not rsa-sha256".into());
        }
        let key_id = key_id.filter(|id| !id.is_empty()).ok_or("no keyId")?;
        let signature = signature.filter(|text| !text.is_empty()).ok_or("no signature")?;
        let signature = STANDARD.decode(signature).map_err(|_| "the signature is not base64")?;
        let names: Vec<String> = headers.unwrap_or_default().split(' ').map(as_signed).collect();
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err("the list of signed headers is not lower-case names with single spaces".into());
            }
            if names[..index].contains(name) {
                return Err(format!("{name} is signed twice"));
            }
        }
        Ok(Self { key_id: key_id.to_owned(), names, signature })
    }

    pub(crate) fn signs(&self, name: &str) -> bool {
        self.names.iter().any(|signed| signed == name)
    }

    /// Checks that everything required is signed and that the signed date is near `now`.
    pub(crate) fn check_scope(
        &self,
        head: &Head,
        required: &[&str],
        now: Millis,
        tolerance_ms: i64,
    ) -> Result<(), String> {
        if let Some(missing) = required.iter().find(|name| !self.signs(name)) {
            return Err(format!("{missing} is not signed"));
        }
        let dates: Vec<&str> = ["date", "x-date"].into_iter().filter(|name| self.signs(name)).collect();
        if dates.is_empty() {
            return Err("neither date nor x-date is signed".into());
        }
        for name in dates {
            let text = head.get(name).ok_or_else(|| format!("{name} is signed but not sent"))?;
            let date =
                parse_http_date(text).ok_or_else(|| format!("{name} {text:?} is not an RFC 1123 date"))?;
            if now.abs_diff(date) > tolerance_ms.unsigned_abs() {
                return Err(format!("{name} is {} ms away from the clock here", date.saturating_sub(now)));
            }
        }
        Ok(())
    }

    /// The string that was signed, rebuilt from what was received.
    pub(crate) fn signing_string(&self, head: &Head) -> Result<String, String> {
        let mut lines = Vec::with_capacity(self.names.len());
        for name in &self.names {
            if name == "(request-target)" {
                lines.push(format!("(request-target): {} {}", head.method.to_ascii_lowercase(), head.target));
                continue;
            }
            let mut values = head.headers().iter().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => lines.push(format!("{name}: {value}")),
                (None, _) => return Err(format!("{name} is signed but not sent")),
                (Some(_), Some(_)) => return Err(format!("{name} is signed but sent more than once")),
            }
        }
        Ok(lines.join("\n"))
    }

    /// Verifies the signature itself.
    pub(crate) fn verify(&self, head: &Head, key: &RsaPublicKey) -> Result<(), String> {
        let string = self.signing_string(head)?;
        let signature = Signature::try_from(self.signature.as_slice())
            .map_err(|_| "the signature has an impossible length")?;
        VerifyingKey::<Sha256>::new(key.clone())
            .verify(string.as_bytes(), &signature)
            .map_err(|_| "the signature does not verify".into())
    }
}

/// A name of the list as it stands in the signing string. Two spellings of the official SDK for TypeScript are let pass.
fn as_signed(name: &str) -> String {
    match name {
        "Content-Type" | "Content-Length" => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}

/// Compares a whole body with the `x-content-sha256` and `content-length` that were signed.
pub(crate) fn check_body(head: &Head, body: &[u8]) -> Result<(), String> {
    check_body_hash(head, &Sha256::digest(body))
}

/// The same with the body's SHA-256 at hand.
pub(crate) fn check_body_hash(head: &Head, sha256: &[u8]) -> Result<(), String> {
    match head.get("x-content-sha256") {
        Some(text) if text == STANDARD.encode(sha256) => Ok(()),
        Some(_) => Err("x-content-sha256 is not the hash of the body".into()),
        None => Err("x-content-sha256 is not sent".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::Authorization;

    #[test]
    fn parameters_are_a_strict_set() {
        let good = [
            r#"Signature algorithm="rsa-sha256",headers="date host",keyId="k",signature="AAAA",version="1""#,
            r#"Signature version="1", keyId="k",algorithm="rsa-sha256",headers="date",signature="AAAA""#,
            r#"Signature version="1",keyId="k",algorithm="rsa-sha256",headers="x-date Content-Type",signature="AAAA""#,
        ];
        for value in good {
            assert_eq!(Authorization::parse(value).unwrap().key_id, "k", "{value}");
        }
        let bad = [
            "",
            "Signature ",
            "Bearer x",
            r#"signature algorithm="rsa-sha256",headers="date",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha512",headers="date",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="AAAA",version="2""#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="AAAA""#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="date  host",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="Date",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="Content-Type content-type",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="date date",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="A A",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="AAAA",version="1","#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="AAAA",version="1"x"#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",keyId="k",signature="AAAA",version="1""#,
            r#"Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="AAAA",version="1",more="x""#,
        ];
        for value in bad {
            assert!(Authorization::parse(value).is_err(), "{value}");
        }
    }
}
