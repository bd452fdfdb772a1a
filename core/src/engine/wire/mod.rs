//! The services' dialects: requests out, replies in, nothing else.
//!
//! A further store or identity provider is a new file here.

use std::fmt;

pub mod auth;
pub mod encode;
pub mod folio;
pub mod oauth2;
pub mod oci;
pub mod reply;
pub mod web;

pub use reply::{Reply, TransportFailure, TransportKind, Verdict};
pub use web::WebRequest;

/// The methods the dialects use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH; no request of ours, but of callers who sign their own.
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// Upper-case name for the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// Which service a request goes to; the driver knows the base URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Object Storage.
    Storage,
    /// The auth service (refresh, UPST).
    Auth,
}

/// Which headers the signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// `date (request-target) host`: GET, HEAD, DELETE, and by exception PutObject and UploadPart.
    Head,
    /// Those plus `content-length content-type x-content-sha256`: every other request with a body.
    HeadAndBody,
    /// `date (request-target) content-length content-type x-content-sha256`: X.509 federation.
    BodyWithoutHost,
}

/// A request before it is signed: everything but `host`, `date`, `authorization`, `content-length` and
/// `x-content-sha256`, which are added at the last moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Which service it goes to.
    pub service: Service,
    /// `path[?query]` exactly as it must stand on the request line; what is signed is what is sent.
    pub target: String,
    /// Further headers, names in lower case, values already checked to be legal header text.
    pub headers: Vec<(&'static str, String)>,
    /// `opc-meta-*` headers of a single put; names in lower case.
    pub metadata: Vec<(String, String)>,
    /// The JSON body of a control request; empty for GET, HEAD, DELETE and for requests whose body is file bytes.
    pub json: Vec<u8>,
    /// Which headers the signature covers.
    pub coverage: Coverage,
}

/// Shows method and path only: a query may hold an upload id and headers may hold a customer key.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.target.split('?').next().unwrap_or_default())
    }
}
