//! Replies, read with distrust: sizes, types and counts are checked, foreign text is made harmless.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPart {
    part_number: u32,
    etag: String,
    #[serde(default)]
    md5: Option<String>,
    size: u64,
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
