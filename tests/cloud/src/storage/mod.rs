//! Buckets, objects and multipart uploads, and the object storage endpoints over them.

pub(crate) mod about;
pub(crate) mod digest;
pub(crate) mod face;
pub(crate) mod intake;
pub(crate) mod objects;
pub(crate) mod pages;
pub(crate) mod segment;
pub(crate) mod uploads;

use crate::clock::Millis;
use crate::config::Store;
use crate::error::{Error, ErrorKind};
use crate::fault::Shows;
use crate::http::reply::Fail;
use crate::random::uuid;
use about::About;
use digest::{Digester, Digests};
use segment::Segment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A stored part, as the control interface shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// Part number.
    pub part: u32,
    /// Its current etag.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// Base64 MD5 of what is stored (not of what a lying server reports).
    pub md5: Option<String>,
    /// Base64 CRC32C of what is stored.
    pub crc32c: Option<String>,
    /// How often this number was stored.
    pub stored: u64,
}

/// An upload that is neither committed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInfo {
    /// Upload id.
    pub id: String,
    /// Bucket.
    pub bucket: String,
    /// Object name.
    pub object: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// Its parts by number.
    pub parts: Vec<PartInfo>,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Bucket.
    pub bucket: String,
    /// Object name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Its current etag.
    pub etag: String,
    /// Parts it was committed from; 0 for a single put.
    pub parts: usize,
    /// Base64 CRC32C of the stored bytes, whether or not anybody asked for it.
    pub crc32c: Option<String>,
    /// Base64 MD5 of a single put, or the combined MD5 with `-n`.
    pub md5: Option<String>,
    /// Metadata by full header name (`opc-meta-...`).
    pub metadata: BTreeMap<String, String>,
    /// Content type, if one was given.
    pub content_type: Option<String>,
    /// Storage tier.
    pub storage_tier: String,
}

/// The current thing under a name in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) etag: String,
    pub(crate) version: String,
    pub(crate) modified_ms: Millis,
    pub(crate) segments: Vec<Segment>,
    pub(crate) about: About,
    pub(crate) parts: usize,
    /// Checksums as headers of GET and HEAD.
    pub(crate) sums: Vec<(&'static str, String)>,
    pub(crate) crc32c: Option<u32>,
    pub(crate) sse_key_sha256: Option<String>,
}

impl Object {
    pub(crate) fn size(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    fn info(&self, bucket: &str, name: &str) -> ObjectInfo {
        let md5 = self.sums.iter().find(|(header, _)| matches!(*header, "content-md5" | "opc-multipart-md5"));
        ObjectInfo {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            size: self.size(),
            etag: self.etag.clone(),
            parts: self.parts,
            crc32c: self.crc32c.map(digest::crc32c_text),
            md5: md5.map(|(_, value)| value.clone()),
            metadata: self.about.metadata.clone(),
            content_type: self.about.content_type.clone(),
            storage_tier: self.about.tier().to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) segment: Segment,
    /// What the part's answer and the list say.
    pub(crate) reported: Digests,
    /// What the object's checksums are made of.
    pub(crate) stored: Digests,
    pub(crate) times: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) object: String,
    pub(crate) created_ms: Millis,
    pub(crate) about: About,
    pub(crate) algorithm: Option<about::Algorithm>,
    pub(crate) conditions: about::Conditions,
    pub(crate) sse_key_sha256: Option<String>,
    pub(crate) parts: BTreeMap<u32, Part>,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) etag: String,
    pub(crate) created_ms: Millis,
    pub(crate) objects: BTreeMap<String, Object>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) buckets: BTreeMap<String, Bucket>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// Everything stored.
pub(crate) struct Storage {
    state: Mutex<State>,
    /// Checksums of parts that a sink without checks will report as if it had computed them.
    foretold: Mutex<BTreeMap<u32, Digests>>,
    pub(crate) store: Store,
}

impl Storage {
    pub(crate) fn new(store: Store, buckets: &[String], now: Millis) -> Self {
        let storage = Self { state: Mutex::default(), foretold: Mutex::default(), store };
        for bucket in buckets {
            storage.add_bucket(bucket, now);
        }
        storage
    }

    pub(crate) fn add_bucket(&self, name: &str, now: Millis) {
        let fresh = || Bucket { etag: uuid(), created_ms: now, objects: BTreeMap::new() };
        self.state().buckets.entry(name.to_owned()).or_insert_with(fresh);
    }

    /// Says what will come as parts 1, 2, 3 …
    pub(crate) fn foretell(&self, parts: Vec<Digests>) {
        *self.foretold.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (1..).zip(parts).collect();
    }

    /// What a part of this number and size was said to be; nothing but its size if nothing was said.
    pub(crate) fn foretold(&self, part: Option<u32>, size: u64) -> Digests {
        let foretold = self.foretold.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let said = part.and_then(|part| foretold.get(&part)).filter(|said| said.size == size);
        said.cloned().unwrap_or(Digests { size, ..Digests::default() })
    }

    /// Drops all objects and uploads; buckets stay.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.uploads.clear();
        state.buckets.values_mut().for_each(|bucket| bucket.objects.clear());
    }

    pub(crate) fn upload_infos(&self) -> Vec<UploadInfo> {
        let state = self.state();
        state.uploads.iter().map(|(id, upload)| upload.info(id)).collect()
    }

    pub(crate) fn object_infos(&self) -> Vec<ObjectInfo> {
        let state = self.state();
        let of = |(bucket, contents): (&String, &Bucket)| {
            contents.objects.iter().map(|(name, object)| object.info(bucket, name)).collect::<Vec<_>>()
        };
        state.buckets.iter().flat_map(of).collect()
    }

    /// Flips a bit in a stored part.
    pub(crate) fn corrupt_part(&self, upload: &str, number: u32, shows: Shows) -> Result<(), Error> {
        let missing =
            |what: &str| Error::new(ErrorKind::Missing, format!("cannot damage part {number}: {what}"));
        let mut state = self.state();
        let upload = state.uploads.get_mut(upload).ok_or_else(|| missing("no such upload"))?;
        let part = upload.parts.get_mut(&number).ok_or_else(|| missing("it was not uploaded"))?;
        let bytes = part.segment.bytes().ok_or_else(|| missing("its bytes were dropped"))?;
        let unreadable = |error| Error::io(ErrorKind::File, "cannot read a stored part", error);
        let mut bytes = bytes.map_err(unreadable)?.to_vec();
        *bytes.first_mut().ok_or_else(|| missing("it is empty"))? ^= 1;
        let mut digester = Digester::new(part.stored.wanted());
        digester.update(&bytes);
        part.segment = Segment::Memory(bytes.into());
        let damaged = digester.finish();
        match shows {
            Shows::Always => (part.reported, part.stored) = (damaged.clone(), damaged),
            Shows::AtCommit => part.stored = damaged,
            Shows::Never => {}
        }
        Ok(())
    }

    /// A copy of what is stored under a name.
    pub(crate) fn object(&self, bucket: &str, name: &str) -> Result<Object, Fail> {
        let state = self.state();
        let object = state.bucket(bucket)?.objects.get(name).cloned();
        object.ok_or_else(|| {
            Fail::new(
                404,
                "ObjectNotFound",
                format!("The object '{name}' was not found in the bucket '{bucket}'"),
            )
        })
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn bucket(&self, name: &str) -> Result<&Bucket, Fail> {
        self.buckets.get(name).ok_or_else(|| no_bucket(name))
    }

    pub(crate) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Fail> {
        self.buckets.get_mut(name).ok_or_else(|| no_bucket(name))
    }
}

fn no_bucket(name: &str) -> Fail {
    Fail::new(
        404,
        "BucketNotFound",
        format!("Either the bucket named '{name}' does not exist or you are not authorized to access it"),
    )
}

impl Upload {
    fn info(&self, id: &str) -> UploadInfo {
        let part = |(number, part): (&u32, &Part)| PartInfo {
            part: *number,
            etag: part.etag.clone(),
            size: part.segment.len(),
            md5: part.stored.md5_text(),
            crc32c: part.stored.crc32c_text(),
            stored: part.times,
        };
        UploadInfo {
            id: id.to_owned(),
            bucket: self.bucket.clone(),
            object: self.object.clone(),
            created_ms: self.created_ms,
            parts: self.parts.iter().map(part).collect(),
        }
    }
}
