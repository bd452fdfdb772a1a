//! The string that is signed and the headers that carry the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::engine::credential::{Credential, Signer};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::time::UnixMillis;
use crate::engine::wire::{Coverage, Request};

/// The headers that a signature adds to a request, in the order in which they are to be sent.
///
/// `date`, `host` (unless the coverage leaves it out), `content-length` and `x-content-sha256` (when the body is
/// covered), `authorization` (always last).
#[derive(Clone, Debug)]
pub struct SignedHeaders {
    /// Names in lower case; values are secret as a whole, since `authorization` holds the token.
    pub headers: Vec<(&'static str, Secret<String>)>,
}

/// Signs a request for `host` (authority, with the port unless it is the scheme's default) at `date`.
///
/// What is covered is `request.coverage`; with [`Coverage::Head`] the body and its length are outside the signature
/// and for the sender to add.
///
/// Errors: `InvalidInput` (host; a bearer token, which signs nothing), `Config` (key id or token that cannot stand in a header), `Internal` (target not
/// encoded, covered body without content type). Never panics.
/// Source: draft-cavage-http-signatures-08, header order of the Python, Go and Java SDKs.
pub fn authorize(
    request: &Request,
    host: &str,
    date: UnixMillis,
    credential: &Credential,
) -> Result<SignedHeaders, Error> {
    let Signer { key, key_id } = credential.signer()?;
    check(request, host, key_id.expose()).map_err(|error| error.during("signing"))?;
    let date = date.to_http_date();
    let mut covered: Vec<(&'static str, String)> = Vec::with_capacity(4);
    if request.coverage != Coverage::BodyWithoutHost {
        covered.push(("host", host.to_owned()));
    }
    if request.coverage != Coverage::Head {
        let content_type =
            request.headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| value);
        let missing = || Error::new(ErrorKind::Internal, "signing: a covered body needs a content type");
        covered.push(("content-length", request.json.len().to_string()));
        covered.push(("content-type", content_type.ok_or_else(missing)?.clone()));
        covered.push(("x-content-sha256", STANDARD.encode(Sha256::digest(&request.json))));
    }
    let method = request.method.as_str().to_ascii_lowercase();
    let signature = key.sign(signing_string(&date, &method, &request.target, &covered).as_bytes())?;
    let names =
        covered.iter().fold("date (request-target)".to_owned(), |names, (name, _)| names + " " + name);
    let signature = STANDARD.encode(signature);
    // Sized beforehand: a text that grows leaves copies of the token behind.
    let mut authorization =
        String::with_capacity(key_id.expose().len() + signature.len() + names.len() + 100);
    for piece in [
        "Signature algorithm=\"rsa-sha256\",headers=\"",
        &names,
        "\",keyId=\"",
        key_id.expose(),
        "\",signature=\"",
        &signature,
        "\",version=\"1\"",
    ] {
        authorization.push_str(piece);
    }
    let mut headers = vec![("date", Secret::new(date))];
    // The content type is on the request already.
    let added = covered.into_iter().filter(|(name, _)| *name != "content-type");
    headers.extend(added.map(|(name, value)| (name, Secret::new(value))));
    headers.push(("authorization", Secret::new(authorization)));
    Ok(SignedHeaders { headers })
}

/// One line per name, joined by LF, none at the end.
fn signing_string<V: AsRef<str>>(date: &str, method: &str, target: &str, covered: &[(&str, V)]) -> String {
    let mut text = format!("date: {date}\n(request-target): {method} {target}");
    for (name, value) in covered {
        for piece in ["\n", name, ": ", value.as_ref()] {
            text.push_str(piece);
        }
    }
    text
}

/// Whatever could end a header line or a quoted parameter is refused, never escaped.
fn check(request: &Request, host: &str, key_id: &str) -> Result<(), Error> {
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(in_host) {
        return Err(Error::new(ErrorKind::InvalidInput, "the host name cannot stand in a header"));
    }
    if key_id.is_empty()
        || !key_id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    {
        return Err(Error::new(ErrorKind::Config, "the key id or token holds characters that no key id has"));
    }
    if !request.target.starts_with('/') || !request.target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::new(ErrorKind::Internal, "the request target is not encoded"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::super::{SigningKey, vectors};
    use super::*;
    use crate::engine::wire::{Method, Service};

    fn text(value: &Value) -> &str {
        value.as_str().expect("the vectors hold text here")
    }

    fn key(vectors: &Value) -> Arc<SigningKey> {
        let pem = text(&vectors["test_key"]["private_key_pkcs8_pem"]);
        Arc::new(SigningKey::from_pem(pem.as_bytes(), None).unwrap())
    }

    fn request(method: Method, target: &str, json: &str, coverage: Coverage) -> Request {
        Request {
            method,
            service: Service::Storage,
            target: target.to_owned(),
            headers: vec![("content-type", "application/json".to_owned())],
            metadata: Vec::new(),
            json: json.as_bytes().to_vec(),
            coverage,
        }
    }

    #[test]
    fn all_vectors_of_the_official_signer_agree_byte_for_byte() {
        let vectors = vectors::read();
        let key = key(&vectors);
        let date = UnixMillis::from_http_date(text(&vectors["date"])).unwrap();
        let cases = vectors["vectors"].as_array().unwrap();
        assert_eq!(cases.len(), 10);
        for case in cases {
            let name = text(&case["name"]);
            let method = match text(&case["method"]) {
                "GET" => Method::Get,
                "HEAD" => Method::Head,
                "POST" => Method::Post,
                "PUT" => Method::Put,
                "DELETE" => Method::Delete,
                other => panic!("{other}"),
            };
            let coverage = match text(&case["signed_headers"]) {
                "date (request-target) host" => Coverage::Head,
                "date (request-target) host content-length content-type x-content-sha256" => {
                    Coverage::HeadAndBody
                }
                "date (request-target) content-length content-type x-content-sha256" => {
                    Coverage::BodyWithoutHost
                }
                other => panic!("{other}"),
            };
            let key_id = text(&case["key_id"]);
            let credential = match key_id.strip_prefix("ST$") {
                Some(token) => {
                    Credential::OciSession { token: Secret::new(token.to_owned()), key: key.clone() }
                }
                None => Credential::OciApiKey { key_id: key_id.to_owned(), key: key.clone() },
            };
            let host = text(&case["url"]).split('/').nth(2).unwrap();
            let request = request(method, text(&case["request_target"]), text(&case["body_utf8"]), coverage);
            let signed = authorize(&request, host, date, &credential).unwrap();
            let sent = |wanted: &str| {
                let header = signed.headers.iter().find(|(name, _)| *name == wanted);
                header.map(|(_, value)| value.expose().as_str())
            };
            assert_eq!(sent("authorization"), case["authorization"].as_str(), "{name}");
            for header in ["date", "host", "content-length", "x-content-sha256"] {
                assert_eq!(sent(header), case["headers"][header].as_str(), "{name}: {header}");
            }
            let names: Vec<_> = signed.headers.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.last(), Some(&"authorization"), "{name}");
            assert!(!format!("{signed:?}").contains("Signature"), "{name}");
        }
    }

    #[test]
    fn the_signing_string_is_the_one_of_the_vectors() {
        let vectors = vectors::read();
        for case in vectors["vectors"].as_array().unwrap() {
            let method = text(&case["method"]).to_lowercase();
            let headers = &case["headers"];
            let parts: Vec<(&str, &str)> = text(&case["signed_headers"])
                .split(' ')
                .filter(|name| *name != "(request-target)")
                .map(|name| (name, text(&headers[name])))
                .collect();
            let built = signing_string(parts[0].1, &method, text(&case["request_target"]), &parts[1..]);
            assert_eq!(built, text(&case["signing_string"]), "{}", text(&case["name"]));
        }
    }

    #[test]
    fn an_empty_signed_body_still_has_length_and_hash() {
        let vectors = vectors::read();
        let credential = Credential::OciApiKey { key_id: "t/u/f".into(), key: key(&vectors) };
        let request = request(Method::Post, "/x", "", Coverage::HeadAndBody);
        let signed = authorize(&request, "h", UnixMillis(0), &credential).unwrap();
        let value =
            |wanted| signed.headers.iter().find(|(name, _)| *name == wanted).unwrap().1.expose().clone();
        assert_eq!(value("content-length"), "0");
        assert_eq!(value("x-content-sha256"), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn what_could_break_out_of_a_header_is_refused() {
        let vectors = vectors::read();
        let key = key(&vectors);
        let api = |key_id: &str| Credential::OciApiKey { key_id: key_id.into(), key: key.clone() };
        let session =
            |token: &str| Credential::OciSession { token: Secret::new(token.into()), key: key.clone() };
        let fine = request(Method::Get, "/n", "", Coverage::Head);
        for host in ["", "a b", "a\r\nx: y", "hé", "a/b", "u@h"] {
            let error = authorize(&fine, host, UnixMillis(0), &api("k")).unwrap_err();
            assert_eq!(error.to_string(), "signing: the host name cannot stand in a header", "{host:?}");
        }
        for credential in [api(""), api("a\"b"), api("a\nb"), api("a b"), session("tok\r\nen"), session("é")]
        {
            let error = authorize(&fine, "h", UnixMillis(0), &credential).unwrap_err();
            assert_eq!(error.to_string(), "signing: the key id or token holds characters that no key id has");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        for target in ["", "n", "/a b", "/a\nb", "/ü", "/a\"b\u{7f}"] {
            let error =
                authorize(&request(Method::Get, target, "", Coverage::Head), "h", UnixMillis(0), &api("k"));
            assert_eq!(
                error.unwrap_err().to_string(),
                "signing: the request target is not encoded",
                "{target:?}"
            );
        }
        let mut untyped = request(Method::Post, "/n", "{}", Coverage::HeadAndBody);
        untyped.headers.clear();
        let error = authorize(&untyped, "h", UnixMillis(0), &api("k")).unwrap_err();
        assert_eq!(error.to_string(), "signing: a covered body needs a content type");
    }
}
