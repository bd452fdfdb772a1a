//! `outlast-wasm put`

use std::collections::BTreeMap;
use std::path::Path;

use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, Integrity, ObjectProperties, OnFailure, Precondition, StorageTier, Target,
    UploadOptions,
};
use outlast_core::engine::wire::oci;
use outlast_core::engine::wire::oci::ObjectFacts;
use outlast_core::{Error, ErrorKind};
use outlast_wasm_host::{Notices, Outcome, Upload, UploadSource};
use serde_json::{Map, Value};

use crate::args::{Checking, PutArgs, SumAlgorithm, Tier};
use crate::connect;

const MIB: u64 = 1 << 20;

/// Uploads; the result goes to stdout, in the official command line's words.
pub(crate) fn run(args: &PutArgs) -> Result<(), Error> {
    let settings = connect::settings(args)?;
    let (target, options) = (target(args)?, options(args)?);
    let client = connect::client(args, &settings)?;
    let notices = client.subscribe();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal, format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        let session = client.session(connect::session(args, &settings)?).await?;
        let source = UploadSource::Path(args.file.clone());
        let upload = client.upload(&session, source, target, options).await?;
        tokio::select! {
            outcome = finish(&upload, args) => outcome,
            () = tell(notices, args.debug) => upload.wait().await,
        }
    })?;
    eprintln!("outlast-wasm: {}", summary(&outcome));
    let json = serde_json::to_string_pretty(&result(&outcome.facts));
    println!("{}", json.expect("texts are JSON"));
    Ok(())
}

/// Waits for the end; the first Ctrl-C puts the upload to rest.
async fn finish(upload: &Upload, args: &PutArgs) -> Result<Outcome, Error> {
    let on_failure = if args.abort_on_failure { OnFailure::Abort } else { OnFailure::Retain };
    let outcome = tokio::select! {
        outcome = upload.wait() => return outcome,
        asked = tokio::signal::ctrl_c() => match asked {
            Ok(()) => {
                upload.cancel(on_failure);
                upload.wait().await
            }
            // Without a handler the signal ends the process, which leaves a resumable upload too.
            Err(_) => upload.wait().await,
        },
    };
    outcome.map_err(|error| {
        let resumable = upload.is_resumable();
        if resumable { Error::new(error.kind(), format!("{error}; the same command resumes")) } else { error }
    })
}

/// Tells notices until there are no more.
async fn tell(mut notices: Notices, debug: bool) {
    while let Some(notice) = notices.next().await {
        if debug {
            eprintln!("{notice:?}");
        }
    }
}

fn target(args: &PutArgs) -> Result<Target, Error> {
    let own = || args.file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let object = args.name.clone().or_else(own).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "--name is missing: the file's own name cannot be an object name")
    })?;
    let target = Target { namespace: args.namespace.clone(), bucket: args.bucket_name.clone(), object };
    oci::check_target(&target)?;
    Ok(target)
}

fn options(args: &PutArgs) -> Result<UploadOptions, Error> {
    let defaults = UploadOptions::default();
    let customer_key = args.encryption_key_file.as_deref().map(customer_key).transpose()?;
    Ok(UploadOptions {
        part_size: args.part_size.map_or(defaults.part_size, |size| size * MIB),
        parallel: args.parallel_upload_count.unwrap_or(defaults.parallel),
        single: args.no_multipart,
        integrity: match args.integrity {
            Checking::Verify => Integrity::Verify,
            Checking::Off => Integrity::Off,
        },
        checksum: args.opc_checksum_algorithm.map_or(defaults.checksum, |algorithm| match algorithm {
            SumAlgorithm::Crc32c => ChecksumAlgorithm::Crc32c,
            SumAlgorithm::Sha256 => ChecksumAlgorithm::Sha256,
            SumAlgorithm::Sha384 => ChecksumAlgorithm::Sha384,
        }),
        precondition: match (args.no_overwrite, &args.if_match) {
            (true, _) => Precondition::Absent,
            (false, Some(etag)) => Precondition::Etag(etag.clone()),
            (false, None) => Precondition::None,
        },
        properties: ObjectProperties {
            content_type: args.content_type.clone(),
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
            customer_key,
            content_md5: args.content_md5.clone(),
            content_checksum: None,
        },
        on_failure: if args.abort_on_failure { OnFailure::Abort } else { OnFailure::Retain },
        max_attempts: args.max_retries.map_or(defaults.max_attempts, |retries| retries + 1),
    })
}

fn customer_key(path: &Path) -> Result<outlast_core::engine::upload::spec::CustomerKey, Error> {
    oci::customer_key(connect::secret(path)?.expose()).map_err(|error| error.during("--encryption-key-file"))
}

/// `{"name": "text"}`; names are taken with and without `opc-meta-`.
fn metadata(json: &str) -> Result<BTreeMap<String, String>, Error> {
    let pairs: BTreeMap<String, String> = serde_json::from_str(json).map_err(|error| {
        let line = format!("--metadata is not a JSON object of texts: {error}");
        Error::new(ErrorKind::InvalidInput, line)
    })?;
    let bare = |name: String| {
        let lower = name.to_lowercase();
        lower.strip_prefix("opc-meta-").unwrap_or(&lower).to_owned()
    };
    Ok(pairs.into_iter().map(|(name, text)| (bare(name), text)).collect())
}

fn summary(outcome: &Outcome) -> String {
    let parts = match outcome.parts {
        0 => "in one request".to_owned(),
        1 => "in one part".to_owned(),
        parts => format!("in {parts} parts"),
    };
    let kept = match outcome.parts_reused {
        0 => String::new(),
        kept => format!(", {kept} kept from an earlier run"),
    };
    let again = match outcome.refusals {
        0 => String::new(),
        again => format!(", {again} sent again under a new token"),
    };
    let verified = if outcome.verified { "checksums agree" } else { "checksums were not compared" };
    format!("stored {} bytes {parts}{kept}{again}; {verified}", outcome.size)
}

/// Those keys that the service told.
fn result(facts: &ObjectFacts) -> Value {
    let pairs = [
        ("etag", &facts.etag),
        ("last-modified", &facts.last_modified),
        ("opc-content-crc32c", &facts.crc32c),
        ("opc-content-md5", &facts.content_md5),
        ("opc-content-sha256", &facts.sha256),
        ("opc-content-sha384", &facts.sha384),
        ("opc-multipart-md5", &facts.multipart_md5),
        ("opc-multipart-sha256", &facts.multipart_sha256),
        ("opc-multipart-sha384", &facts.multipart_sha384),
    ];
    let told = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())));
    Value::Object(told.collect::<Map<_, _>>())
}
