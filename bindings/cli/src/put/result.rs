//! The end of a successful `outlast put`: the result on stdout, in the official command line's words.

use outlast_core::engine::wire::oci::ObjectFacts;
use outlast_core::native::Outcome as Upload;
use serde_json::{Map, Value};

use super::precheck::NOT_OVERWRITTEN;
use crate::exit::Outcome;
use crate::output::Output;
use crate::report::Reporter;
use crate::words;

/// How it ended.
pub(super) enum Ended {
    /// The object is there and is ours.
    Stored(Box<Upload>),
    /// An object was there and stays.
    Left,
}

impl Ended {
    /// Prints the result and the last lines.
    pub(super) fn print(&self, verify_checksum: bool, reporter: &Reporter, output: &Output) -> Outcome {
        let upload = match self {
            Ended::Stored(upload) => upload,
            Ended::Left => {
                reporter.screen().raw(NOT_OVERWRITTEN);
                return Ok(());
            }
        };
        reporter.say(&summary(upload));
        if verify_checksum && let Some((name, value)) = checksum(&upload.facts) {
            reporter.screen().line(&format!("{name} checksum matches [Local: {value}]"));
        }
        output.print(&result(&upload.facts))
    }
}

/// `stored 256 MiB in 64 parts, 12 kept from an earlier run, 3 sent again …; checksums agree`
fn summary(upload: &Upload) -> String {
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

/// The checksum of the object that was computed here and agreed.
fn checksum(facts: &ObjectFacts) -> Option<(&'static str, &str)> {
    let known = [
        ("crc32c", &facts.crc32c),
        ("sha256", &facts.multipart_sha256),
        ("sha256", &facts.sha256),
        ("sha384", &facts.multipart_sha384),
        ("sha384", &facts.sha384),
        ("md5", &facts.multipart_md5),
        ("md5", &facts.content_md5),
    ];
    known.into_iter().find_map(|(name, value)| Some((name, value.as_deref()?)))
}

/// The JSON of the official command line: those keys that the service told.
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
    let told =
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value.clone()?))));
    Value::Object(told.collect::<Map<_, _>>())
}
