//! Requests.

use serde::Serialize;

use super::super::encode::{path_segment, query_value};
use super::super::{Coverage, Method, Request, Service};
use crate::engine::checksum::Digests;
use crate::engine::upload::spec::{ChecksumAlgorithm, CustomerKey, ObjectProperties, Precondition, Target};

/// GetNamespace: the answer is a bare JSON string.
pub fn namespace() -> Request {
    plain(Method::Get, "/n".to_owned())
}

/// GetBucket.
pub fn bucket(namespace: &str, bucket: &str) -> Request {
    plain(Method::Get, bucket_path(namespace, bucket))
}

/// HeadObject. Objects stored with a customer's key can only be looked at with it.
pub fn head_object(target: &Target, customer_key: Option<&CustomerKey>) -> Request {
    let mut request = plain(Method::Head, object_path(target));
    push_customer_key(&mut request, customer_key);
    request
}

/// DeleteObject.
pub fn delete_object(target: &Target) -> Request {
    plain(Method::Delete, object_path(target))
}

/// PutObject: the whole object in one request; properties travel as headers.
///
/// `checksum` asks the service to compute that checksum; `known` are checksums known before sending, which the
/// service then checks. What the caller vouches for in `properties` wins over both.
pub fn put_object(
    target: &Target,
    properties: &ObjectProperties,
    precondition: &Precondition,
    checksum: Option<ChecksumAlgorithm>,
    known: Option<&Digests>,
) -> Request {
    let mut request = bytes(object_path(target));
    for (name, value) in &mut request.headers {
        if *name == "content-type" {
            value.clone_from(properties.content_type.as_ref().unwrap_or(&OCTET_STREAM.to_owned()));
        }
    }
    let headers = &mut request.headers;
    let mut push = |name, value: &Option<String>| {
        if let Some(value) = value {
            headers.push((name, value.clone()));
        }
    };
    push("content-language", &properties.content_language);
    push("content-encoding", &properties.content_encoding);
    push("content-disposition", &properties.content_disposition);
    push("cache-control", &properties.cache_control);
    push("storage-tier", &properties.storage_tier.map(|tier| tier.as_str().to_owned()));
    push("opc-sse-kms-key-id", &properties.kms_key_id);
    let known_md5 = known.and_then(Digests::md5_base64);
    push("content-md5", &properties.content_md5.clone().or(known_md5));
    match &properties.content_checksum {
        Some((algorithm, value)) => {
            headers.push(("opc-checksum-algorithm", algorithm_name(*algorithm).to_owned()));
            headers.push((checksum_header(*algorithm), value.clone()));
        }
        None => push_checksum(&mut request, checksum, known),
    }
    request.metadata =
        properties.metadata.iter().map(|(name, value)| (meta_name(name), value.clone())).collect();
    push_precondition(&mut request, precondition);
    push_customer_key(&mut request, properties.customer_key.as_ref());
    request
}

/// CreateMultipartUpload: type, tier and metadata exist only in this body.
pub fn create_upload(
    target: &Target,
    properties: &ObjectProperties,
    precondition: &Precondition,
    checksum: Option<ChecksumAlgorithm>,
) -> Request {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        object: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_language: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_encoding: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_disposition: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        storage_tier: Option<&'a str>,
        #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
        metadata: std::collections::BTreeMap<String, &'a str>,
    }
    let body = Body {
        object: &target.object,
        content_type: properties.content_type.as_deref(),
        content_language: properties.content_language.as_deref(),
        content_encoding: properties.content_encoding.as_deref(),
        content_disposition: properties.content_disposition.as_deref(),
        cache_control: properties.cache_control.as_deref(),
        storage_tier: properties.storage_tier.map(super::super::super::upload::spec::StorageTier::as_str),
        metadata: properties.metadata.iter().map(|(name, value)| (meta_name(name), value.as_str())).collect(),
    };
    let mut request = json(format!("{}/u", bucket_path(&target.namespace, &target.bucket)), &body);
    push_precondition(&mut request, precondition);
    if let Some(algorithm) = checksum {
        request.headers.push(("opc-checksum-algorithm", algorithm_name(algorithm).to_owned()));
    }
    if let Some(kms_key_id) = &properties.kms_key_id {
        request.headers.push(("opc-sse-kms-key-id", kms_key_id.clone()));
    }
    push_customer_key(&mut request, properties.customer_key.as_ref());
    request
}

/// UploadPart. `known`: checksums known before sending (streams), which the service then checks.
pub fn upload_part(
    target: &Target,
    upload_id: &str,
    number: u32,
    customer_key: Option<&CustomerKey>,
    checksum: Option<ChecksumAlgorithm>,
    known: Option<&Digests>,
) -> Request {
    let mut request = bytes(format!("{}&uploadPartNum={number}", upload_path(target, upload_id)));
    if let Some(md5) = known.and_then(Digests::md5_base64) {
        request.headers.push(("content-md5", md5));
    }
    push_checksum(&mut request, checksum, known);
    push_customer_key(&mut request, customer_key);
    request
}

/// ListMultipartUploadParts, at most `limit` on a page.
pub fn list_parts(target: &Target, upload_id: &str, page: Option<&str>, limit: u32) -> Request {
    plain(Method::Get, with_page(format!("{}&limit={limit}", upload_path(target, upload_id)), page))
}

/// ListMultipartUploads of a bucket, at most `limit` on a page. The service cannot filter by object name.
pub fn list_uploads(namespace: &str, bucket: &str, page: Option<&str>, limit: u32) -> Request {
    plain(Method::Get, with_page(format!("{}/u?limit={limit}", bucket_path(namespace, bucket)), page))
}

/// CommitMultipartUpload with these parts and no others: number and etag of each.
pub fn commit<'a>(target: &Target, upload_id: &str, parts: impl Iterator<Item = (u32, &'a str)>) -> Request {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        parts_to_commit: Vec<Part<'a>>,
        parts_to_exclude: [u32; 0],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        part_num: u32,
        etag: &'a str,
    }
    let parts_to_commit = parts.map(|(part_num, etag)| Part { part_num, etag }).collect();
    json(upload_path(target, upload_id), &Body { parts_to_commit, parts_to_exclude: [] })
}

/// AbortMultipartUpload.
pub fn abort(target: &Target, upload_id: &str) -> Request {
    plain(Method::Delete, upload_path(target, upload_id))
}

const OCTET_STREAM: &str = "application/octet-stream";

fn plain(method: Method, target: String) -> Request {
    Request {
        method,
        service: Service::Storage,
        target,
        headers: vec![("accept", "application/json".to_owned())],
        metadata: Vec::new(),
        json: Vec::new(),
        coverage: Coverage::Head,
    }
}

/// PutObject and UploadPart: the two requests whose body is outside the signature.
fn bytes(target: String) -> Request {
    let mut request = plain(Method::Put, target);
    request.headers.push(("content-type", OCTET_STREAM.to_owned()));
    request
}

fn json(target: String, body: &impl Serialize) -> Request {
    let mut request = plain(Method::Post, target);
    request.headers.push(("content-type", "application/json".to_owned()));
    request.json = serde_json::to_vec(body).expect("bodies hold no maps with non-string keys");
    request.coverage = Coverage::HeadAndBody;
    request
}

fn bucket_path(namespace: &str, bucket: &str) -> String {
    format!("/n/{}/b/{}", path_segment(namespace), path_segment(bucket))
}

fn object_path(target: &Target) -> String {
    format!("{}/o/{}", bucket_path(&target.namespace, &target.bucket), path_segment(&target.object))
}

fn upload_path(target: &Target, upload_id: &str) -> String {
    let bucket = bucket_path(&target.namespace, &target.bucket);
    format!("{bucket}/u/{}?uploadId={}", path_segment(&target.object), query_value(upload_id))
}

fn with_page(path: String, page: Option<&str>) -> String {
    match page {
        Some(page) => format!("{path}&page={}", query_value(page)),
        None => path,
    }
}

/// Metadata names carry the prefix both as headers and in the create body.
fn meta_name(name: &str) -> String {
    format!("opc-meta-{}", name.to_ascii_lowercase())
}

fn algorithm_name(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32c => "CRC32C",
        ChecksumAlgorithm::Sha256 => "SHA256",
        ChecksumAlgorithm::Sha384 => "SHA384",
    }
}

fn checksum_header(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32c => "opc-content-crc32c",
        ChecksumAlgorithm::Sha256 => "opc-content-sha256",
        ChecksumAlgorithm::Sha384 => "opc-content-sha384",
    }
}

/// The value header only counts together with the algorithm header.
fn push_checksum(request: &mut Request, algorithm: Option<ChecksumAlgorithm>, known: Option<&Digests>) {
    let Some(algorithm) = algorithm else { return };
    request.headers.push(("opc-checksum-algorithm", algorithm_name(algorithm).to_owned()));
    let value = known.and_then(|known| match algorithm {
        ChecksumAlgorithm::Crc32c => known.crc32c_base64(),
        ChecksumAlgorithm::Sha256 => known.sha256_base64(),
        ChecksumAlgorithm::Sha384 => known.sha384_base64(),
    });
    if let Some(value) = value {
        request.headers.push((checksum_header(algorithm), value));
    }
}

fn push_precondition(request: &mut Request, precondition: &Precondition) {
    match precondition {
        Precondition::None => {}
        Precondition::Absent => request.headers.push(("if-none-match", "*".to_owned())),
        Precondition::Etag(etag) => request.headers.push(("if-match", etag.clone())),
    }
}

fn push_customer_key(request: &mut Request, key: Option<&CustomerKey>) {
    let Some(key) = key else { return };
    request.headers.push(("opc-sse-customer-algorithm", "AES256".to_owned()));
    request.headers.push(("opc-sse-customer-key", key.key.expose().clone()));
    request.headers.push(("opc-sse-customer-key-sha256", key.key_sha256.clone()));
}
