//! What a request asks the storage service for.

use outlast_core::engine::upload::spec::ChecksumAlgorithm;
use outlast_core::engine::wire::{Method, Request};
use serde_json::Value;

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// CreateMultipartUpload
    Create {
        /// Object name.
        object: String,
    },
    /// UploadPart
    Part {
        /// Upload id.
        upload: String,
        /// Part number.
        number: u32,
    },
    /// ListMultipartUploadParts
    ListParts {
        /// Upload id.
        upload: String,
        /// Page token.
        page: Option<String>,
        /// Items per page.
        limit: usize,
    },
    /// ListMultipartUploads
    ListUploads {
        /// Page token.
        page: Option<String>,
        /// Items per page.
        limit: usize,
    },
    /// CommitMultipartUpload
    Commit {
        /// Upload id.
        upload: String,
        /// Numbers and etags.
        parts: Vec<(u32, String)>,
    },
    /// AbortMultipartUpload
    Abort {
        /// Upload id.
        upload: String,
    },
    /// PutObject
    Put {
        /// Object name.
        object: String,
    },
    /// HeadObject
    Head {
        /// Object name.
        object: String,
    },
}

/// The kinds of requests, for faults that befall only some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskKind {
    /// CreateMultipartUpload
    Create,
    /// UploadPart
    Part,
    /// Either listing
    List,
    /// CommitMultipartUpload
    Commit,
    /// AbortMultipartUpload
    Abort,
    /// PutObject
    Put,
    /// HeadObject
    Head,
    /// The auth service's refresh.
    Refresh,
}

impl Ask {
    /// Reads a request to bucket `b` of namespace `ns`; panics on anything the engine should never send.
    pub fn of(request: &Request) -> Ask {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let rest = path.strip_prefix("/n/ns/b/b/").unwrap_or_else(|| panic!("strange path {path}"));
        let (room, object) = rest.split_once('/').unwrap_or((rest, ""));
        let field = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let upload =
            || field("uploadId").unwrap_or_else(|| panic!("no upload id in {}", request.target)).to_owned();
        let page = || field("page").map(str::to_owned);
        let limit = || field("limit").map_or(1000, |text| text.parse().expect("a limit is a number"));
        let object = || object.to_owned();
        match (request.method, room) {
            (Method::Post, "u") if object().is_empty() => {
                let body: Value = serde_json::from_slice(&request.json).expect("create sends JSON");
                Ask::Create { object: body["object"].as_str().expect("create names its object").to_owned() }
            }
            (Method::Get, "u") if object().is_empty() => Ask::ListUploads { page: page(), limit: limit() },
            (Method::Get, "u") => Ask::ListParts { upload: upload(), page: page(), limit: limit() },
            (Method::Put, "u") => {
                let number = field("uploadPartNum").and_then(|text| text.parse().ok());
                Ask::Part { upload: upload(), number: number.expect("a part has its number") }
            }
            (Method::Post, "u") => Ask::Commit { upload: upload(), parts: manifest(&request.json) },
            (Method::Delete, "u") => Ask::Abort { upload: upload() },
            (Method::Put, "o") => Ask::Put { object: object() },
            (Method::Head, "o") => Ask::Head { object: object() },
            _ => panic!("strange request {request:?}"),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> AskKind {
        match self {
            Ask::Create { .. } => AskKind::Create,
            Ask::Part { .. } => AskKind::Part,
            Ask::ListParts { .. } | Ask::ListUploads { .. } => AskKind::List,
            Ask::Commit { .. } => AskKind::Commit,
            Ask::Abort { .. } => AskKind::Abort,
            Ask::Put { .. } => AskKind::Put,
            Ask::Head { .. } => AskKind::Head,
        }
    }
}

fn manifest(json: &[u8]) -> Vec<(u32, String)> {
    let body: Value = serde_json::from_slice(json).expect("commit sends JSON");
    let parts = body["partsToCommit"].as_array().expect("commit lists parts");
    assert!(body["partsToExclude"].as_array().is_some_and(Vec::is_empty), "nothing is ever excluded");
    parts
        .iter()
        .map(|part| {
            let number = part["partNum"].as_u64().and_then(|number| u32::try_from(number).ok());
            (number.expect("a number"), part["etag"].as_str().expect("an etag").to_owned())
        })
        .collect()
}

/// The value of a request header.
pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

/// The additional checksum a request asks for.
pub fn asked_algorithm(request: &Request) -> Option<ChecksumAlgorithm> {
    match header(request, "opc-checksum-algorithm")? {
        "CRC32C" => Some(ChecksumAlgorithm::Crc32c),
        "SHA256" => Some(ChecksumAlgorithm::Sha256),
        "SHA384" => Some(ChecksumAlgorithm::Sha384),
        other => panic!("strange algorithm {other}"),
    }
}
