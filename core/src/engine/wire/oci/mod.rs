//! The Object Storage dialect: requests out, replies in, and what a reply means.
//!
//! Source: `oci.md` sections 3 (operations, headers, limits) and 6 (errors and retries).

mod check;
mod date;
mod reply;
mod request;
mod verdict;

pub use check::{
    MAX_OBJECT_NAME_BYTES, check_properties, check_target, customer_key, vouched_checksum, wrongly_vouched,
};
pub use date::parse_rfc3339;
pub use reply::{
    ObjectFacts, Page, PartEntry, UploadEntry, object_facts, parse_created, parse_namespace, parse_parts,
    parse_uploads,
};
pub use request::{
    abort, bucket, commit, create_upload, delete_object, head_object, list_parts, list_uploads, namespace,
    put_object, upload_part,
};
pub(crate) use verdict::{harmless, unmatched};
pub use verdict::{http_facts, retry_after, verdict};

/// Highest part number, and so the largest number of parts. Source: service limits, `oci.md` 3.5.
pub const MAX_PARTS: u32 = 10_000;
/// Largest part and largest single put, bytes. Source: `oci.md` 3.5.
pub const MAX_PART_BYTES: u64 = 50 << 30;
/// Largest object, bytes. Source: `oci.md` 3.5.
pub const MAX_OBJECT_BYTES: u64 = 10 << 40;

/// What a request does; a reply means different things to different operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// GetNamespace
    Namespace,
    /// GetBucket
    Bucket,
    /// HeadObject
    Head,
    /// PutObject
    Put,
    /// CreateMultipartUpload
    Create,
    /// UploadPart
    Part,
    /// ListMultipartUploadParts
    ListParts,
    /// ListMultipartUploads
    ListUploads,
    /// CommitMultipartUpload
    Commit,
    /// AbortMultipartUpload
    Abort,
    /// DeleteObject
    Delete,
}

impl Operation {
    /// What is being attempted, for the head of an error message.
    pub fn attempt(self) -> &'static str {
        match self {
            Operation::Namespace => "asking for the namespace",
            Operation::Bucket => "looking at the bucket",
            Operation::Head => "looking at the object",
            Operation::Put => "storing the object",
            Operation::Create => "creating the upload",
            Operation::Part => "storing a part",
            Operation::ListParts => "listing the upload's parts",
            Operation::ListUploads => "listing uploads",
            Operation::Commit => "committing the upload",
            Operation::Abort => "aborting the upload",
            Operation::Delete => "deleting the object",
        }
    }

    /// Whether the request names an upload id, so that a 404 means that the upload is gone.
    pub fn names_upload(self) -> bool {
        matches!(self, Operation::Part | Operation::ListParts | Operation::Commit | Operation::Abort)
    }
}
