//! From method and target to an operation and its names.

use crate::http::head::Head;
use crate::http::reply::Fail;
use crate::http::target::{Target, path_decode};
use crate::op::Op;

/// Longest object name in bytes (documented limit of the service).
const MAX_OBJECT_NAME_BYTES: usize = 1024;

/// Query parameters of GetObject that only decorate the answer.
const DECORATIONS: [&str; 6] = [
    "httpResponseContentDisposition",
    "httpResponseCacheControl",
    "httpResponseContentType",
    "httpResponseContentLanguage",
    "httpResponseContentEncoding",
    "httpResponseExpires",
];

/// What a request asks for, names decoded once.
pub(crate) struct Route<'a> {
    pub(crate) op: Op,
    pub(crate) namespace: String,
    pub(crate) bucket: String,
    pub(crate) object: Option<String>,
    pub(crate) target: Target<'a>,
}

impl<'a> Route<'a> {
    /// Finds the operation. A target that does not decode is a `Fail`; one that names nothing is `Op::Unknown`.
    pub(crate) fn find(head: &'a Head) -> Result<Self, Fail> {
        let unreadable = || Fail::new(400, "InvalidParameter", "The request URI could not be decoded");
        let target = Target::split(&head.target).ok_or_else(unreadable)?;
        let mut route =
            Route { op: Op::Unknown, namespace: String::new(), bucket: String::new(), object: None, target };
        let path = route.target.path;
        let method = head.method.as_str();
        if path == "/_control" || path.starts_with("/_control/") {
            route.op = Op::Control;
            return Ok(route);
        }
        if let Some(op) = crate::oauth::face::find(path).or_else(|| crate::folio::face::find(method, path)) {
            route.op = op;
            return Ok(route);
        }
        route.op = match (method, path) {
            ("GET" | "HEAD", "/") => Op::Probe,
            ("GET", "/n" | "/n/") => Op::GetNamespace,
            ("POST", "/v1/authentication/refresh") => Op::Refresh,
            ("POST", "/v1/token/upst/actions/GenerateUpst") => Op::GenerateUpst,
            ("GET", "/20160918/regions") => Op::ListRegions,
            _ => Op::Unknown,
        };
        if route.op == Op::Unknown && path.starts_with("/n/") {
            route.find_storage(method, path)?;
        }
        Ok(route)
    }

    fn find_storage(&mut self, method: &str, path: &str) -> Result<(), Fail> {
        // "", "n", namespace, "b", bucket, "o" or "u", and the object with all its slashes
        let segments: Vec<&str> = path.splitn(7, '/').collect();
        let unreadable =
            || Fail::new(400, "InvalidParameter", "A name in the request URI could not be decoded");
        let (collection, object) = match segments[..] {
            ["", "n", _, "b", _] => ("", None),
            ["", "n", _, "b", _, collection] => (collection, None),
            ["", "n", _, "b", _, collection, object] if !object.is_empty() => (collection, Some(object)),
            _ => return Ok(()),
        };
        self.namespace = path_decode(segments[2]).ok_or_else(unreadable)?;
        self.bucket = path_decode(segments[4]).ok_or_else(unreadable)?;
        self.object = object.map(|raw| path_decode(raw).ok_or_else(unreadable)).transpose()?;
        if let Some(name) = &self.object {
            check_object_name(name)?;
        }
        self.op = match (method, collection, object.is_some()) {
            ("GET", "", _) => Op::GetBucket,
            ("HEAD", "", _) => Op::HeadBucket,
            ("POST", "u", false) => Op::CreateUpload,
            ("GET", "u", false) => Op::ListUploads,
            ("PUT", "u", true) => Op::UploadPart,
            ("GET", "u", true) => Op::ListParts,
            ("POST", "u", true) => Op::CommitUpload,
            ("DELETE", "u", true) => Op::AbortUpload,
            ("GET", "o", false) => Op::ListObjects,
            ("PUT", "o", true) => Op::PutObject,
            ("HEAD", "o", true) => Op::HeadObject,
            ("GET", "o", true) => Op::GetObject,
            ("DELETE", "o", true) => Op::DeleteObject,
            _ => Op::Unknown,
        };
        Ok(())
    }

    /// Refuses query parameters that the operation does not have: a misspelt one must not pass in silence.
    pub(crate) fn check_query(&self) -> Result<(), Fail> {
        let known: &[&str] = match self.op {
            Op::GetNamespace => &["compartmentId"],
            Op::GetBucket => &["fields"],
            Op::UploadPart => &["uploadId", "uploadPartNum"],
            Op::ListParts => &["uploadId", "limit", "page"],
            Op::ListUploads => &["limit", "page"],
            Op::ListObjects => &["prefix", "start", "end", "limit", "delimiter", "fields", "startAfter"],
            Op::CommitUpload | Op::AbortUpload => &["uploadId"],
            Op::HeadObject | Op::GetObject | Op::DeleteObject => &["versionId"],
            Op::Control => return Ok(()),
            op if op.is_oauth() || op.is_folio() => return Ok(()),
            _ => &[],
        };
        match self.target.unknown_query(known) {
            Some(name) if self.op == Op::GetObject && DECORATIONS.contains(&name) => Ok(()),
            Some(name) => {
                Err(Fail::new(400, "InvalidParameter", format!("Unknown query parameter '{name}'")))
            }
            None => Ok(()),
        }
    }

    /// The part number of an upload request, if it is one.
    pub(crate) fn part(&self) -> Option<u32> {
        self.target.query("uploadPartNum")?.parse().ok()
    }

    pub(crate) fn upload_id(&self) -> Option<&str> {
        self.target.query("uploadId").filter(|id| !id.is_empty())
    }

    /// The object's name, for operations whose path has one.
    pub(crate) fn object_name(&self) -> &str {
        self.object.as_deref().unwrap_or_default()
    }
}

/// Refuses object names the service does not take.
pub(crate) fn check_object_name(name: &str) -> Result<(), Fail> {
    if name.is_empty() || name.len() > MAX_OBJECT_NAME_BYTES || name.contains(['\0', '\r', '\n']) {
        let message = "An object name is 1 to 1024 bytes without line breaks and NUL";
        return Err(Fail::new(400, "InvalidObjectName", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(line: &str) -> (Op, String) {
        let text = format!("{line} HTTP/1.1\r\nhost: h\r\n\r\n");
        let (head, _) = Head::parse(text.as_bytes()).unwrap().unwrap();
        let route = Route::find(&head).unwrap();
        (route.op, route.object.unwrap_or_default())
    }

    #[test]
    fn paths_name_operations() {
        assert_eq!(route("GET /n"), (Op::GetNamespace, String::new()));
        assert_eq!(route("GET /n/"), (Op::GetNamespace, String::new()));
        assert_eq!(route("GET //n").0, Op::Unknown);
        assert_eq!(route("HEAD /n/x/b/y").0, Op::HeadBucket);
        assert_eq!(route("POST /n/x/b/y/u").0, Op::CreateUpload);
        assert_eq!(route("PUT /n/x/b/y/o/a%2Fb"), (Op::PutObject, "a/b".into()));
        assert_eq!(route("PUT /n/x/b/y/o/a/b"), (Op::PutObject, "a/b".into()));
        assert_eq!(route("PUT /n/x/b/y/o//a//b/"), (Op::PutObject, "/a//b/".into()));
        assert_eq!(route("PUT /n/x/b/y/o/a%252Fb"), (Op::PutObject, "a%2Fb".into()));
        assert_eq!(route("PUT /n/x/b/y/u/o?uploadId=1&uploadPartNum=2"), (Op::UploadPart, "o".into()));
        assert_eq!(route("PUT /n/x/b/y/o/").0, Op::Unknown);
    }
}
