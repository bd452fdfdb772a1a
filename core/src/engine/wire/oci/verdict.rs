//! What a reply means, and the words for a person.
//!
//! | reply                                                             | verdict                                  |
//! |-------------------------------------------------------------------|------------------------------------------|
//! | 2xx                                                               | done                                     |
//! | 401                                                               | refused: the credential, not the request |
//! | 400 `Unmatched…`                                                  | again: the body was damaged on its way   |
//! | 404 on a request with an upload id                                | the upload is gone                       |
//! | 408, 429, 5xx but 501 and 505                                     | again, after `Retry-After`               |
//! | 409 `ConcurrentObjectUpdate`, `IncorrectState`, `LockConflict`, or nameless | again, after `Retry-After`     |
//! | anything else                                                     | fatal                                    |
//!
//! Source: `oci.md` section 6; 408 from RFC 9110 section 15.5.9.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Operation;
use crate::engine::error::{Error, ErrorKind, HttpFacts, Retry, one_line};
use crate::engine::time::UnixMillis;
use crate::engine::wire::{Reply, Verdict};

/// Longest error body that is read as JSON, bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// Longest server message that is passed on, characters.
const MAX_MESSAGE_CHARS: usize = 300;
/// Longest error code that is passed on, characters; the known ones have at most 25.
const MAX_CODE_CHARS: usize = 64;
/// Longest request id that is passed on, characters; the service's have about 70.
const MAX_ID_CHARS: usize = 128;

/// What `reply` means for the request that did `operation`.
pub fn verdict(operation: Operation, reply: &Reply) -> Verdict {
    if (200..300).contains(&reply.status) {
        return Verdict::Done;
    }
    let facts = http_facts(reply);
    let code = facts.code.as_deref().unwrap_or_default();
    match reply.status {
        401 => Verdict::Refused(facts),
        400 if unmatched(&facts) => Verdict::Again(facts.retry_after, facts),
        404 if operation.names_upload() => Verdict::UploadGone(facts),
        409 if matches!(code, "" | "ConcurrentObjectUpdate" | "IncorrectState" | "LockConflict") => {
            Verdict::Again(facts.retry_after, facts)
        }
        501 | 505 => Verdict::Fatal(fatal(operation, facts)),
        408 | 429 | 500..=599 => Verdict::Again(facts.retry_after, facts),
        _ => Verdict::Fatal(fatal(operation, facts)),
    }
}

/// Whether the body that arrived does not have the checksum that was told with it.
pub(crate) fn unmatched(facts: &HttpFacts) -> bool {
    facts.status == 400 && facts.code.as_deref().is_some_and(|code| code.starts_with("Unmatched"))
}

fn fatal(operation: Operation, facts: HttpFacts) -> Error {
    let (kind, advice) = advice(operation, facts.status, facts.code.as_deref().unwrap_or_default());
    Error::new(kind, format!("{}: {advice}", operation.attempt())).with_retry(Retry::Never).with_http(facts)
}

fn advice(operation: Operation, status: u16, code: &str) -> (ErrorKind, &'static str) {
    match (status, code) {
        (300..=399, _) => (
            ErrorKind::Protocol,
            "the answer is a redirection, which this service never gives; check the endpoint",
        ),
        (400, "InvalidUploadPart" | "InvalidUploadPartOrder") => (
            ErrorKind::Service,
            "a part is no longer the one that was stored; the same command checks all parts and sends what differs",
        ),
        (400, "QuotaExceeded" | "LimitExceeded" | "StorageQuotaExceeded") => {
            (ErrorKind::Service, "a quota or service limit is reached; free space or have the limit raised")
        }
        (400, "InvalidStorageTier") => {
            (ErrorKind::InvalidInput, "the bucket does not take this storage tier")
        }
        (400, _) => (ErrorKind::InvalidInput, "the service does not accept the request as it was asked for"),
        (403, _) => (
            ErrorKind::Permission,
            "the service does not allow this; a policy must let this user's group manage objects in this bucket's compartment",
        ),
        (404, "NamespaceNotFound") => {
            (ErrorKind::NotFound, "there is no such namespace here; check the namespace and the region")
        }
        (404, "BucketNotFound") => (
            ErrorKind::NotFound,
            "there is no such bucket, or you may not see it; check bucket name, namespace, region and your policies",
        ),
        (404, "ObjectNotFound") => (ErrorKind::NotFound, "there is no such object"),
        (404, _) if operation == Operation::Head => (
            ErrorKind::NotFound,
            "there is no such object, or you may not see it; check object, bucket, namespace, region and your policies",
        ),
        (404, _) => (
            ErrorKind::NotFound,
            "it does not exist, or you may not see it; check bucket name, namespace, region, endpoint and your policies",
        ),
        (405 | 406 | 415, _) => (
            ErrorKind::Protocol,
            "the other side does not know this request; check that the endpoint is Object Storage",
        ),
        (407, _) => (ErrorKind::Config, "a proxy wants a sign-in; put user and password into the proxy URL"),
        (409, _) => (ErrorKind::Service, "it conflicts with the present state of the bucket or object"),
        (411, _) => (
            ErrorKind::Protocol,
            "the service did not see the length of the body; something on the way rewrites requests",
        ),
        (412, "IfNoneMatchFailed") => {
            (ErrorKind::Precondition, "an object of this name exists already and was not to be replaced")
        }
        (412, "IfMatchFailed") => {
            (ErrorKind::Precondition, "the object is not the expected one any more: its etag differs")
        }
        (412, _) => (
            ErrorKind::Precondition,
            "the object is not in the state that was demanded (absent, or with the given etag)",
        ),
        (413, _) if matches!(operation, Operation::Put | Operation::Part) => {
            (ErrorKind::InvalidInput, "more than 50 GiB in one request; choose smaller parts")
        }
        (413, _) => {
            (ErrorKind::InvalidInput, "the request is larger than the service takes; shorten the metadata")
        }
        (501, _) => (ErrorKind::Service, "the service does not offer this here"),
        _ => (ErrorKind::Service, "the service gave an answer that is not among those it documents"),
    }
}

/// What a reply says about a failure, made harmless: one line, capped, anything like a token blotted out.
///
/// A body that is not JSON (a proxy's page) is told about, not repeated. `part_number` is for the caller to fill.
pub fn http_facts(reply: &Reply) -> HttpFacts {
    let (code, message) = words(reply);
    HttpFacts {
        status: reply.status,
        code: code.map(|code| harmless(&code, MAX_CODE_CHARS)).filter(|code| !code.is_empty()),
        message: message
            .map(|message| harmless(&message, MAX_MESSAGE_CHARS))
            .filter(|message| !message.is_empty()),
        request_id: reply
            .header("opc-request-id")
            .map(|id| harmless(id, MAX_ID_CHARS))
            .filter(|id| !id.is_empty()),
        retry_after: retry_after(reply),
        part_number: None,
    }
}

fn words(reply: &Reply) -> (Option<String>, Option<String>) {
    if reply.body.is_empty() || (200..300).contains(&reply.status) {
        return (None, None);
    }
    let readable = Some(&reply.body).filter(|body| body.len() <= MAX_ERROR_BYTES);
    // Each member may be anything: an odd one must not hide the other.
    if let Some(body) = readable.and_then(|body| serde_json::from_slice::<Map<String, Value>>(body).ok()) {
        let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
        return (text("code"), text("message"));
    }
    let kind = reply.header("content-type").unwrap_or("an unnamed type");
    (
        None,
        Some(format!(
            "no error of this service but {} bytes of {kind}; a proxy may have answered",
            reply.body.len()
        )),
    )
}

/// One line of at most `max_chars`, without anything that looks like a JSON Web Token (they begin with `eyJ`).
pub(crate) fn harmless(text: &str, max_chars: usize) -> String {
    let text = one_line(text);
    let in_token = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let mut safe = String::with_capacity(text.len().min(max_chars));
    let mut rest = text.as_str();
    while let Some(at) = rest.find("eyJ") {
        let (before, token) = rest.split_at(at);
        let end = token.find(|c| !in_token(c)).unwrap_or(token.len());
        safe.push_str(before);
        safe.push_str(if end >= 20 { "***" } else { &token[..end] });
        rest = &token[end..];
    }
    safe.push_str(rest);
    let safe = safe.trim();
    if safe.chars().nth(max_chars).is_none() {
        return safe.to_owned();
    }
    safe.chars().take(max_chars - 1).chain(['…']).collect()
}

/// `Retry-After` as a duration: seconds, or a date relative to the reply's own `date` (so that no clock is needed).
///
/// A date in the past is no wait; text that is neither is none at all.
/// Source: RFC 9110 section 10.2.3.
pub fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.header("retry-after")?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Whoever waits caps it; too many digits must not mean no wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    Some(UnixMillis::from_http_date(text)?.since(reply.date()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, code: &str) -> Reply {
        let body =
            if code.is_empty() { String::new() } else { format!(r#"{{"code":"{code}","message":"words"}}"#) };
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("opc-request-id".to_owned(), "phx-1:abc".to_owned()),
            ("date".to_owned(), "Sun, 01 Mar 2026 12:00:00 GMT".to_owned()),
        ];
        Reply { status, headers, body: body.into_bytes() }
    }

    fn with_header(mut reply: Reply, name: &str, value: &str) -> Reply {
        reply.headers.push((name.to_owned(), value.to_owned()));
        reply
    }

    const ALL: [Operation; 11] = [
        Operation::Namespace,
        Operation::Bucket,
        Operation::Head,
        Operation::Put,
        Operation::Create,
        Operation::Part,
        Operation::ListParts,
        Operation::ListUploads,
        Operation::Commit,
        Operation::Abort,
        Operation::Delete,
    ];

    #[test]
    fn success_and_refusal_are_the_same_for_every_operation() {
        for operation in ALL {
            for status in [200, 201, 204, 206] {
                assert!(
                    matches!(verdict(operation, &reply(status, "")), Verdict::Done),
                    "{operation:?} {status}"
                );
            }
            let refused = verdict(operation, &reply(401, "NotAuthenticated"));
            let Verdict::Refused(facts) = refused else { panic!("{refused:?}") };
            assert_eq!(facts.code.as_deref(), Some("NotAuthenticated"));
        }
    }

    #[test]
    fn passing_trouble_is_tried_again() {
        for operation in ALL {
            for (status, code) in [
                (400, "UnmatchedContentMD5"),
                (400, "UnmatchedContentCRC32C"),
                (408, ""),
                (409, ""),
                (409, "ConcurrentObjectUpdate"),
                (409, "IncorrectState"),
                (409, "LockConflict"),
                (429, "TooManyRequests"),
                (500, "InternalServerError"),
                (502, ""),
                (503, "ServiceUnavailable"),
                (504, ""),
                (599, ""),
            ] {
                let again = verdict(operation, &with_header(reply(status, code), "retry-after", "9"));
                let Verdict::Again(Some(wait), facts) = again else { panic!("{status} {code}: {again:?}") };
                assert_eq!((wait, facts.status), (Duration::from_secs(9), status));
            }
        }
    }

    #[test]
    fn a_missing_upload_is_gone_a_missing_bucket_is_not() {
        for operation in ALL {
            let gone =
                matches!(verdict(operation, &reply(404, "NotAuthorizedOrNotFound")), Verdict::UploadGone(_));
            let expected = matches!(
                operation,
                Operation::Part | Operation::ListParts | Operation::Commit | Operation::Abort
            );
            assert_eq!(gone, expected, "{operation:?}");
        }
    }

    #[test]
    fn final_failures_say_what_to_check() {
        use ErrorKind::{Config, InvalidInput, NotFound, Permission, Precondition, Protocol, Service};
        let cases = [
            (Operation::Create, 400, "InvalidParameter", InvalidInput, "does not accept the request"),
            (Operation::Create, 400, "", InvalidInput, "does not accept the request"),
            (Operation::Create, 400, "InvalidStorageTier", InvalidInput, "storage tier"),
            (Operation::Part, 400, "QuotaExceeded", Service, "quota or service limit"),
            (Operation::Commit, 400, "InvalidUploadPart", Service, "checks all parts"),
            (Operation::Create, 403, "NotAllowed", Permission, "policy"),
            (Operation::Head, 403, "", Permission, "policy"),
            (Operation::Create, 404, "BucketNotFound", NotFound, "check bucket name, namespace, region"),
            (Operation::Create, 404, "NotAuthorizedOrNotFound", NotFound, "you may not see it"),
            (Operation::Put, 404, "NamespaceNotFound", NotFound, "check the namespace and the region"),
            (Operation::Head, 404, "", NotFound, "no such object"),
            (Operation::Namespace, 404, "", NotFound, "endpoint"),
            (Operation::Namespace, 302, "", Protocol, "check the endpoint"),
            (Operation::Put, 405, "", Protocol, "check that the endpoint is Object Storage"),
            (Operation::Put, 407, "", Config, "proxy wants a sign-in"),
            (Operation::Create, 409, "BucketAlreadyExists", Service, "conflicts"),
            (Operation::Part, 411, "ContentLengthRequired", Protocol, "length of the body"),
            (Operation::Put, 412, "IfNoneMatchFailed", Precondition, "exists already"),
            (Operation::Commit, 412, "IfMatchFailed", Precondition, "etag differs"),
            (Operation::Head, 412, "", Precondition, "absent, or with the given etag"),
            (Operation::Part, 413, "RequestEntityTooLarge", InvalidInput, "50 GiB"),
            (Operation::Create, 413, "", InvalidInput, "shorten the metadata"),
            (Operation::Put, 501, "MethodNotImplemented", Service, "does not offer this"),
            (Operation::Put, 418, "", Service, "not among those it documents"),
            (Operation::Put, 0, "", Service, "not among those it documents"),
            (Operation::Put, 101, "", Service, "not among those it documents"),
        ];
        for (operation, status, code, kind, words) in cases {
            let fatal = verdict(operation, &reply(status, code));
            let Verdict::Fatal(error) = fatal else { panic!("{status} {code}: {fatal:?}") };
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.retry(), Retry::Never);
            assert!(error.message().starts_with(operation.attempt()), "{error}");
            assert!(error.message().contains(words), "{error}");
            assert_eq!(error.http().unwrap().request_id.as_deref(), Some("phx-1:abc"));
        }
        let Verdict::Fatal(error) = verdict(Operation::Create, &reply(412, "IfNoneMatchFailed")) else {
            panic!()
        };
        assert_eq!(
            error.to_string(),
            "creating the upload: an object of this name exists already and was not to be replaced \
             (HTTP 412 IfNoneMatchFailed: words; request id phx-1:abc)"
        );
    }

    #[test]
    fn bodies_that_are_no_error_of_the_service_are_survived() {
        let told = |body: &[u8]| {
            let facts = http_facts(&Reply { body: body.to_vec(), ..reply(503, "") });
            (facts.code, facts.message)
        };
        assert_eq!(told(b""), (None, None));
        assert_eq!(told(b"{}"), (None, None));
        assert_eq!(told(br#"{"code":7,"message":"m"}"#), (None, Some("m".into())));
        assert_eq!(told(br#"{"code":"c","message":["m"]}"#), (Some("c".into()), None));
        assert_eq!(told(br#"{"code":"","message":" "}"#), (None, None));
        let deep = "[".repeat(50_000);
        let huge = format!(r#"{{"code":"c","message":"{}"}}"#, "x".repeat(MAX_ERROR_BYTES));
        for body in [
            &b"<html>secret?uploadId=x</html>"[..],
            b"\xff\xfe",
            b"[]",
            b"null",
            deep.as_bytes(),
            huge.as_bytes(),
        ] {
            let expected = format!(
                "no error of this service but {} bytes of application/json; a proxy may have answered",
                body.len()
            );
            assert_eq!(told(body), (None, Some(expected)));
        }
    }

    #[test]
    fn server_words_are_one_capped_line_without_tokens() {
        let told = |message: &str| {
            let body = serde_json::json!({ "code": message, "message": message }).to_string();
            let facts = http_facts(&Reply { body: body.into_bytes(), ..reply(400, "") });
            (facts.code.unwrap(), facts.message.unwrap())
        };
        assert_eq!(told("a\nb\u{1b}[31mc").1, "a b [31mc");
        let (code, message) = told(&"ü".repeat(5000));
        assert_eq!((code.chars().count(), message.chars().count()), (MAX_CODE_CHARS, MAX_MESSAGE_CHARS));
        assert!(message.ends_with('…'));
        assert_eq!(told(&"x".repeat(300)).1, "x".repeat(300));
        let token = "eyJraWQiOiJ0ZXN0In0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
        assert_eq!(told(&format!("keyId=\"ST${token}\" and {token}")).1, "keyId=\"ST$***\" and ***");
        assert_eq!(told("eyJ eyJa and heyJude").1, "eyJ eyJa and heyJude");
        let long_first = format!("{} {token}", "x".repeat(290));
        assert!(!told(&long_first).1.contains("eyJ"));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let wait = |text: &str| retry_after(&with_header(reply(429, ""), "retry-after", text));
        assert_eq!(wait("120"), Some(Duration::from_mins(2)));
        assert_eq!(wait("0"), Some(Duration::ZERO));
        assert_eq!(wait(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999999999999999999"), Some(Duration::from_secs(u64::from(u32::MAX))));
        assert_eq!(wait("Sun, 01 Mar 2026 12:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sunday, 01-Mar-26 12:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sun, 01 Mar 2026 11:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "-1", "1.5", "soon", "1 minute", "٣"] {
            assert_eq!(wait(nonsense), None, "{nonsense:?}");
        }
        let mut undated = with_header(reply(429, ""), "retry-after", "Sun, 01 Mar 2026 12:00:30 GMT");
        undated.headers.retain(|(name, _)| name != "date");
        assert_eq!(retry_after(&undated), None);
        assert_eq!(retry_after(&reply(429, "")), None);
    }
}
