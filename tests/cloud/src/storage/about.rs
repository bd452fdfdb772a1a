//! What a client says about an object besides its bytes: content headers, metadata, tier, conditions, checksums, keys.

use super::Object;
use super::digest::{Digests, Wanted};
use crate::http::head::Head;
use crate::http::reply::{Fail, Reply};
use crate::settings::Checks;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Prefix of metadata names, in headers and in the body of create.
const META: &str = "opc-meta-";
/// Bytes of metadata names and values together (documented limit of the service).
const MAX_METADATA_BYTES: usize = 4000;

/// Content headers, metadata and tier. Doubles as the body of CreateMultipartUpload, less the object's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) content_type: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) storage_tier: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Body of CreateMultipartUpload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateBody {
    pub(crate) object: String,
    content_type: Option<String>,
    content_language: Option<String>,
    content_encoding: Option<String>,
    content_disposition: Option<String>,
    cache_control: Option<String>,
    storage_tier: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

impl CreateBody {
    pub(crate) fn split(self) -> Result<(String, About), Fail> {
        let about = About {
            content_type: self.content_type,
            content_language: self.content_language,
            content_encoding: self.content_encoding,
            content_disposition: self.content_disposition,
            cache_control: self.cache_control,
            storage_tier: self.storage_tier,
            metadata: self.metadata.unwrap_or_default(),
        };
        about.check()?;
        Ok((self.object, about))
    }
}

impl About {
    /// From the headers of PutObject.
    pub(crate) fn from_head(head: &Head) -> Result<Self, Fail> {
        let header = |name| head.get(name).map(str::to_owned);
        let metadata = head.headers().iter().filter(|(name, _)| name.starts_with(META)).cloned().collect();
        let about = Self {
            content_type: header("content-type"),
            content_language: header("content-language"),
            content_encoding: header("content-encoding"),
            content_disposition: header("content-disposition"),
            cache_control: header("cache-control"),
            // The official Go SDK sends choices that were not made as empty headers.
            storage_tier: header("storage-tier").filter(|tier| !tier.is_empty()),
            metadata,
        };
        about.check()?;
        Ok(about)
    }

    fn check(&self) -> Result<(), Fail> {
        if let Some(tier) = &self.storage_tier
            && !matches!(tier.as_str(), "Standard" | "InfrequentAccess" | "Archive")
        {
            return Err(Fail::new(400, "InvalidStorageTier", format!("Invalid storage tier '{tier}'")));
        }
        if let Some(name) = self.metadata.keys().find(|name| !name.to_ascii_lowercase().starts_with(META)) {
            let message = format!("Metadata key '{name}' does not start with '{META}'");
            return Err(Fail::new(400, "InvalidMetadata", message));
        }
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let unclean = |text: &String| text.chars().any(char::is_control);
        if self.metadata.iter().any(|(name, value)| !name.chars().all(token) || unclean(value)) {
            return Err(Fail::new(400, "InvalidMetadata", "Metadata must be able to stand in a header"));
        }
        let texts = [
            &self.content_type,
            &self.content_language,
            &self.content_encoding,
            &self.content_disposition,
            &self.cache_control,
        ];
        if texts.into_iter().flatten().any(unclean) {
            return Err(Fail::new(400, "InvalidParameter", "A content header has control characters"));
        }
        let size: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > MAX_METADATA_BYTES {
            return Err(Fail::new(400, "MetadataTooLarge", "The metadata is larger than 4000 bytes"));
        }
        Ok(())
    }

    pub(crate) fn tier(&self) -> &str {
        self.storage_tier.as_deref().unwrap_or("Standard")
    }

    /// Adds the headers of GET and HEAD.
    pub(crate) fn describe(&self, mut reply: Reply) -> Reply {
        reply.set("content-type", self.content_type.as_deref().unwrap_or("application/octet-stream"));
        reply = reply
            .with_some("content-language", self.content_language.as_deref())
            .with_some("content-encoding", self.content_encoding.as_deref())
            .with_some("content-disposition", self.content_disposition.as_deref())
            .with_some("cache-control", self.cache_control.as_deref())
            .with("storage-tier", self.tier());
        if self.tier() == "Archive" {
            reply.set("archival-state", "Archived");
        }
        self.metadata.iter().fold(reply, |reply, (name, value)| reply.with(&name.to_ascii_lowercase(), value))
    }
}

/// `if-match` and `if-none-match` of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    must_be_new: bool,
}

impl Conditions {
    pub(crate) fn from_head(head: &Head) -> Result<Self, Fail> {
        let if_none_match = head.get("if-none-match");
        if if_none_match.is_some_and(|value| value != "*") {
            let message = "if-none-match of a write can only be '*'";
            return Err(Fail::new(400, "InvalidConditionalHeaders", message));
        }
        let if_match = head.get("if-match").map(str::to_owned);
        if if_match.is_some() && if_none_match.is_some() {
            let message = "if-match and if-none-match exclude each other";
            return Err(Fail::new(400, "InvalidConditionalHeaders", message));
        }
        Ok(Self { if_match, must_be_new: if_none_match.is_some() })
    }

    pub(crate) fn check(&self, current: Option<&Object>) -> Result<(), Fail> {
        if self.must_be_new && current.is_some() {
            let message = "The If-None-Match header is '*' but there is an existing entity";
            return Err(Fail::new(412, "IfNoneMatchFailed", message));
        }
        match &self.if_match {
            Some(wanted) if current.is_none_or(|object| object.etag != *wanted) => {
                let message = "The If-Match header does not match the current entity's etag";
                Err(Fail::new(412, "IfMatchFailed", message))
            }
            _ => Ok(()),
        }
    }
}

/// An additional checksum, as `opc-checksum-algorithm` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32c,
    Sha256,
    Sha384,
}

impl Algorithm {
    pub(crate) fn from_head(head: &Head) -> Result<Option<Self>, Fail> {
        match head.get("opc-checksum-algorithm") {
            // The official Go SDK sends an empty one where none was chosen.
            None | Some("") => Ok(None),
            Some("CRC32C") => Ok(Some(Self::Crc32c)),
            Some("SHA256") => Ok(Some(Self::Sha256)),
            Some("SHA384") => Ok(Some(Self::Sha384)),
            Some(other) => {
                Err(Fail::new(400, "InvalidParameter", format!("Unknown opc-checksum-algorithm '{other}'")))
            }
        }
    }

    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32c => "opc-content-crc32c",
            Self::Sha256 => "opc-content-sha256",
            Self::Sha384 => "opc-content-sha384",
        }
    }

    pub(crate) fn text(self, digests: &Digests) -> Option<String> {
        match self {
            Self::Crc32c => digests.crc32c_text(),
            Self::Sha256 => digests.sha256_text(),
            Self::Sha384 => digests.sha384_text(),
        }
    }
}

/// The checksums a body must have.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) algorithm: Option<Algorithm>,
    md5: Option<String>,
    value: Option<String>,
    /// A checksum header that does not count because its algorithm was not named: for the log.
    pub(crate) idle: Option<&'static str>,
}

impl Claims {
    /// Reads `Content-MD5`, `opc-checksum-algorithm` and its value. `chosen` is the algorithm named at create.
    pub(crate) fn from_head(head: &Head, chosen: Option<Algorithm>) -> Result<Self, Fail> {
        let named = Algorithm::from_head(head)?;
        if let (Some(named), Some(chosen)) = (named, chosen)
            && named != chosen
        {
            let message = "The checksum algorithm differs from the one given when the upload was created";
            return Err(Fail::new(400, "InvalidParameter", message));
        }
        let md5 = head.get("content-md5").map(str::to_owned);
        if md5.as_ref().is_some_and(|text| !is_base64_of(text, 16)) {
            return Err(Fail::new(400, "InvalidContentMD5", "The Content-MD5 is not the base64 of 16 bytes"));
        }
        let all = [Algorithm::Crc32c, Algorithm::Sha256, Algorithm::Sha384];
        let idle = all.iter().find(|one| named != Some(**one) && head.get(one.header()).is_some());
        let value = named.and_then(|named| head.get(named.header())).map(str::to_owned);
        Ok(Self { algorithm: named.or(chosen), md5, value, idle: idle.map(|one| one.header()) })
    }

    /// What has to be computed; `hash_signed` if the signature covers the body's SHA-256.
    pub(crate) fn wanted(&self, checks: Checks, hash_signed: bool) -> Wanted {
        let asked = |algorithm| checks != Checks::None && self.algorithm == Some(algorithm);
        Wanted {
            md5: checks == Checks::Md5 || (checks == Checks::Crc32c && self.md5.is_some()),
            crc32c: checks != Checks::None,
            sha256: asked(Algorithm::Sha256) || hash_signed,
            sha384: asked(Algorithm::Sha384),
        }
    }

    /// Compares what the client said with what arrived.
    pub(crate) fn compare(&self, arrived: &Digests) -> Result<(), Fail> {
        let differ = |said: &Option<String>, got: Option<String>| match (said, got) {
            (Some(said), Some(got)) if *said != got => Some((said.clone(), got)),
            _ => None,
        };
        if let Some((said, got)) = differ(&self.md5, arrived.md5_text()) {
            let message = format!(
                "The computed MD5 of the request body ({got}) does not match the Content-MD5 header ({said})"
            );
            return Err(Fail::new(400, "UnmatchedContentMD5", message));
        }
        if let Some(algorithm) = self.algorithm
            && let Some((said, got)) = differ(&self.value, algorithm.text(arrived))
        {
            let (name, code) = match algorithm {
                Algorithm::Crc32c => ("CRC32C", "UnmatchedContentCRC32C"),
                Algorithm::Sha256 => ("SHA256", "UnmatchedContentSHA256"),
                Algorithm::Sha384 => ("SHA384", "UnmatchedContentSHA384"),
            };
            let header = algorithm.header();
            let message = format!(
                "The computed {name} of the request body ({got}) does not match the {header} header ({said})"
            );
            return Err(Fail::new(400, code, message));
        }
        Ok(())
    }
}

/// The SHA-256 of a customer's key (base64), if the request brings one: all three headers, consistent.
pub(crate) fn customer_key(head: &Head) -> Result<Option<String>, Fail> {
    let header = |name| head.get(name);
    let wrong = |message: &str| Err(Fail::new(400, "InvalidParameter", message));
    match (
        header("opc-sse-customer-algorithm"),
        header("opc-sse-customer-key"),
        header("opc-sse-customer-key-sha256"),
    ) {
        (None, None, None) => Ok(None),
        (Some("AES256"), Some(key), Some(sha256)) => {
            if head.get("opc-sse-kms-key-id").is_some() {
                return wrong("A customer key and a KMS key exclude each other");
            }
            match STANDARD.decode(key) {
                Ok(raw) if raw.len() == 32 && STANDARD.encode(Sha256::digest(&raw)) == sha256 => {
                    Ok(Some(sha256.to_owned()))
                }
                Ok(raw) if raw.len() == 32 => wrong("opc-sse-customer-key-sha256 is not the hash of the key"),
                _ => wrong("opc-sse-customer-key is not the base64 of 32 bytes"),
            }
        }
        (Some("AES256"), _, _) => wrong("opc-sse-customer-key and -key-sha256 must both be given"),
        _ => wrong("opc-sse-customer-algorithm must be AES256"),
    }
}

/// Refuses a request whose customer key is not the one the object or upload was made with.
pub(crate) fn check_customer_key(given: Option<&str>, stored: Option<&str>) -> Result<(), Fail> {
    match (given, stored) {
        (given, stored) if given == stored => Ok(()),
        (None, Some(_)) => Err(Fail::new(400, "InvalidParameter", "A customer key is needed and not given")),
        (Some(_), None) => Err(Fail::new(400, "InvalidParameter", "A customer key is given and not needed")),
        _ => Err(Fail::new(400, "InvalidParameter", "The customer key is not the one used before")),
    }
}

fn is_base64_of(text: &str, bytes: usize) -> bool {
    STANDARD.decode(text).is_ok_and(|raw| raw.len() == bytes)
}
