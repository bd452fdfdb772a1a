//! A stored object in words, for people and for programs. No driver here: `outlast-wasm` (in `wasm-host`) uses this file too.

use outlast_core::engine::upload::Outcome as Upload;
use outlast_core::engine::wire::oci::ObjectFacts;
use serde_json::{Map, Value};

use crate::words;

/// `stored 256 MiB in 64 parts, 12 kept from an earlier run, 3 sent again …; checksums agree`
pub(crate) fn summary(upload: &Upload) -> String {
    let mut pieces = Vec::new();
    if upload.parts_reused > 0 {
        pieces.push(format!("{} kept from an earlier run", upload.parts_reused));
    }
    if upload.refusals > 0 {
        pieces.push(format!("{} sent again under a new token", words::count(upload.refusals, "part")));
    }
    if upload.retries > 0 {
        pieces.push(words::count(upload.retries, "retry").replace("retrys", "retries"));
    }
    let parts = match upload.parts {
        0 => "in one request".to_owned(),
        parts => format!("in {}", words::count(parts, "part")),
    };
    let extra = if pieces.is_empty() { String::new() } else { format!(" ({})", pieces.join(", ")) };
    let verified = if upload.verified { "; checksums agree" } else { "; checksums were not compared" };
    format!("stored {} {parts}{extra}{verified}", words::bytes(upload.size))
}

/// The JSON of the official command line: those keys that the service told.
pub(crate) fn result(facts: &ObjectFacts) -> Value {
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
    let told =
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value.clone()?))));
    Value::Object(told.collect::<Map<_, _>>())
}
