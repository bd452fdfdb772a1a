//! Requests.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::encode::{path_segment, query_value};
use super::super::{Coverage, Method, Request, Service};
use crate::engine::checksum::Digests;
use crate::engine::upload::spec::{
    ChecksumAlgorithm, CustomerKey, ObjectProperties, Precondition, StorageTier, Target,
};

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
    let mut request = bytes(object_path(target), properties.content_type.as_deref().unwrap_or(OCTET_STREAM));
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
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        metadata: BTreeMap<String, &'a str>,
    }
    let body = Body {
        object: &target.object,
        content_type: properties.content_type.as_deref(),
        content_language: properties.content_language.as_deref(),
        content_encoding: properties.content_encoding.as_deref(),
        content_disposition: properties.content_disposition.as_deref(),
        cache_control: properties.cache_control.as_deref(),
        storage_tier: properties.storage_tier.map(StorageTier::as_str),
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
    let mut request =
        bytes(format!("{}&uploadPartNum={number}", upload_path(target, upload_id)), OCTET_STREAM);
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
fn bytes(target: String, content_type: &str) -> Request {
    let mut request = plain(Method::Put, target);
    request.headers.push(("content-type", content_type.to_owned()));
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

/// Metadata names carry the prefix both as headers and in the create body; one that is there already is kept.
fn meta_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.starts_with("opc-meta-") { name } else { format!("opc-meta-{name}") }
}

pub(super) fn algorithm_name(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32c => "CRC32C",
        ChecksumAlgorithm::Sha256 => "SHA256",
        ChecksumAlgorithm::Sha384 => "SHA384",
    }
}

pub(super) fn checksum_header(algorithm: ChecksumAlgorithm) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::super::customer_key;
    use super::*;

    fn target() -> Target {
        Target {
            namespace: "testns".into(),
            bucket: "test-bucket".into(),
            object: "dir one/file+ü.bin".into(),
        }
    }

    fn line(request: &Request) -> String {
        format!("{} {}", request.method.as_str(), request.target)
    }

    fn headers(request: &Request) -> Vec<String> {
        request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    fn body(request: &Request) -> &str {
        std::str::from_utf8(&request.json).unwrap()
    }

    const ID: &str = "a1b2c3d4-0000-1111-2222-333344445555";

    #[test]
    fn request_lines_and_coverage() {
        let target = target();
        let none = ObjectProperties::default();
        let object = "dir%20one%2Ffile%2B%C3%BC.bin";
        let base = "/n/testns/b/test-bucket";
        let part = upload_part(&target, ID, 1, None, None, None);
        for (request, expected, coverage) in [
            (namespace(), "GET /n".to_owned(), Coverage::Head),
            (bucket("ns", "b c"), "GET /n/ns/b/b%20c".into(), Coverage::Head),
            (head_object(&target, None), format!("HEAD {base}/o/{object}"), Coverage::Head),
            (delete_object(&target), format!("DELETE {base}/o/{object}"), Coverage::Head),
            (
                put_object(&target, &none, &Precondition::None, None, None),
                format!("PUT {base}/o/{object}"),
                Coverage::Head,
            ),
            (
                create_upload(&target, &none, &Precondition::None, None),
                format!("POST {base}/u"),
                Coverage::HeadAndBody,
            ),
            (part, format!("PUT {base}/u/{object}?uploadId={ID}&uploadPartNum=1"), Coverage::Head),
            (
                list_parts(&target, ID, None, 1000),
                format!("GET {base}/u/{object}?uploadId={ID}&limit=1000"),
                Coverage::Head,
            ),
            (
                list_parts(&target, "i/d", Some("p/+= x"), 7),
                format!("GET {base}/u/{object}?uploadId=i%2Fd&limit=7&page=p%2F%2B%3D+x"),
                Coverage::Head,
            ),
            (list_uploads("ns", "b", None, 5), "GET /n/ns/b/b/u?limit=5".into(), Coverage::Head),
            (
                list_uploads("ns", "b", Some("a&b"), 5),
                "GET /n/ns/b/b/u?limit=5&page=a%26b".into(),
                Coverage::Head,
            ),
            (
                commit(&target, ID, std::iter::empty()),
                format!("POST {base}/u/{object}?uploadId={ID}"),
                Coverage::HeadAndBody,
            ),
            (abort(&target, ID), format!("DELETE {base}/u/{object}?uploadId={ID}"), Coverage::Head),
        ] {
            assert_eq!(line(&request), expected);
            assert_eq!(request.coverage, coverage, "{expected}");
            assert_eq!(request.service, Service::Storage);
            assert_eq!(request.json.is_empty(), coverage == Coverage::Head, "{expected}");
            assert!(format!("{request:?}").split('?').count() == 1, "the query is not shown");
        }
    }

    fn full() -> ObjectProperties {
        ObjectProperties {
            content_type: Some("text/plain".into()),
            content_language: Some("de".into()),
            content_encoding: Some("gzip".into()),
            content_disposition: Some("inline".into()),
            cache_control: Some("no-store".into()),
            storage_tier: Some(StorageTier::InfrequentAccess),
            metadata: BTreeMap::from([("k1".into(), "v1".into()), ("OPC-Meta-K2".into(), "v2".into())]),
            kms_key_id: Some("ocid1.key.oc1..x".into()),
            ..ObjectProperties::default()
        }
    }

    #[test]
    fn single_puts_carry_everything_as_headers() {
        let request = put_object(&target(), &full(), &Precondition::Absent, None, None);
        assert_eq!(
            headers(&request),
            [
                "accept: application/json",
                "content-type: text/plain",
                "content-language: de",
                "content-encoding: gzip",
                "content-disposition: inline",
                "cache-control: no-store",
                "storage-tier: InfrequentAccess",
                "opc-sse-kms-key-id: ocid1.key.oc1..x",
                "if-none-match: *",
            ]
        );
        let metadata =
            [("opc-meta-k2".to_owned(), "v2".to_owned()), ("opc-meta-k1".to_owned(), "v1".to_owned())];
        assert_eq!(request.metadata, metadata);
        let plain = put_object(&target(), &ObjectProperties::default(), &Precondition::None, None, None);
        assert_eq!(headers(&plain), ["accept: application/json", "content-type: application/octet-stream"]);
    }

    #[test]
    fn multipart_creation_carries_everything_in_the_body() {
        let precondition = Precondition::Etag("e-1".into());
        let request = create_upload(&target(), &full(), &precondition, Some(ChecksumAlgorithm::Crc32c));
        assert_eq!(
            body(&request),
            "{\"object\":\"dir one/file+ü.bin\",\"contentType\":\"text/plain\",\"contentLanguage\":\"de\",\
             \"contentEncoding\":\"gzip\",\"contentDisposition\":\"inline\",\"cacheControl\":\"no-store\",\
             \"storageTier\":\"InfrequentAccess\",\"metadata\":{\"opc-meta-k1\":\"v1\",\"opc-meta-k2\":\"v2\"}}"
        );
        assert_eq!(
            headers(&request),
            [
                "accept: application/json",
                "content-type: application/json",
                "if-match: e-1",
                "opc-checksum-algorithm: CRC32C",
                "opc-sse-kms-key-id: ocid1.key.oc1..x",
            ]
        );
        let bare = create_upload(&target(), &ObjectProperties::default(), &Precondition::None, None);
        assert_eq!(body(&bare), "{\"object\":\"dir one/file+ü.bin\"}");
    }

    #[test]
    fn checksums_known_before_sending_are_sent() {
        let known = Digests { len: 9, md5: Some([0; 16]), crc32c: Some(0xe306_9283), ..Digests::default() };
        let request = upload_part(&target(), ID, 10_000, None, Some(ChecksumAlgorithm::Crc32c), Some(&known));
        assert!(request.target.ends_with("&uploadPartNum=10000"));
        let tail = [
            "content-md5: AAAAAAAAAAAAAAAAAAAAAA==",
            "opc-checksum-algorithm: CRC32C",
            "opc-content-crc32c: 4waSgw==",
        ];
        assert_eq!(headers(&request)[2..], tail);
        // Asked for but not known: the service computes it and tells.
        let request = upload_part(&target(), ID, 1, None, Some(ChecksumAlgorithm::Sha384), Some(&known));
        assert_eq!(headers(&request).last().unwrap(), "opc-checksum-algorithm: SHA384");
        // What the caller vouches for wins.
        let vouched = ObjectProperties {
            content_md5: Some("1B2M2Y8AsgTpgAmY7PhCfg==".into()),
            content_checksum: Some((ChecksumAlgorithm::Sha256, "c".into())),
            ..ObjectProperties::default()
        };
        let request = put_object(
            &target(),
            &vouched,
            &Precondition::None,
            Some(ChecksumAlgorithm::Crc32c),
            Some(&known),
        );
        let tail = [
            "content-md5: 1B2M2Y8AsgTpgAmY7PhCfg==",
            "opc-checksum-algorithm: SHA256",
            "opc-content-sha256: c",
        ];
        assert_eq!(headers(&request)[2..], tail);
    }

    #[test]
    fn customer_keys_travel_where_the_service_wants_them() {
        let key = customer_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let properties = ObjectProperties { customer_key: Some(key.clone()), ..ObjectProperties::default() };
        let expected = [
            "opc-sse-customer-algorithm: AES256",
            "opc-sse-customer-key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "opc-sse-customer-key-sha256: Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=",
        ];
        for request in [
            head_object(&target(), Some(&key)),
            upload_part(&target(), ID, 1, Some(&key), None, None),
            create_upload(&target(), &properties, &Precondition::None, None),
            put_object(&target(), &properties, &Precondition::None, None, None),
        ] {
            let headers = headers(&request);
            assert_eq!(headers[headers.len() - 3..], expected, "{request:?}");
            assert!(!format!("{request:?}").contains("AAAA"));
        }
    }

    #[test]
    fn commits_list_parts_in_the_given_order() {
        let request = commit(&target(), ID, [(1, "e1"), (2, "e\"2")].into_iter());
        assert_eq!(
            body(&request),
            r#"{"partsToCommit":[{"partNum":1,"etag":"e1"},{"partNum":2,"etag":"e\"2"}],"partsToExclude":[]}"#
        );
    }
}
