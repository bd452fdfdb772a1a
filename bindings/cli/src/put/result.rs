//! The end of a successful `outlast put`: the result on stdout, in the official command line's words.

use outlast_core::engine::wire::oci::ObjectFacts;
use outlast_core::native::Outcome as Upload;

use super::precheck::NOT_OVERWRITTEN;
use super::told::{result, summary};
use crate::exit::Outcome;
use crate::output::Output;
use crate::report::Reporter;

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
