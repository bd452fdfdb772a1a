//! Replies, read with distrust: sizes, types and counts are checked, foreign text is made harmless.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::MAX_PARTS;
use super::date::parse_rfc3339;
use crate::engine::checksum::parse_md5;
use crate::engine::error::{Error, ErrorKind, one_line};
use crate::engine::time::UnixMillis;
use crate::engine::wire::Reply;

/// Longest JSON reply that is read, bytes; a page of 1,000 uploads with names of 1,024 bytes stays below.
const MAX_JSON_BYTES: usize = 8 << 20;
/// Longest etag, upload id or page token that is believed, bytes. Real ones have 36 to a few hundred.
const MAX_TOKEN_BYTES: usize = 4096;
/// Longest header value that is kept as a fact, characters.
const MAX_FACT_CHARS: usize = 200;

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// What to ask with for the page after; `None` on the last.
    pub next: Option<String>,
}

/// A multipart upload as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    /// Namespace; empty if the service left it out.
    pub namespace: String,
    /// Bucket; empty if the service left it out.
    pub bucket: String,
    /// Object name; empty if the service left it out.
    pub object: String,
    /// The upload's id: not empty, no control characters.
    pub upload_id: String,
    /// When it was created, if that was readable.
    pub created_at: Option<UnixMillis>,
    /// The tier the object will have, if told.
    pub storage_tier: Option<String>,
}

/// A stored part as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartEntry {
    /// Part number, 1 to 10,000.
    pub number: u32,
    /// Its etag: not empty, no control characters.
    pub etag: String,
    /// MD5 of the stored bytes.
    pub md5: Option<[u8; 16]>,
    /// Bytes.
    pub size: u64,
}

/// What a reply's headers say about an object or a part: raw header text, one line, at most 200 characters each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// `etag`
    pub etag: Option<String>,
    /// `content-length`, bytes; the object's size in the answer to a HEAD, meaningless in the answer to a PUT.
    pub size: Option<u64>,
    /// `last-modified`
    pub last_modified: Option<String>,
    /// `version-id`
    pub version_id: Option<String>,
    /// `opc-content-md5` (answers to PUT) or `content-md5` (answers to HEAD); absent for multipart objects.
    pub content_md5: Option<String>,
    /// `opc-multipart-md5`
    pub multipart_md5: Option<String>,
    /// `opc-content-crc32c`; of the whole object, for multipart objects too.
    pub crc32c: Option<String>,
    /// `opc-content-sha256`
    pub sha256: Option<String>,
    /// `opc-content-sha384`
    pub sha384: Option<String>,
    /// `opc-multipart-sha256`
    pub multipart_sha256: Option<String>,
    /// `opc-multipart-sha384`
    pub multipart_sha384: Option<String>,
}

/// Reads the headers of a reply to PutObject, UploadPart, Commit or HeadObject.
pub fn object_facts(reply: &Reply) -> ObjectFacts {
    let fact = |name| {
        let value = one_line(reply.header(name)?);
        (!value.is_empty()).then(|| value.chars().take(MAX_FACT_CHARS).collect::<String>())
    };
    ObjectFacts {
        etag: fact("etag"),
        size: reply.header("content-length").and_then(|text| text.parse().ok()),
        last_modified: fact("last-modified"),
        version_id: fact("version-id"),
        content_md5: fact("opc-content-md5").or_else(|| fact("content-md5")),
        multipart_md5: fact("opc-multipart-md5"),
        crc32c: fact("opc-content-crc32c"),
        sha256: fact("opc-content-sha256"),
        sha384: fact("opc-content-sha384"),
        multipart_sha256: fact("opc-multipart-sha256"),
        multipart_sha384: fact("opc-multipart-sha384"),
    }
}

/// Reads the answer to GetNamespace: a bare JSON string.
///
/// Errors: `Protocol`.
pub fn parse_namespace(reply: &Reply) -> Result<String, Error> {
    let namespace: String = read(reply, "the namespace")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if namespace.is_empty() || namespace.len() > 256 || !namespace.bytes().all(legal) {
        return Err(unexpected("the namespace", "it is not a name"));
    }
    Ok(namespace)
}

/// `_more` takes what newer services may add. Having it also makes the derived reader insist on an object; without, it
/// would take an array of the values.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawUpload {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    object: String,
    upload_id: String,
    #[serde(default)]
    time_created: Option<String>,
    #[serde(default)]
    storage_tier: Option<String>,
    #[serde(flatten)]
    _more: IgnoredAny,
}

impl RawUpload {
    fn check(self, what: &str) -> Result<UploadEntry, Error> {
        Ok(UploadEntry {
            namespace: self.namespace,
            bucket: self.bucket,
            object: self.object,
            upload_id: token(self.upload_id, what, "an upload id")?,
            created_at: self.time_created.as_deref().and_then(parse_rfc3339),
            storage_tier: self
                .storage_tier
                .map(|tier| one_line(&tier).chars().take(MAX_FACT_CHARS).collect()),
        })
    }
}

/// Reads the answer to CreateMultipartUpload.
///
/// Errors: `Protocol`.
pub fn parse_created(reply: &Reply) -> Result<UploadEntry, Error> {
    read::<RawUpload>(reply, "the new upload")?.check("the new upload")
}

/// Reads a page of ListMultipartUploads.
///
/// Errors: `Protocol`.
pub fn parse_uploads(reply: &Reply) -> Result<Page<UploadEntry>, Error> {
    let what = "the list of uploads";
    let items = read::<Vec<RawUpload>>(reply, what)?.into_iter().map(|raw| raw.check(what));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: next_page(reply, what)? })
}

/// For `_more` see [`RawUpload`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPart {
    part_number: u32,
    etag: String,
    #[serde(default)]
    md5: Option<String>,
    size: u64,
    #[serde(flatten)]
    _more: IgnoredAny,
}

/// Reads a page of ListMultipartUploadParts. Within the page every number is there once; across pages that is for
/// the caller to see.
///
/// Errors: `Protocol`.
pub fn parse_parts(reply: &Reply) -> Result<Page<PartEntry>, Error> {
    let what = "the list of parts";
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for raw in read::<Vec<RawPart>>(reply, what)? {
        if !(1..=MAX_PARTS).contains(&raw.part_number) {
            return Err(unexpected(what, &format!("there is no part number {}", raw.part_number)));
        }
        if !seen.insert(raw.part_number) {
            return Err(unexpected(what, &format!("part {} is in it twice", raw.part_number)));
        }
        let md5 = match raw.md5.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(parse_md5(text).ok_or_else(|| unexpected(what, "an MD5 is not one"))?),
            None => None,
        };
        items.push(PartEntry {
            number: raw.part_number,
            etag: token(raw.etag, what, "an etag")?,
            md5,
            size: raw.size,
        });
    }
    Ok(Page { items, next: next_page(reply, what)? })
}

fn next_page(reply: &Reply, what: &str) -> Result<Option<String>, Error> {
    match reply.header("opc-next-page") {
        None | Some("") => Ok(None),
        Some(page) => token(page.to_owned(), what, "the next page's token").map(Some),
    }
}

/// A server's opaque text that goes back to it later.
fn token(text: String, what: &str, name: &str) -> Result<String, Error> {
    if text.is_empty() || text.len() > MAX_TOKEN_BYTES || text.chars().any(char::is_control) {
        return Err(unexpected(what, &format!("{name} is empty, too long or holds control characters")));
    }
    Ok(text)
}

fn read<T: DeserializeOwned>(reply: &Reply, what: &str) -> Result<T, Error> {
    if reply.body.len() > MAX_JSON_BYTES {
        return Err(unexpected(what, "it is too long"));
    }
    // serde_json limits nesting to 128 by itself.
    serde_json::from_slice(&reply.body).map_err(|error| {
        let words: String = one_line(&error.to_string()).chars().take(MAX_FACT_CHARS).collect();
        unexpected(what, &words)
    })
}

fn unexpected(what: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the service's answer with {what} is not what its protocol allows: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> Reply {
        Reply { status: 200, headers: Vec::new(), body: body.into() }
    }

    fn with_header(body: &str, name: &str, value: &str) -> Reply {
        Reply { headers: vec![(name.into(), value.into())], ..reply(body) }
    }

    fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let text = error.to_string();
        assert!(text.chars().count() < 400 && !text.contains(char::is_control), "{text}");
        text
    }

    #[test]
    fn reads_the_namespace() {
        assert_eq!(parse_namespace(&reply("\"labns\"")).unwrap(), "labns");
        assert_eq!(parse_namespace(&reply(" \"a-b_c.9\"\n")).unwrap(), "a-b_c.9");
        for body in [
            "",
            "labns",
            "\"\"",
            "\"a/b\"",
            "\"a\\nb\"",
            "[]",
            "null",
            "{\"namespace\":\"x\"}",
            "\"x\" 1",
            "<html>",
        ] {
            message(parse_namespace(&reply(body)));
        }
        message(parse_namespace(&reply(&format!("\"{}\"", "a".repeat(257)))));
    }

    #[test]
    fn reads_a_created_upload() {
        let full = r#"{"namespace":"n","bucket":"b","object":"o\u00fc","uploadId":"u-1",
            "timeCreated":"2026-03-01T12:00:00.123Z","storageTier":"Standard","news":{"x":[1]}}"#;
        assert_eq!(
            parse_created(&reply(full)).unwrap(),
            UploadEntry {
                namespace: "n".into(),
                bucket: "b".into(),
                object: "oü".into(),
                upload_id: "u-1".into(),
                created_at: Some(UnixMillis(1_772_366_400_123)),
                storage_tier: Some("Standard".into()),
            }
        );
        let bare = parse_created(&reply(r#"{"uploadId":"u","timeCreated":"yesterday","storageTier":null}"#))
            .unwrap();
        assert_eq!((bare.upload_id.as_str(), bare.created_at, bare.object.as_str()), ("u", None, ""));
        for body in [
            "{}",
            "[]",
            "null",
            r#"{"uploadId":""}"#,
            r#"{"uploadId":7}"#,
            r#"{"uploadId":null}"#,
            r#"{"uploadId":"a\nb"}"#,
            r#"{"uploadId":"a","uploadId":"b"}"#,
            r#"{"uploadId":"a","object":5}"#,
            r#"{"uploadId":"a""#,
            r#"["n","b","o","u"]"#,
        ] {
            message(parse_created(&reply(body)));
        }
        message(parse_created(&reply(&format!(r#"{{"uploadId":"{}"}}"#, "x".repeat(5000)))));
    }

    #[test]
    fn reads_parts() {
        let body = r#"[{"partNumber":10000,"etag":"e","md5":"1B2M2Y8AsgTpgAmY7PhCfg==","size":18446744073709551615},
            {"partNumber":1,"etag":"f","size":0},{"partNumber":2,"etag":"g","md5":"","size":1,"more":true}]"#;
        let page = parse_parts(&with_header(body, "opc-next-page", " p/+= ")).unwrap();
        assert_eq!(page.next.as_deref(), Some("p/+="));
        assert_eq!(page.items[0].md5.unwrap()[0], 0xd4);
        assert_eq!(page.items[0].size, u64::MAX);
        assert_eq!((page.items[1].number, page.items[1].md5, page.items[2].md5), (1, None, None));
        assert_eq!(
            parse_parts(&with_header("[]", "opc-next-page", " ")).unwrap(),
            Page { items: vec![], next: None }
        );
    }

    #[test]
    fn hostile_part_lists_are_errors() {
        let what = "the service's answer with the list of parts is not what its protocol allows";
        for (body, why) in [
            (r#"[{"partNumber":0,"etag":"e","size":1}]"#, "there is no part number 0"),
            (r#"[{"partNumber":10001,"etag":"e","size":1}]"#, "there is no part number 10001"),
            (
                r#"[{"partNumber":2,"etag":"e","size":1},{"partNumber":2,"etag":"f","size":1}]"#,
                "part 2 is in it twice",
            ),
            (r#"[{"partNumber":1,"etag":"e","md5":"xx","size":1}]"#, "an MD5 is not one"),
            (
                r#"[{"partNumber":1,"etag":"","size":1}]"#,
                "an etag is empty, too long or holds control characters",
            ),
            (r#"[{"partNumber":1,"etag":"e"}]"#, "missing field `size` at line 1 column 28"),
        ] {
            assert_eq!(message(parse_parts(&reply(body))), format!("{what}: {why}"));
        }
        let deep = "[".repeat(100_000);
        let nested = format!(r#"[{{"partNumber":1,"etag":"e","size":1,"x":{}"#, "[".repeat(1000));
        let wordy = format!(r#"[{{"partNumber":"{}"}}]"#, "y".repeat(5000));
        for body in [
            "",
            "{}",
            "null",
            "7",
            "\"x\"",
            "[7]",
            "[null]",
            "[{}",
            &deep,
            &nested,
            &wordy,
            r#"[{"partNumber":-1,"etag":"e","size":1}]"#,
            r#"[{"partNumber":1,"etag":"e","size":-1}]"#,
            r#"[{"partNumber":1.5,"etag":"e","size":1}]"#,
            r#"[{"partNumber":4294967297,"etag":"e","size":1}]"#,
            r#"[{"partNumber":1,"etag":"e","size":18446744073709551616}]"#,
            r#"[{"partNumber":"1","etag":"e","size":1}]"#,
            r#"[{"partNumber":1,"etag":["e"],"size":1}]"#,
            r#"[{"partNumber":1,"etag":"e","size":1,"size":2}]"#,
            r#"[[1,"e",null,1]]"#,
        ] {
            message(parse_parts(&reply(body)));
        }
        let huge = format!("[{}]", " ".repeat(MAX_JSON_BYTES));
        assert_eq!(message(parse_parts(&reply(&huge))), format!("{what}: it is too long"));
        let not_utf8 =
            Reply { body: b"[{\"partNumber\":1,\"etag\":\"\xff\",\"size\":1}]".to_vec(), ..reply("") };
        message(parse_parts(&not_utf8));
        message(parse_parts(&with_header("[]", "opc-next-page", &"x".repeat(5000))));
    }

    #[test]
    fn every_truncation_of_a_page_is_an_error() {
        let body = r#"[{"partNumber":1,"etag":"e","md5":"1B2M2Y8AsgTpgAmY7PhCfg==","size":10}]"#;
        for cut in 0..body.len() {
            message(parse_parts(&reply(&body[..cut])));
        }
    }

    #[test]
    fn reads_uploads() {
        let body = r#"[{"namespace":"n","bucket":"b","object":"o","uploadId":"u","timeCreated":"2026-03-01T12:00:00Z"}]"#;
        let page = parse_uploads(&reply(body)).unwrap();
        assert_eq!((page.items.len(), page.items[0].object.as_str(), page.next), (1, "o", None));
        message(parse_uploads(&reply(r#"[{"object":"o"}]"#)));
    }

    #[test]
    fn reads_facts_from_headers() {
        let headers = [
            ("etag", "e-1"),
            ("content-length", "33000000"),
            ("content-md5", "head"),
            ("last-modified", "Sun, 01 Mar 2026 12:00:00 GMT"),
            ("version-id", "v"),
            ("opc-multipart-md5", "m-4"),
            ("opc-content-crc32c", "c"),
            ("opc-content-sha256", "s256"),
            ("opc-content-sha384", "s384"),
            ("opc-multipart-sha256", "m256-4"),
            ("opc-multipart-sha384", "m384-4"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut reply = Reply { status: 200, headers, body: Vec::new() };
        let facts = object_facts(&reply);
        assert_eq!(facts.size, Some(33_000_000));
        assert_eq!(facts.content_md5.as_deref(), Some("head"));
        assert_eq!(facts.multipart_sha384.as_deref(), Some("m384-4"));
        reply.headers.push(("opc-content-md5".into(), "put".into()));
        assert_eq!(object_facts(&reply).content_md5.as_deref(), Some("put"));
        let hostile = with_header("", "etag", &format!("a\u{1b}[31m{}", "x".repeat(9999)));
        let etag = object_facts(&hostile).etag.unwrap();
        assert_eq!((etag.chars().count(), etag.contains('\u{1b}')), (MAX_FACT_CHARS, false));
        assert_eq!(object_facts(&with_header("", "etag", "  ")).etag, None);
        for size in ["-1", "", "1e3", "99999999999999999999", "1, 2"] {
            assert_eq!(object_facts(&with_header("", "content-length", size)).size, None, "{size}");
        }
    }
}
