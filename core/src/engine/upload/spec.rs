//! What a caller wants uploaded, parsed into types that cannot be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::secret::Secret;

/// Where the object goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Object Storage namespace.
    pub namespace: String,
    /// Bucket name.
    pub bucket: String,
    /// Object name: 1 to 1024 bytes of UTF-8 without NUL, CR or LF, and neither `.` nor `..`.
    pub object: String,
}

/// What the source is, to notice that it became another. Times alone prove nothing; they catch the common case cheaply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Absolute path, or a caller's name for buffers and streams.
    pub name: String,
    /// Bytes; `None` for a stream of unknown length.
    pub size: Option<u64>,
    /// Modification time, nanoseconds since 1970; 0 where there is none.
    #[serde(with = "nanos")]
    pub modified_ns: i128,
    /// Device and inode, 0 where there are none.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
}

/// Nanoseconds as text: the journal's records are tagged, and serde reads no 128-bit numbers in those.
mod nanos {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whether and how bytes are compared with what the service stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// Checksums are computed here while sending and compared with each reply and with the object.
    #[default]
    Verify,
    /// Nothing is computed or compared.
    Off,
}

/// The additional checksum asked of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumAlgorithm {
    /// CRC-32C; the default, since it combines over parts and is nearly free.
    #[serde(rename = "CRC32C")]
    Crc32c,
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
    /// SHA-384.
    #[serde(rename = "SHA384")]
    Sha384,
}

/// The object's tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StorageTier {
    /// Standard
    Standard,
    /// InfrequentAccess
    InfrequentAccess,
    /// Archive
    Archive,
}

impl StorageTier {
    /// The wire spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            StorageTier::Standard => "Standard",
            StorageTier::InfrequentAccess => "InfrequentAccess",
            StorageTier::Archive => "Archive",
        }
    }
}

/// A precondition on the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precondition {
    /// Whatever is there is replaced.
    #[default]
    None,
    /// The object must not exist (`if-none-match: *`).
    Absent,
    /// The object must have this etag (`if-match`).
    Etag(String),
}

/// A customer-provided encryption key (SSE-C).
#[derive(Clone, Debug)]
pub struct CustomerKey {
    /// Base64 of the 32 raw bytes.
    pub key: Secret<String>,
    /// Base64 of the key's SHA-256.
    pub key_sha256: String,
}

/// The object's properties, as headers of a single put or fields of the create body.
#[derive(Clone, Debug, Default)]
pub struct ObjectProperties {
    /// `content-type`
    pub content_type: Option<String>,
    /// `content-language`
    pub content_language: Option<String>,
    /// `content-encoding`
    pub content_encoding: Option<String>,
    /// `content-disposition`
    pub content_disposition: Option<String>,
    /// `cache-control`
    pub cache_control: Option<String>,
    /// `storage-tier`; the bucket's tier when absent.
    pub storage_tier: Option<StorageTier>,
    /// Metadata, names without the `opc-meta-` prefix, lower case.
    pub metadata: BTreeMap<String, String>,
    /// `opc-sse-kms-key-id`
    pub kms_key_id: Option<String>,
    /// SSE-C.
    pub customer_key: Option<CustomerKey>,
    /// `Content-MD5` the caller vouches for (base64); single put only.
    pub content_md5: Option<String>,
    /// `opc-content-crc32c` / `-sha256` / `-sha384` the caller vouches for (base64); single put only.
    pub content_checksum: Option<(ChecksumAlgorithm, String)>,
}

impl ObjectProperties {
    /// Whether the caller vouches for a checksum of the whole object, which goes with a single put only.
    pub fn is_vouched(&self) -> bool {
        self.content_md5.is_some() || self.content_checksum.is_some()
    }
}

/// What becomes of a multipart upload that fails or is cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Keep it: the same call resumes.
    #[default]
    Retain,
    /// Abort it at the service.
    Abort,
}

/// [`UploadOptions::parallel`] where the number is to be found out ([`UploadOptions::adaptive`]): so many requests share 64 MiB
/// of memory.
pub const PARALLEL_AUTO: u32 = 100;

/// How an upload is carried out.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Wanted part size in bytes; raised when the source would need more than 10,000 parts.
    pub part_size: u64,
    /// Requests in flight, 1 to 1,000.
    pub parallel: u32,
    /// Find out how many requests in flight the link can use, `parallel` being the most. Fewer when the service answers
    /// 429 or 503.
    pub adaptive: bool,
    /// Send as one request whatever the size.
    pub single: bool,
    /// Whether bytes are compared.
    pub integrity: Integrity,
    /// The additional checksum asked of the service; CRC32C unless the caller chose another.
    pub checksum: ChecksumAlgorithm,
    /// Compute and compare MD5 of every part as well. Without it MD5 is used where the service reports nothing better.
    pub also_md5: bool,
    /// The precondition.
    pub precondition: Precondition,
    /// The object's properties.
    pub properties: ObjectProperties,
    /// What becomes of it on failure.
    pub on_failure: OnFailure,
    /// Attempts of one part or of the commit before its failure is final; refusals (401) do not count. The default
    /// of 60 is the official command line's, and with waits of up to 30 s sits out an outage of a quarter of an hour.
    pub max_attempts: u32,
}

impl Default for UploadOptions {
    fn default() -> Self {
        UploadOptions {
            part_size: 128 << 20,
            parallel: 10,
            adaptive: false,
            single: false,
            integrity: Integrity::Verify,
            checksum: ChecksumAlgorithm::Crc32c,
            also_md5: false,
            precondition: Precondition::None,
            properties: ObjectProperties::default(),
            on_failure: OnFailure::Retain,
            max_attempts: 60,
        }
    }
}

/// A whole upload: where, what, how.
#[derive(Clone, Debug)]
pub struct UploadSpec {
    /// Where.
    pub target: Target,
    /// What, as seen at the start.
    pub source: SourceIdentity,
    /// How.
    pub options: UploadOptions,
}

/// Longest wait without progress that a driver allows, by default.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);
