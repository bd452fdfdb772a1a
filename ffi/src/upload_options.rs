//! What is to be uploaded, where to and how: the option structs and their way into the core's types.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::File;
use std::os::fd::BorrowedFd;

use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, CustomerKey, Integrity, ObjectProperties, OnFailure, PARALLEL_AUTO, Precondition,
    StorageTier, Target, UploadOptions,
};
use outlast_core::engine::wire::oci;
use outlast_core::native::{Bytes, UploadSource};
use outlast_core::{Error, ErrorKind};

use crate::client::truth;
use crate::guard::Failure;
use crate::handle;
use crate::host::{HostBytes, HostData, HostReader, outlast_free_fn, outlast_read_fn};
use crate::queue::outlast_queue;
use crate::session::secret;
use crate::view::{self, Sized1, outlast_str};
use crate::writer::outlast_writer;

/// `file` names a file; FIFOs and devices are read as streams.
pub const OUTLAST_SOURCE_PATH: u32 = 1;
/// `fd` is an open file, read by position from its beginning; a pipe is read as a stream. It is duplicated.
pub const OUTLAST_SOURCE_FD: u32 = 2;
/// `bytes` are the object; they must not change until `free_fn` has been called.
pub const OUTLAST_SOURCE_BYTES: u32 = 3;
/// `read_fn` gives the bytes, once and in order.
pub const OUTLAST_SOURCE_READ: u32 = 4;
/// `writer` takes the bytes, once and in order.
pub const OUTLAST_SOURCE_WRITER: u32 = 5;

/// Checksums are computed while sending and compared with the service's; the default.
pub const OUTLAST_INTEGRITY_VERIFY: u32 = 1;
/// Nothing is computed or compared.
pub const OUTLAST_INTEGRITY_OFF: u32 = 2;

/// As many requests in flight as the link turns out to use; the engine finds out by measuring.
pub const OUTLAST_PARALLEL_AUTO: u32 = 4_294_967_295;

/// CRC-32C, the default.
pub const OUTLAST_CHECKSUM_CRC32C: u32 = 1;
/// SHA-256.
pub const OUTLAST_CHECKSUM_SHA256: u32 = 2;
/// SHA-384.
pub const OUTLAST_CHECKSUM_SHA384: u32 = 3;

/// What fails or is cancelled stays at the service and can be resumed; the default.
pub const OUTLAST_ON_FAILURE_RETAIN: u32 = 1;
/// What fails or is cancelled is aborted at the service.
pub const OUTLAST_ON_FAILURE_ABORT: u32 = 2;

/// A name and a value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_pair {
    /// Name.
    pub name: outlast_str,
    /// Value.
    pub value: outlast_str,
}

/// One upload. Zero means default; names are those of the command line's flags where there is one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_upload_options {
    /// `sizeof(outlast_upload_options)`
    pub size: usize,
    /// `--namespace`; needed. See `outlast_session_namespace`.
    pub namespace_name: outlast_str,
    /// `--bucket-name`; needed.
    pub bucket_name: outlast_str,
    /// `--name` of the object; not given: the last piece of `file`.
    pub name: outlast_str,

    /// `OUTLAST_SOURCE_*`; needed.
    pub source: u32,
    /// The descriptor, for `OUTLAST_SOURCE_FD`.
    pub fd: i32,
    /// Path, for `OUTLAST_SOURCE_PATH`. For the other sources: their name in messages, by which an interrupted upload is
    /// found again; the same name for the same bytes.
    pub file: outlast_str,
    /// The bytes, for `OUTLAST_SOURCE_BYTES`.
    pub bytes: outlast_str,
    /// The function, for `OUTLAST_SOURCE_READ`.
    pub read_fn: outlast_read_fn,
    /// Given to `read_fn`, and to `free_fn`.
    pub source_data: *mut c_void,
    /// Called with `source_data` exactly once, when `read_fn` or `bytes` will not be used any more, also when
    /// `outlast_upload_start` fails; may be NULL.
    pub free_fn: outlast_free_fn,
    /// The writer, for `OUTLAST_SOURCE_WRITER`.
    pub writer: *mut outlast_writer,

    /// `--part-size`, but in bytes; 0: 128 MiB. Raised by itself when the source would need more than 10,000 parts.
    pub part_size_bytes: u64,
    /// `--parallel-upload-count`, 1 to 1,000; 0: 10. `OUTLAST_PARALLEL_AUTO`: as many as the link turns out to use, at most 100.
    pub parallel_upload_count: u32,
    /// `--no-multipart`: 1: one request whatever the size.
    pub no_multipart: u32,
    /// `--integrity`: `OUTLAST_INTEGRITY_*`
    pub integrity: u32,
    /// `--opc-checksum-algorithm`: `OUTLAST_CHECKSUM_*`; 0: that of the `opc_content_*` that is given, else CRC-32C.
    pub opc_checksum_algorithm: u32,
    /// `--verify-checksum`: 1: MD5 of every part is compared as well, at the price of computing it.
    pub verify_checksum: u32,
    /// `--no-overwrite`: 1: fail with `PRECONDITION` if the object exists.
    pub no_overwrite: u32,
    /// `--abort-on-failure`, or not: `OUTLAST_ON_FAILURE_*`
    pub on_failure: u32,
    /// `--max-retries` of one part or request before its failure is final; 0: 59. Refusals (401) do not count.
    pub max_retries: u32,
    /// `--no-retry`: 1: send every request once; refused credentials are still replaced.
    pub no_retry: u32,
    /// `--restart`: 1: abort what an earlier run left and begin anew.
    pub restart: u32,
    /// Shortest time between progress events, milliseconds; 0: 250. `UINT32_MAX`: none are told.
    pub progress_interval_ms: u32,
    /// Always 0.
    pub reserved: u32,
    /// `--if-match`: fail with `PRECONDITION` unless the object has this etag.
    pub if_match: outlast_str,
    /// `--content-type`
    pub content_type: outlast_str,
    /// `--content-language`
    pub content_language: outlast_str,
    /// `--content-encoding`
    pub content_encoding: outlast_str,
    /// `--content-disposition`
    pub content_disposition: outlast_str,
    /// `--cache-control`
    pub cache_control: outlast_str,
    /// `--storage-tier`: `Standard`, `InfrequentAccess` or `Archive`; not given: the bucket's.
    pub storage_tier: outlast_str,
    /// `--opc-sse-kms-key-id`
    pub opc_sse_kms_key_id: outlast_str,
    /// What `--encryption-key-file` holds: base64 of a customer's 32 bytes; a secret.
    pub encryption_key: outlast_str,
    /// Base64 of that key's SHA-256.
    pub encryption_key_sha256: outlast_str,
    /// `--content-md5`: base64 of the MD5 that the object must have: the service stores nothing else, and the upload fails with
    /// `INTEGRITY`. Goes with a single put only; an object that is sent in parts is refused with `INVALID`.
    pub content_md5: outlast_str,
    /// `--opc-content-crc32c`: the same of the CRC-32C, big-endian. At most one of these three is given, and of the algorithm
    /// that `opc_checksum_algorithm` names, if it names one.
    pub opc_content_crc32c: outlast_str,
    /// `--opc-content-sha256`: the same of the SHA-256.
    pub opc_content_sha256: outlast_str,
    /// `--opc-content-sha384`: the same of the SHA-384.
    pub opc_content_sha384: outlast_str,
    /// `--metadata`: names without `opc-meta-`.
    pub metadata: *const outlast_pair,
    /// How many.
    pub metadata_count: usize,

    /// A queue for the events of this upload and its session; NULL: the client's.
    pub events: *mut outlast_queue,
    /// Given back in the upload's events.
    pub user_data: *mut c_void,
}

// SAFETY: repr(C), size first; integers, pointers that may be NULL, optional functions.
unsafe impl Sized1 for outlast_upload_options {
    const LEAST: usize = size_of::<outlast_upload_options>();
    const NAME: &'static str = "outlast_upload_options";
}

/// A choice of an option struct: 0 is the default.
fn choice<T: Copy>(value: u32, default: T, choices: &[(u32, T)], what: &str) -> Result<T, Failure> {
    if value == 0 {
        return Ok(default);
    }
    let found = choices.iter().find(|(number, _)| *number == value);
    found.map(|(_, choice)| *choice).ok_or_else(|| Failure::invalid(&format!("{what} has no value {value}")))
}

/// `OUTLAST_ON_FAILURE_*`
pub(crate) fn on_failure(value: u32) -> Result<OnFailure, Failure> {
    let choices =
        [(OUTLAST_ON_FAILURE_RETAIN, OnFailure::Retain), (OUTLAST_ON_FAILURE_ABORT, OnFailure::Abort)];
    choice(value, OnFailure::Retain, &choices, "on_failure")
}

impl outlast_upload_options {
    /// Takes the source out of the options. Called first and once: from here on the host's data is freed by us, whatever
    /// happens.
    pub(crate) fn host_data(&self) -> HostData {
        HostData::new(self.source_data, self.free_fn)
    }

    /// Where the object goes.
    ///
    /// # Safety
    /// As `view::text` for all texts.
    pub(crate) unsafe fn target(&self) -> Result<Target, Failure> {
        let needed = |text: Option<&str>, what: &str| {
            text.map(str::to_owned).ok_or_else(|| Failure::invalid(&format!("{what} is missing")))
        };
        // SAFETY: the caller's promise is the same.
        let (namespace, bucket, object, file) = unsafe {
            (
                view::text(self.namespace_name, "namespace_name")?,
                view::text(self.bucket_name, "bucket_name")?,
                view::text(self.name, "name")?,
                view::bytes(self.file)?,
            )
        };
        let last = (self.source == OUTLAST_SOURCE_PATH).then(|| {
            file.rsplit(|byte| *byte == b'/').next().and_then(|last| std::str::from_utf8(last).ok())
        });
        Ok(Target {
            namespace: needed(namespace, "namespace_name")?,
            bucket: needed(bucket, "bucket_name")?,
            object: needed(object.or(last.flatten().filter(|last| !last.is_empty())), "name")?,
        })
    }

    /// The bytes.
    ///
    /// # Safety
    /// As `view::text` for all texts; `bytes` until `free_fn` is called.
    pub(crate) unsafe fn read_source(&self, data: HostData) -> Result<UploadSource, Failure> {
        // SAFETY: the caller's promise is the same.
        let (path, bytes) = unsafe { (view::path(self.file, "file")?, view::bytes(self.bytes)?) };
        let name = || path.as_ref().map(|path| path.display().to_string());
        match self.source {
            OUTLAST_SOURCE_PATH => {
                Ok(UploadSource::Path(path.ok_or_else(|| Failure::invalid("file is missing"))?))
            }
            OUTLAST_SOURCE_FD => {
                let file = duplicate(self.fd)?;
                Ok(UploadSource::File { file, name: name().unwrap_or_else(|| "descriptor".into()) })
            }
            OUTLAST_SOURCE_BYTES => {
                let shared = match bytes.len() {
                    0 => Bytes::new(),
                    // SAFETY: the caller promises that the bytes live and stay until `free_fn` is called.
                    len => Bytes::from_owner(unsafe { HostBytes::new(bytes.as_ptr(), len, data) }),
                };
                Ok(UploadSource::Bytes { bytes: shared, name: name().unwrap_or_else(|| "buffer".into()) })
            }
            OUTLAST_SOURCE_READ => {
                let reader = HostReader::new(self.read_fn, data);
                let reader = Box::new(reader.ok_or_else(|| Failure::invalid("read_fn is NULL"))?);
                Ok(UploadSource::Reader { reader, name: name().unwrap_or_else(|| "stream".into()) })
            }
            OUTLAST_SOURCE_WRITER => {
                let reader = Box::new(handle::get(self.writer)?.reader()?);
                Ok(UploadSource::Reader { reader, name: name().unwrap_or_else(|| "stream".into()) })
            }
            other => Err(Failure::invalid(&format!("source has no value {other}"))),
        }
    }

    /// How it is carried out.
    ///
    /// # Safety
    /// As `view::text` for all texts and the metadata.
    pub(crate) unsafe fn options(&self) -> Result<UploadOptions, Failure> {
        let defaults = UploadOptions::default();
        let integrities =
            [(OUTLAST_INTEGRITY_VERIFY, Integrity::Verify), (OUTLAST_INTEGRITY_OFF, Integrity::Off)];
        if self.reserved != 0 {
            return Err(Failure::invalid("reserved is not 0"));
        }
        // SAFETY: the caller's promise is the same.
        let (if_match, (checksum, content_checksum), properties) =
            unsafe { (view::text(self.if_match, "if_match")?, self.checksum()?, self.properties()?) };
        let integrity = choice(self.integrity, Integrity::Verify, &integrities, "integrity")?;
        let also_md5 = truth(self.verify_checksum, "verify_checksum")?;
        if also_md5 && integrity == Integrity::Off {
            return Err(Failure::invalid("verify_checksum does not go with OUTLAST_INTEGRITY_OFF"));
        }
        let precondition = match (if_match, truth(self.no_overwrite, "no_overwrite")?) {
            (Some(_), true) => return Err(Failure::invalid("if_match and no_overwrite exclude each other")),
            (Some(etag), false) => Precondition::Etag(etag.to_owned()),
            (None, true) => Precondition::Absent,
            (None, false) => Precondition::None,
        };
        Ok(UploadOptions {
            part_size: if self.part_size_bytes == 0 { defaults.part_size } else { self.part_size_bytes },
            parallel: match self.parallel_upload_count {
                OUTLAST_PARALLEL_AUTO => PARALLEL_AUTO,
                0 => defaults.parallel,
                count => count,
            },
            adaptive: self.parallel_upload_count == OUTLAST_PARALLEL_AUTO,
            single: truth(self.no_multipart, "no_multipart")?,
            integrity,
            checksum,
            also_md5,
            precondition,
            properties: ObjectProperties { content_checksum, ..properties },
            on_failure: on_failure(self.on_failure)?,
            max_attempts: match (self.max_retries, truth(self.no_retry, "no_retry")?) {
                (0, false) => defaults.max_attempts,
                (0, true) => 1,
                (retries, false) => retries.saturating_add(1),
                (_, true) => return Err(Failure::invalid("max_retries and no_retry exclude each other")),
            },
        })
    }

    /// The additional checksum to ask of the service, and the one that the caller vouches for.
    unsafe fn checksum(&self) -> Result<(ChecksumAlgorithm, Option<(ChecksumAlgorithm, String)>), Failure> {
        use ChecksumAlgorithm::{Crc32c, Sha256, Sha384};
        // SAFETY: the caller's promise is the same.
        let text = |view, what| unsafe { view::text(view, what) }.map(|text| text.map(str::to_owned));
        let choices = [
            (OUTLAST_CHECKSUM_CRC32C, Some(Crc32c)),
            (OUTLAST_CHECKSUM_SHA256, Some(Sha256)),
            (OUTLAST_CHECKSUM_SHA384, Some(Sha384)),
        ];
        let asked = choice(self.opc_checksum_algorithm, None, &choices, "opc_checksum_algorithm")?;
        let given = [
            (Crc32c, text(self.opc_content_crc32c, "opc_content_crc32c")?),
            (Sha256, text(self.opc_content_sha256, "opc_content_sha256")?),
            (Sha384, text(self.opc_content_sha384, "opc_content_sha384")?),
        ];
        Ok(oci::vouched_checksum(asked, given)?)
    }

    unsafe fn properties(&self) -> Result<ObjectProperties, Failure> {
        // SAFETY: the caller's promise is the same.
        let text = |view, what| unsafe { view::text(view, what) }.map(|text| text.map(str::to_owned));
        let storage_tier = match text(self.storage_tier, "storage_tier")?.as_deref() {
            None => None,
            Some("Standard") => Some(StorageTier::Standard),
            Some("InfrequentAccess") => Some(StorageTier::InfrequentAccess),
            Some("Archive") => Some(StorageTier::Archive),
            Some(_) => {
                return Err(Failure::invalid("storage_tier is none of Standard, InfrequentAccess, Archive"));
            }
        };
        // SAFETY: the caller's promise is the same.
        let key = unsafe { secret(self.encryption_key, "encryption_key") }?;
        let customer_key = match (key, text(self.encryption_key_sha256, "encryption_key_sha256")?) {
            (None, None) => None,
            (Some(key), Some(key_sha256)) => Some(CustomerKey { key, key_sha256 }),
            _ => return Err(Failure::invalid("encryption_key and encryption_key_sha256 belong together")),
        };
        Ok(ObjectProperties {
            content_type: text(self.content_type, "content_type")?,
            content_language: text(self.content_language, "content_language")?,
            content_encoding: text(self.content_encoding, "content_encoding")?,
            content_disposition: text(self.content_disposition, "content_disposition")?,
            cache_control: text(self.cache_control, "cache_control")?,
            storage_tier,
            // SAFETY: the caller's promise is the same.
            metadata: unsafe { self.metadata() }?,
            kms_key_id: text(self.opc_sse_kms_key_id, "opc_sse_kms_key_id")?,
            customer_key,
            content_md5: text(self.content_md5, "content_md5")?,
            content_checksum: None,
        })
    }

    unsafe fn metadata(&self) -> Result<BTreeMap<String, String>, Failure> {
        // SAFETY: the caller's promise is the same.
        let pairs = unsafe { view::items(self.metadata, self.metadata_count) }?;
        let mut metadata = BTreeMap::new();
        for pair in pairs {
            // SAFETY: the caller's promise is the same.
            let (name, value) = unsafe {
                (view::text(pair.name, "metadata name")?, view::text(pair.value, "metadata value")?)
            };
            let name = name.ok_or_else(|| Failure::invalid("a metadata name is missing"))?.to_lowercase();
            metadata.insert(name, value.unwrap_or_default().to_owned());
        }
        Ok(metadata)
    }
}

fn duplicate(fd: i32) -> Result<File, Failure> {
    let bad = |why: String| {
        Failure::from(Error::new(ErrorKind::Source, format!("descriptor {fd} cannot be used: {why}")))
    };
    if fd < 0 {
        return Err(Failure::invalid("fd is below 0"));
    }
    // SAFETY: not -1; the number is only given to the system, which says whether it is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map(File::from).map_err(|error| bad(error.to_string()))
}
