//! Multipart uploads: create, parts, lists, commit, abort.

use super::about::{Algorithm, Claims, Conditions, CreateBody, check_customer_key, customer_key};
use super::digest::combine;
use super::intake::{check_length, take};
use super::pages::Page;
use super::{Object, Part, State, Upload};
use crate::clock::{http_date, rfc3339};
use crate::http::body::Body;
use crate::http::reply::{Fail, Reply};
use crate::random::uuid;
use crate::route::check_object_name;
use crate::service::{Call, Handled};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Part numbers are 1 to this.
const MAX_PART_NUMBER: u32 = 10_000;

/// Body of CommitMultipartUpload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CommitBody {
    parts_to_commit: Vec<CommitPart>,
    #[serde(default)]
    parts_to_exclude: Option<Vec<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CommitPart {
    part_num: u32,
    etag: String,
    /// What the official SDK for TypeScript adds for its own progress bar; it says nothing here.
    #[serde(default, rename = "progress")]
    _progress: Option<String>,
}

pub(crate) fn create(call: &Call<'_>, body: &[u8]) -> Handled {
    let parsed: CreateBody = serde_json::from_slice(body).map_err(|error| unparsable(&error))?;
    let (object, about) = parsed.split()?;
    check_object_name(&object)?;
    let conditions = Conditions::from_head(call.head)?;
    let algorithm = Algorithm::from_head(call.head)?;
    let sse_key_sha256 = customer_key(call.head)?;
    let (now, bucket) = (call.now(), &call.route.bucket);
    let mut state = call.service.storage.state();
    conditions.check(state.bucket(bucket)?.objects.get(&object))?;
    let id = uuid();
    let upload = Upload {
        bucket: bucket.clone(),
        object,
        created_ms: now,
        about,
        algorithm,
        conditions,
        sse_key_sha256,
        parts: BTreeMap::new(),
    };
    let shown = shown(&call.route.namespace, &id, &upload);
    state.uploads.insert(id.clone(), upload);
    drop(state);
    call.service.ledger.count(|stats| stats.created += 1);
    Ok(Reply::json(200, &shown).with("location", format!("{}/{id}", call.route.target.path)))
}

pub(crate) async fn put_part(call: &Call<'_>, body: &mut Body<'_>) -> Handled {
    check_length(call)?;
    let id = upload_id(call)?;
    let number = call.route.part().filter(|number| (1..=MAX_PART_NUMBER).contains(number));
    let number = number.ok_or_else(|| {
        Fail::new(400, "InvalidUploadPartNumber", "uploadPartNum is not a number from 1 to 10000")
    })?;
    let conditions = Conditions::from_head(call.head)?;
    let (algorithm, sse) = {
        let state = call.service.storage.state();
        let upload = find(&state, call, id)?;
        if call.settings.preconditions_at_commit {
            conditions.check(state.bucket(&call.route.bucket)?.objects.get(&upload.object))?;
        }
        (upload.algorithm, upload.sse_key_sha256.clone())
    };
    check_customer_key(customer_key(call.head)?.as_deref(), sse.as_deref())?;
    let claims = Claims::from_head(call.head, algorithm)?;
    let intake = take(call, body, &claims).await?;

    let etag = uuid();
    let mut reply =
        Reply::empty(200).with("etag", &etag).with_some("opc-content-md5", intake.reported.md5_text());
    if let Some(algorithm) = claims.algorithm {
        reply = reply.with_some(algorithm.header(), algorithm.text(&intake.reported));
    }
    reply.note = claims.idle.map(|name| format!("{name} does not count without its opc-checksum-algorithm"));
    let mut state = call.service.storage.state();
    find(&state, call, id)?;
    let upload = state.uploads.get_mut(id).ok_or_else(|| gone(call))?;
    let times = upload.parts.get(&number).map_or(0, |part| part.times) + 1;
    let (reported, stored, segment) = (intake.reported, intake.stored, intake.segment);
    let replaced = upload.parts.insert(number, Part { etag, segment, reported, stored, times });
    drop(state);
    drop(replaced);
    call.service.ledger.count(|stats| {
        stats.parts_stored += 1;
        *stats.stored_by_part.entry(number).or_default() += 1;
    });
    Ok(reply)
}

pub(crate) fn list_parts(call: &Call<'_>) -> Handled {
    let page = Page::from_query(&call.route.target, call.settings.page_size)?;
    let state = call.service.storage.state();
    let upload = find(&state, call, upload_id(call)?)?;
    let item = |(number, part): (&u32, &Part)| {
        let md5 = if call.plan.wrong_list_md5(*number) {
            Some("AAAAAAAAAAAAAAAAAAAAAA==".into())
        } else {
            part.reported.md5_text()
        };
        let item = json!({ "partNumber": number, "etag": part.etag, "md5": md5, "size": part.segment.len() });
        (format!("{number:05}"), item)
    };
    Ok(page.cut(upload.parts.iter().map(item)))
}

pub(crate) fn list_uploads(call: &Call<'_>) -> Handled {
    let page = Page::from_query(&call.route.target, call.settings.page_size)?;
    let bucket = &call.route.bucket;
    let state = call.service.storage.state();
    state.bucket(bucket)?;
    let mut uploads: Vec<(String, Value)> = state
        .uploads
        .iter()
        .filter(|(_, upload)| upload.bucket == *bucket)
        .map(|(id, upload)| (format!("{}\0{id}", upload.object), shown(&call.route.namespace, id, upload)))
        .collect();
    uploads.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(page.cut(uploads.into_iter()))
}

pub(crate) fn abort(call: &Call<'_>) -> Handled {
    let id = upload_id(call)?;
    let mut state = call.service.storage.state();
    find(&state, call, id)?;
    let upload = state.uploads.remove(id);
    drop(state);
    drop(upload);
    call.service.ledger.count(|stats| stats.aborted += 1);
    Ok(Reply::empty(204))
}

pub(crate) fn commit(call: &Call<'_>, body: &[u8]) -> Handled {
    let parsed: CommitBody = serde_json::from_slice(body).map_err(|error| unparsable(&error))?;
    let id = upload_id(call)?;
    let conditions = Conditions::from_head(call.head)?;
    let now = call.now();
    let mut state = call.service.storage.state();
    let upload = find(&state, call, id)?;
    check_lists(&parsed, upload, call.settings.min_part_bytes)?;
    let current = state.bucket(&upload.bucket)?.objects.get(&upload.object);
    conditions.check(current)?;
    if call.settings.preconditions_at_commit {
        upload.conditions.check(current)?;
    }
    let chosen: BTreeSet<u32> = parsed.parts_to_commit.iter().map(|part| part.part_num).collect();
    let upload = state.uploads.remove(id).ok_or_else(|| gone(call))?;
    let parts: Vec<Part> =
        upload.parts.into_iter().filter(|(n, _)| chosen.contains(n)).map(|(_, p)| p).collect();
    let whole = combine(&parts.iter().map(|part| &part.stored).collect::<Vec<_>>());
    let mut sums = Vec::new();
    sums.extend(whole.md5.map(|text| ("opc-multipart-md5", text)));
    match upload.algorithm {
        Some(Algorithm::Crc32c) => {
            sums.extend(whole.crc32c.map(|crc| ("opc-content-crc32c", super::digest::crc32c_text(crc))));
        }
        Some(Algorithm::Sha256) => sums.extend(whole.sha256.map(|text| ("opc-multipart-sha256", text))),
        Some(Algorithm::Sha384) => sums.extend(whole.sha384.map(|text| ("opc-multipart-sha384", text))),
        None => {}
    }
    let object = Object {
        etag: uuid(),
        version: uuid(),
        modified_ms: now,
        parts: parts.len(),
        segments: parts.into_iter().map(|part| part.segment).collect(),
        about: upload.about,
        sums,
        crc32c: whole.crc32c,
        sse_key_sha256: upload.sse_key_sha256,
    };
    let mut reply = Reply::empty(200)
        .with("etag", &object.etag)
        .with("last-modified", http_date(now))
        .with("version-id", &object.version);
    for (name, value) in &object.sums {
        reply.set(name, value);
    }
    state.bucket_mut(&upload.bucket)?.objects.insert(upload.object, object);
    drop(state);
    call.service.ledger.count(|stats| stats.committed += 1);
    Ok(reply)
}

/// Every part in exactly one list, with its current etag; something to commit; no short part but the last.
fn check_lists(body: &CommitBody, upload: &Upload, min_part_bytes: u64) -> Result<(), Fail> {
    let refuse = |message: String| Err(Fail::new(400, "InvalidUploadPart", message));
    if body.parts_to_commit.is_empty() {
        return refuse("There are no parts to commit".into());
    }
    let mut seen = BTreeSet::new();
    for listed in &body.parts_to_commit {
        let number = listed.part_num;
        if !seen.insert(number) {
            return refuse(format!("Part {number} is listed twice"));
        }
        match upload.parts.get(&number) {
            None => return refuse(format!("Part {number} was not uploaded")),
            Some(part) if part.etag != listed.etag => {
                return refuse(format!("The etag of part {number} is not the current one"));
            }
            Some(_) => {}
        }
    }
    let last = seen.last().copied();
    for number in body.parts_to_exclude.iter().flatten() {
        if !seen.insert(*number) {
            return refuse(format!("Part {number} is listed twice"));
        }
        if !upload.parts.contains_key(number) {
            return refuse(format!("Excluded part {number} was not uploaded"));
        }
    }
    if let Some(number) = upload.parts.keys().find(|number| !seen.contains(number)) {
        return refuse(format!("Part {number} is in neither list"));
    }
    let short = body.parts_to_commit.iter().map(|part| part.part_num).find(|number| {
        Some(*number) != last
            && upload.parts.get(number).is_some_and(|part| part.segment.len() < min_part_bytes)
    });
    match short {
        Some(number) => refuse(format!("Part {number} is smaller than the minimum and not the last")),
        None => Ok(()),
    }
}

fn upload_id<'a>(call: &Call<'a>) -> Result<&'a str, Fail> {
    call.route.upload_id().ok_or_else(|| Fail::new(400, "MissingUploadId", "uploadId is missing"))
}

/// The upload a request names, if it is of this bucket and object.
fn find<'s>(state: &'s State, call: &Call<'_>, id: &str) -> Result<&'s Upload, Fail> {
    let route = call.route;
    state.bucket(&route.bucket)?;
    let upload = state.uploads.get(id);
    upload
        .filter(|upload| upload.bucket == route.bucket && upload.object == route.object_name())
        .ok_or_else(|| gone(call))
}

fn gone(call: &Call<'_>) -> Fail {
    Fail::new(404, call.settings.upload_gone_code.as_str(), "No such upload")
}

fn shown(namespace: &str, id: &str, upload: &Upload) -> Value {
    let mut item = json!({
        "namespace": namespace,
        "bucket": upload.bucket,
        "object": upload.object,
        "uploadId": id,
        "timeCreated": rfc3339(upload.created_ms),
    });
    if let Some(tier) = &upload.about.storage_tier {
        item["storageTier"] = tier.as_str().into();
    }
    item
}

fn unparsable(error: &serde_json::Error) -> Fail {
    Fail::new(400, "CannotParseRequest", "The request body could not be parsed").noted(error.to_string())
}
