//! What `outlast put` is to do, read from its flags before anything is sent. No driver here: `outlast-wasm` (in `wasm-host`)
//! uses this file too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use outlast_core::engine::secret::Secret;
use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, CustomerKey, Integrity, ObjectProperties, OnFailure, PARALLEL_AUTO, Precondition,
    StorageTier, UploadOptions,
};
use outlast_core::engine::wire::oci;
use serde_json::Value;

use crate::args::{Checking, Parallel, PutArgs, SumAlgorithm, Tier};
use crate::exit::{Failure, Outcome};
use crate::json_input;
use crate::words;

const MIB: u64 = 1 << 20;
/// Default part size of files. Source: the official command line.
const FILE_PART_MIB: u64 = 128;
/// Default part size of streams, which are held in memory part by part. Source: the official command line.
const STREAM_PART_MIB: u64 = 10;
/// Default number of requests in flight. Source: the official command line.
const PARALLEL: u32 = 10;
/// Longest key file that is read, bytes; a key has 44.
const MOST_KEY_BYTES: u64 = 4096;

/// What is uploaded.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A regular file.
    File {
        /// As the user named it.
        path: PathBuf,
        /// Bytes.
        size: u64,
    },
    /// Something that can be read once: a FIFO or a device.
    Pipe(PathBuf),
    /// The standard input.
    Stdin,
}

/// Everything but the namespace and the session.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) bucket: String,
    pub(crate) object: String,
    pub(crate) options: UploadOptions,
}

impl Source {
    fn look(path: &Path) -> Outcome<Source> {
        if path == Path::new("-") {
            return Ok(Source::Stdin);
        }
        let failed = |why: &str| Failure::usage(format!("--file {} cannot be read: {why}", path.display()));
        let told = |error: io::Error| failed(&words::trouble(&error));
        let facts = std::fs::metadata(path).map_err(told)?;
        if facts.is_dir() {
            return Err(failed("it is a directory; name one file, or send `tar c` through --file -"));
        }
        if facts.file_type().is_socket() {
            return Err(failed("it is a socket"));
        }
        if !facts.is_file() {
            return Ok(Source::Pipe(path.to_owned()));
        }
        File::open(path).map_err(told)?;
        Ok(Source::File { path: path.to_owned(), size: facts.len() })
    }

    /// Bytes, if known beforehand.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Source::File { size, .. } => Some(*size),
            Source::Pipe(_) | Source::Stdin => None,
        }
    }

    /// Words for it.
    pub(crate) fn name(&self) -> String {
        match self {
            Source::File { path, .. } | Source::Pipe(path) => path.display().to_string(),
            Source::Stdin => "stdin".into(),
        }
    }

    /// The name journals know it by: absolute, links not resolved.
    pub(crate) fn journal_name(&self) -> Option<String> {
        match self {
            Source::File { path, .. } => {
                std::path::absolute(path).ok().map(|path| path.display().to_string())
            }
            Source::Pipe(_) | Source::Stdin => None,
        }
    }
}

impl Plan {
    /// Reads the flags; looks at the file and at the key file, and at nothing else. Tells warnings line by line.
    ///
    /// Errors: usage, in one line that says what would be right.
    pub(crate) fn read(args: &PutArgs, warn: &dyn Fn(&str)) -> Outcome<Plan> {
        let file = args.file.as_deref().ok_or_else(|| Failure::usage("--file is missing"))?;
        let bucket =
            args.bucket_name.clone().ok_or_else(|| Failure::usage("--bucket-name (-bn) is missing"))?;
        let source = Source::look(file)?;
        let object = object_name(args.name.as_deref(), &source)?;
        let streams = source.size().is_none();
        if args.no_multipart && streams {
            return Err(Failure::usage(
                "--no-multipart needs a file: a stream's length is not known beforehand",
            ));
        }
        let part_size = args.part_size.unwrap_or(if streams { STREAM_PART_MIB } else { FILE_PART_MIB }) * MIB;
        let single = args.no_multipart || source.size().is_some_and(|size| size <= part_size);
        let (checksum, vouched) = vouched_checksum(args)?;
        let mut properties = properties(args, &source, &object)?;
        properties.content_checksum = vouched;
        if single && args.parallel_upload_count.is_some() {
            warn("Warning: the file goes in one request, so --parallel-upload-count is ignored");
        }
        if !single && properties.is_vouched() {
            warn(
                "Warning: checksums of the whole file (--content-md5, --opc-content-*) go with a single put only; ignored",
            );
            properties.content_md5 = None;
            properties.content_checksum = None;
        }
        let integrity = match args.integrity {
            Checking::Verify => Integrity::Verify,
            Checking::Off if args.verify_checksum => {
                return Err(Failure::usage("--verify-checksum and --integrity off exclude each other"));
            }
            Checking::Off => Integrity::Off,
        };
        // The etag of a look at the object takes this place later, if there was one.
        let precondition = args.if_match.clone().map_or(Precondition::None, Precondition::Etag);
        oci::check_properties(&properties, &precondition, single)?;
        let attempts =
            if args.connect.no_retry { 1 } else { args.connect.max_retries.map_or(8, |retries| retries + 1) };
        let options = UploadOptions {
            part_size,
            parallel: match args.parallel_upload_count {
                _ if args.disable_parallel_uploads => 1,
                Some(Parallel::Count(count)) => count,
                Some(Parallel::Auto) => PARALLEL_AUTO,
                None => PARALLEL,
            },
            adaptive: args.parallel_upload_count == Some(Parallel::Auto),
            single: args.no_multipart,
            integrity,
            checksum,
            also_md5: args.verify_checksum,
            precondition,
            properties,
            on_failure: if args.abort_on_failure || streams { OnFailure::Abort } else { OnFailure::Retain },
            max_attempts: attempts,
        };
        Ok(Plan { source, bucket, object, options })
    }
}

fn object_name(given: Option<&str>, source: &Source) -> Outcome<String> {
    let name = match (given, source) {
        (Some(name), _) => name.to_owned(),
        (None, Source::Stdin) => {
            return Err(Failure::usage("--name is missing: stdin has no name to call the object by"));
        }
        (None, Source::File { path, .. } | Source::Pipe(path)) => {
            let name = path.file_name().and_then(|name| name.to_str());
            name.ok_or_else(|| {
                Failure::usage("--name is missing: the file's own name cannot be an object name")
            })?
            .to_owned()
        }
    };
    let probe = outlast_core::engine::upload::spec::Target {
        namespace: "n".into(),
        bucket: "b".into(),
        object: name.clone(),
    };
    oci::check_target(&probe)?;
    Ok(name)
}

fn properties(args: &PutArgs, source: &Source, object: &str) -> Outcome<ObjectProperties> {
    let content_type = match args.content_type.as_deref() {
        // Of the file's name, or the object's when there is no file.
        Some("auto") => {
            let name =
                if let Source::File { path, .. } = source { path.as_path() } else { Path::new(object) };
            mime_guess::from_path(name).first_raw().map(str::to_owned)
        }
        given => given.map(str::to_owned),
    };
    Ok(ObjectProperties {
        content_type,
        content_language: args.content_language.clone(),
        content_encoding: args.content_encoding.clone(),
        content_disposition: args.content_disposition.clone(),
        cache_control: args.cache_control.clone(),
        storage_tier: args.storage_tier.map(|tier| match tier {
            Tier::Standard => StorageTier::Standard,
            Tier::InfrequentAccess => StorageTier::InfrequentAccess,
            Tier::Archive => StorageTier::Archive,
        }),
        metadata: args.metadata.as_deref().map(metadata).transpose()?.unwrap_or_default(),
        kms_key_id: args.opc_sse_kms_key_id.clone(),
        customer_key: args.encryption_key_file.as_deref().map(customer_key).transpose()?,
        content_md5: args.content_md5.clone(),
        content_checksum: None,
    })
}

/// The additional checksum, and the value of it the user vouches for.
fn vouched_checksum(args: &PutArgs) -> Outcome<(ChecksumAlgorithm, Option<(ChecksumAlgorithm, String)>)> {
    let asked = args.opc_checksum_algorithm.map(|algorithm| match algorithm {
        SumAlgorithm::Crc32c => ChecksumAlgorithm::Crc32c,
        SumAlgorithm::Sha256 => ChecksumAlgorithm::Sha256,
        SumAlgorithm::Sha384 => ChecksumAlgorithm::Sha384,
    });
    let given = [
        (ChecksumAlgorithm::Crc32c, args.opc_content_crc32c.clone()),
        (ChecksumAlgorithm::Sha256, args.opc_content_sha256.clone()),
        (ChecksumAlgorithm::Sha384, args.opc_content_sha384.clone()),
    ];
    Ok(oci::vouched_checksum(asked, given)?)
}

/// `{"name": "text"}`; names are taken with and without `opc-meta-`.
fn metadata(json: &str) -> Outcome<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for (name, value) in json_input::object("--metadata", json)? {
        let Value::String(text) = value else {
            return Err(Failure::usage(format!(
                "--metadata: the value of \"{name}\" must be a text in quotes"
            )));
        };
        let lower = name.to_lowercase();
        let bare = lower.strip_prefix("opc-meta-").unwrap_or(&lower).to_owned();
        if pairs.insert(bare, text).is_some() {
            return Err(Failure::usage(format!("--metadata: \"{name}\" is given twice")));
        }
    }
    Ok(pairs)
}

fn customer_key(path: &Path) -> Outcome<CustomerKey> {
    let failed =
        |why: &str| Failure::usage(format!("--encryption-key-file {} cannot be read: {why}", path.display()));
    let facts = std::fs::metadata(path).map_err(|error| failed(&words::trouble(&error)))?;
    if facts.len() > MOST_KEY_BYTES {
        return Err(failed("it is too long to hold the base64 of 32 bytes"));
    }
    let text = Secret::new(std::fs::read_to_string(path).map_err(|error| failed(&words::trouble(&error)))?);
    oci::customer_key(text.expose())
        .map_err(|error| Failure::usage(format!("--encryption-key-file: {error}")))
}
