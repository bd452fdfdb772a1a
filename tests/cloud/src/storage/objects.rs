//! Buckets and whole objects.

use super::Object;
use super::about::{About, Claims, Conditions, check_customer_key, customer_key};
use super::intake::{check_length, take};
use super::segment::{Segment, Slice};
use crate::clock::{http_date, rfc3339};
use crate::http::body::Body;
use crate::http::reply::{Fail, Payload, Reply};
use crate::random::uuid;
use crate::service::{Call, Handled};
use serde_json::json;

pub(crate) fn bucket(call: &Call<'_>) -> Handled {
    let state = call.service.storage.state();
    let bucket = state.bucket(&call.route.bucket)?;
    let shown = json!({
        "namespace": call.route.namespace,
        "name": call.route.bucket,
        "compartmentId": call.service.config.tenancy,
        "etag": bucket.etag,
        "metadata": {},
        "createdBy": call.service.config.user,
        "timeCreated": rfc3339(bucket.created_ms),
        "publicAccessType": "NoPublicAccess",
        "storageTier": "Standard",
        "objectEventsEnabled": false,
        "versioning": "Disabled",
        "autoTiering": "Disabled",
        "isReadOnly": false,
    });
    Ok(Reply::json(200, &shown).with("etag", &bucket.etag))
}

/// Names (and sizes) by prefix; `start` and `limit` page through them.
pub(crate) fn list(call: &Call<'_>) -> Handled {
    let query = |name| call.route.target.query(name);
    let limit = match query("limit").map(str::parse::<usize>) {
        None => call.settings.page_size,
        Some(Ok(limit)) if limit > 0 => limit.min(call.settings.page_size),
        Some(_) => return Err(Fail::new(400, "InvalidLimit", "limit is not a positive number").into()),
    };
    let (prefix, start, end) = (query("prefix").unwrap_or(""), query("start").unwrap_or(""), query("end"));
    let state = call.service.storage.state();
    let mut matching = state.bucket(&call.route.bucket)?.objects.iter().filter(|(name, _)| {
        name.starts_with(prefix)
            && name.as_str() >= start
            && end.is_none_or(|end| name.as_str() < end)
            && query("startAfter").is_none_or(|after| name.as_str() > after)
    });
    let page: Vec<_> = matching
        .by_ref()
        .take(limit)
        .map(|(name, object)| json!({ "name": name, "size": object.size(), "etag": object.etag }))
        .collect();
    let mut shown = json!({ "objects": page, "prefixes": [] });
    if let Some((name, _)) = matching.next() {
        shown["nextStartWith"] = name.as_str().into();
    }
    Ok(Reply::json(200, &shown))
}

pub(crate) async fn put(call: &Call<'_>, body: &mut Body<'_>) -> Handled {
    check_length(call)?;
    let name = call.route.object_name();
    let about = About::from_head(call.head)?;
    let conditions = Conditions::from_head(call.head)?;
    let sse_key_sha256 = customer_key(call.head)?;
    let claims = Claims::from_head(call.head, None)?;
    conditions.check(call.service.storage.state().bucket(&call.route.bucket)?.objects.get(name))?;
    let intake = take(call, body, &claims).await?;

    let now = call.now();
    let mut sums = Vec::new();
    sums.extend(intake.stored.md5_text().map(|text| ("content-md5", text)));
    if let Some(algorithm) = claims.algorithm {
        sums.extend(algorithm.text(&intake.stored).map(|text| (algorithm.header(), text)));
    }
    let object = Object {
        etag: uuid(),
        version: uuid(),
        modified_ms: now,
        segments: vec![intake.segment],
        about,
        parts: 0,
        sums,
        crc32c: intake.stored.crc32c,
        sse_key_sha256,
    };
    let mut reply = Reply::empty(200)
        .with("etag", &object.etag)
        .with("last-modified", http_date(now))
        .with("version-id", &object.version)
        .with_some("opc-content-md5", intake.reported.md5_text());
    if let Some(algorithm) = claims.algorithm {
        reply = reply.with_some(algorithm.header(), algorithm.text(&intake.reported));
    }
    reply.note = claims.idle.map(|name| format!("{name} does not count without its opc-checksum-algorithm"));
    let mut state = call.service.storage.state();
    let bucket = state.bucket_mut(&call.route.bucket)?;
    conditions.check(bucket.objects.get(name))?;
    bucket.objects.insert(name.to_owned(), object);
    Ok(reply)
}

pub(crate) fn head(call: &Call<'_>) -> Handled {
    let object = find(call)?;
    Ok(match read_conditions(call, &object)? {
        Some(reply) => reply,
        None => describe(&object, 200).claiming(object.size()),
    })
}

pub(crate) fn get(call: &Call<'_>) -> Handled {
    let object = find(call)?;
    if let Some(reply) = read_conditions(call, &object)? {
        return Ok(reply);
    }
    if object.segments.iter().any(|segment| matches!(segment, Segment::Void(1..))) {
        let message = "This cloud runs in sink mode: it drops the bytes it receives";
        return Err(Fail::new(501, "MethodNotImplemented", message).into());
    }
    let size = object.size();
    let Some(range) = call.head.get("range") else {
        let mut reply = describe(&object, 200);
        reply.payload = Payload::Segments(Slice::cut(&object.segments, 0, size));
        return Ok(reply);
    };
    let Some((from, len)) = parse_range(range, size) else {
        let fail = Fail::new(416, "InvalidRange", "The range is not satisfiable");
        return Ok(fail.reply().with("content-range", format!("bytes */{size}")));
    };
    let mut reply =
        describe(&object, 206).with("content-range", format!("bytes {from}-{}/{size}", from + len - 1));
    reply.payload = Payload::Segments(Slice::cut(&object.segments, from, len));
    Ok(reply)
}

pub(crate) fn delete(call: &Call<'_>) -> Handled {
    let object = find(call)?;
    let conditions = Conditions::from_head(call.head)?;
    conditions.check(Some(&object))?;
    let mut state = call.service.storage.state();
    let removed = state.bucket_mut(&call.route.bucket)?.objects.remove(call.route.object_name());
    drop(state);
    drop(removed);
    Ok(Reply::empty(204)
        .with("last-modified", http_date(object.modified_ms))
        .with("version-id", object.version))
}

fn find(call: &Call<'_>) -> Result<Object, Fail> {
    let object = call.service.storage.object(&call.route.bucket, call.route.object_name())?;
    if call.route.target.query("versionId").is_some_and(|version| version != object.version) {
        return Err(Fail::new(404, "ObjectNotFound", "There is no such version"));
    }
    Ok(object)
}

/// `if-match` and `if-none-match` of reads, and the customer key: an answer instead of the object, if there is one.
fn read_conditions(call: &Call<'_>, object: &Object) -> Result<Option<Reply>, Fail> {
    if call.head.get("if-match").is_some_and(|etag| etag != object.etag) {
        return Err(Fail::new(412, "IfMatchFailed", "The If-Match header does not match the object's etag"));
    }
    if call.head.get("if-none-match").is_some_and(|etag| etag == object.etag) {
        return Ok(Some(Reply::empty(304).with("etag", &object.etag)));
    }
    check_customer_key(customer_key(call.head)?.as_deref(), object.sse_key_sha256.as_deref())?;
    Ok(None)
}

fn describe(object: &Object, status: u16) -> Reply {
    let reply = object.about.describe(Reply::empty(status));
    let reply = reply
        .with("accept-ranges", "bytes")
        .with("etag", &object.etag)
        .with("last-modified", http_date(object.modified_ms))
        .with("version-id", &object.version);
    object.sums.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
}

/// One range of an object: where it starts and how long it is. `None` if it is malformed or outside.
fn parse_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u64>().ok() } else { None }
    };
    let (from, end) = match (from, to) {
        ("", suffix) => (size.saturating_sub(number(suffix)?), size),
        (from, "") => (number(from)?, size),
        (from, to) => (number(from)?, number(to)?.checked_add(1)?.min(size)),
    };
    (from < end).then(|| (from, end - from))
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=0-3", 10), Some((0, 4)));
        assert_eq!(parse_range("bytes=8-", 10), Some((8, 2)));
        assert_eq!(parse_range("bytes=8-99", 10), Some((8, 2)));
        assert_eq!(parse_range("bytes=-4", 10), Some((6, 4)));
        assert_eq!(parse_range("bytes=-40", 10), Some((0, 10)));
        for bad in
            ["bytes=10-", "bytes=5-4", "bytes=-0", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=-"]
        {
            assert_eq!(parse_range(bad, 10), None, "{bad}");
        }
    }
}
