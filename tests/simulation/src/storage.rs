//! The storage service: uploads, parts, objects, and its ledger of what was stored how often.

use std::collections::BTreeMap;

use outlast_core::engine::checksum::{
    Digests, Wanted, combine_crc32c, crc32c_base64, multipart_md5, multipart_sha256, multipart_sha384,
};
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::spec::ChecksumAlgorithm;
use outlast_core::engine::wire::{Reply, Request};

use crate::ask::{Ask, asked_algorithm, header};
use crate::content::Chunk;
use crate::reply;

/// A part as stored.
#[derive(Clone, Debug)]
struct Part {
    chunk: Chunk,
    etag: String,
    digests: Digests,
}

/// An upload that is neither committed nor aborted.
#[derive(Clone, Debug)]
struct Pending {
    object: String,
    created: UnixMillis,
    algorithm: Option<ChecksumAlgorithm>,
    parts: BTreeMap<u32, Part>,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub chunks: Vec<Chunk>,
    /// Its etag.
    pub etag: String,
    /// Headers about its checksums.
    sums: Vec<(&'static str, String)>,
    multipart: bool,
}

/// The storage service, one bucket of it.
#[derive(Debug)]
pub struct Storage {
    /// Longest page of a listing.
    pub page: usize,
    /// It knows additional checksums, not only MD5.
    pub speaks_checksums: bool,
    pending: BTreeMap<String, Pending>,
    objects: BTreeMap<String, Object>,
    /// How often each part of each upload was stored.
    pub stores: BTreeMap<(String, u32), u32>,
    named: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            page: 1000,
            speaks_checksums: true,
            pending: BTreeMap::new(),
            objects: BTreeMap::new(),
            stores: BTreeMap::new(),
            named: 0,
        }
    }
}

impl Storage {
    /// An object by name.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(name)
    }

    /// Ids of the uploads of this name that are neither committed nor aborted.
    pub fn pending(&self, object: &str) -> Vec<String> {
        self.pending.iter().filter(|(_, upload)| upload.object == object).map(|(id, _)| id.clone()).collect()
    }

    /// Drops an upload, as a lifecycle rule or another program would.
    pub fn drop_upload(&mut self, id: &str) {
        self.pending.remove(id);
    }

    fn name(&mut self, prefix: &str) -> String {
        self.named += 1;
        format!("{prefix}-{}", self.named)
    }

    /// Carries a request out. `body`: what arrived of the source's bytes.
    pub fn answer(&mut self, request: &Request, ask: &Ask, body: Option<Chunk>, now: UnixMillis) -> Reply {
        match ask {
            Ask::Create { object } => self.create(object, request, now),
            Ask::Part { upload, number } => self.store_part(upload, *number, request, body, now),
            Ask::ListParts { upload, page, limit } => self.list_parts(upload, page.as_deref(), *limit, now),
            Ask::ListUploads { page, limit } => self.list_uploads(page.as_deref(), *limit, now),
            Ask::Commit { upload, parts } => self.commit(upload, parts, now),
            Ask::Abort { upload } => match self.pending.remove(upload) {
                Some(_) => reply::bare(204, now),
                None => gone(now),
            },
            Ask::Put { object } => self.put(object, request, body, now),
            Ask::Head { object } => self.head(object, now),
        }
    }

    /// What the answer would be, without acting.
    pub fn clone_answer(&self, request: &Request, ask: &Ask, body: Option<Chunk>, now: UnixMillis) -> Reply {
        let mut other = Storage {
            page: self.page,
            speaks_checksums: self.speaks_checksums,
            pending: self.pending.clone(),
            objects: self.objects.clone(),
            stores: BTreeMap::new(),
            named: self.named,
        };
        other.answer(request, ask, body, now)
    }

    fn create(&mut self, object: &str, request: &Request, now: UnixMillis) -> Reply {
        if header(request, "if-none-match").is_some() && self.objects.contains_key(object) {
            return reply::failure(412, "IfNoneMatchFailed", now);
        }
        let id = self.name("upload");
        let pending = Pending {
            object: object.to_owned(),
            created: now,
            algorithm: asked_algorithm(request),
            parts: BTreeMap::new(),
        };
        let body = format!("{{{}}}", describe(&id, &pending));
        self.pending.insert(id, pending);
        reply::json(200, body, now)
    }

    fn wanted(&self, algorithm: Option<ChecksumAlgorithm>) -> Wanted {
        let algorithm = algorithm.filter(|_| self.speaks_checksums);
        Wanted {
            md5: true,
            crc32c: algorithm == Some(ChecksumAlgorithm::Crc32c),
            sha256: algorithm == Some(ChecksumAlgorithm::Sha256),
            sha384: algorithm == Some(ChecksumAlgorithm::Sha384),
        }
    }

    fn store_part(
        &mut self,
        upload: &str,
        number: u32,
        request: &Request,
        body: Option<Chunk>,
        now: UnixMillis,
    ) -> Reply {
        if !self.pending.contains_key(upload) {
            return gone(now);
        }
        let chunk = body.expect("parts have bytes");
        let digests = chunk.digests(self.wanted(asked_algorithm(request)));
        if disagrees(request, &digests) {
            return reply::failure(400, "UnmatchedContentMD5", now);
        }
        let etag = self.name("etag");
        let mut answer = reply::bare(200, now);
        reply::push(&mut answer, "etag", etag.clone());
        push_sums(&mut answer, &sums(&digests));
        reply::push(&mut answer, "content-length", "0".to_owned());
        *self.stores.entry((upload.to_owned(), number)).or_default() += 1;
        let pending = self.pending.get_mut(upload).expect("looked up above");
        pending.parts.insert(number, Part { chunk, etag, digests });
        answer
    }

    fn list_parts(&self, upload: &str, page: Option<&str>, limit: usize, now: UnixMillis) -> Reply {
        let Some(pending) = self.pending.get(upload) else { return gone(now) };
        let after: u32 = page.map_or(0, |text| text.parse().expect("our own page token"));
        let mut rest = pending.parts.range(after + 1..);
        let items: Vec<_> = rest.by_ref().take(limit.min(self.page)).collect();
        let more = rest.next().is_some();
        let list: Vec<String> = items
            .iter()
            .map(|(number, part)| {
                format!(
                    "{{\"partNumber\":{number},\"etag\":\"{}\",\"md5\":\"{}\",\"size\":{}}}",
                    part.etag,
                    part.digests.md5_base64().unwrap_or_default(),
                    part.chunk.len
                )
            })
            .collect();
        let mut answer = reply::json(200, format!("[{}]", list.join(",")), now);
        if let Some((last, _)) = items.last().filter(|_| more) {
            reply::push(&mut answer, "opc-next-page", last.to_string());
        }
        answer
    }

    fn list_uploads(&self, page: Option<&str>, limit: usize, now: UnixMillis) -> Reply {
        let mut rest = self.pending.iter().filter(|(id, _)| page.is_none_or(|page| id.as_str() > page));
        let items: Vec<_> = rest.by_ref().take(limit.min(self.page)).collect();
        let more = rest.next().is_some();
        let list: Vec<String> =
            items.iter().map(|(id, pending)| format!("{{{}}}", describe(id, pending))).collect();
        let mut answer = reply::json(200, format!("[{}]", list.join(",")), now);
        if let Some((last, _)) = items.last().filter(|_| more) {
            reply::push(&mut answer, "opc-next-page", (*last).clone());
        }
        answer
    }

    fn commit(&mut self, upload: &str, listed: &[(u32, String)], now: UnixMillis) -> Reply {
        let Some(pending) = self.pending.get(upload) else { return gone(now) };
        let stored: Vec<(u32, &str)> =
            pending.parts.iter().map(|(number, part)| (*number, part.etag.as_str())).collect();
        let named: Vec<(u32, &str)> = listed.iter().map(|(number, etag)| (*number, etag.as_str())).collect();
        if stored != named || named.is_empty() {
            return reply::failure(400, "InvalidUploadPart", now);
        }
        let parts: Vec<&Part> = pending.parts.values().collect();
        let count = parts.len();
        let mut facts =
            vec![("opc-multipart-md5", multipart_md5(parts.iter().filter_map(|part| part.digests.md5)))];
        match pending.algorithm.filter(|_| self.speaks_checksums) {
            Some(ChecksumAlgorithm::Crc32c) => {
                let all: Vec<_> =
                    parts.iter().filter_map(|part| Some((part.digests.crc32c?, part.chunk.len))).collect();
                let whole = all.iter().fold(0, |whole, (crc, len)| combine_crc32c(whole, *crc, *len));
                facts.extend((all.len() == count).then(|| ("opc-content-crc32c", crc32c_base64(whole))));
            }
            Some(ChecksumAlgorithm::Sha256) => {
                let all: Vec<_> = parts.iter().filter_map(|part| part.digests.sha256).collect();
                facts.extend(
                    (all.len() == count).then(|| ("opc-multipart-sha256", multipart_sha256(all.into_iter()))),
                );
            }
            Some(ChecksumAlgorithm::Sha384) => {
                let all: Vec<_> = parts.iter().filter_map(|part| part.digests.sha384).collect();
                facts.extend(
                    (all.len() == count).then(|| ("opc-multipart-sha384", multipart_sha384(all.into_iter()))),
                );
            }
            None => {}
        }
        let chunks = parts.iter().map(|part| part.chunk.clone()).collect();
        let object = pending.object.clone();
        let etag = self.name("object");
        let mut answer = reply::bare(200, now);
        reply::push(&mut answer, "etag", etag.clone());
        push_sums(&mut answer, &facts);
        // As real servers do: the answer to a commit has an empty body.
        reply::push(&mut answer, "content-length", "0".to_owned());
        self.pending.remove(upload);
        self.objects.insert(object, Object { chunks, etag, sums: facts, multipart: true });
        answer
    }

    fn put(&mut self, object: &str, request: &Request, body: Option<Chunk>, now: UnixMillis) -> Reply {
        let present = self.objects.get(object);
        if header(request, "if-none-match").is_some() && present.is_some() {
            return reply::failure(412, "IfNoneMatchFailed", now);
        }
        if let Some(etag) = header(request, "if-match")
            && present.is_none_or(|present| present.etag != etag)
        {
            return reply::failure(412, "IfMatchFailed", now);
        }
        let chunk = body.expect("objects have bytes");
        let digests = chunk.digests(self.wanted(asked_algorithm(request)));
        if disagrees(request, &digests) {
            return reply::failure(400, "UnmatchedContentMD5", now);
        }
        let etag = self.name("object");
        let facts = sums(&digests);
        let mut answer = reply::bare(200, now);
        reply::push(&mut answer, "etag", etag.clone());
        push_sums(&mut answer, &facts);
        reply::push(&mut answer, "content-length", "0".to_owned());
        *self.stores.entry((object.to_owned(), 1)).or_default() += 1;
        self.objects
            .insert(object.to_owned(), Object { chunks: vec![chunk], etag, sums: facts, multipart: false });
        answer
    }

    fn head(&self, object: &str, now: UnixMillis) -> Reply {
        let Some(object) = self.objects.get(object) else { return reply::bare(404, now) };
        let mut answer = reply::bare(200, now);
        reply::push(&mut answer, "etag", object.etag.clone());
        let size: u64 = object.chunks.iter().map(|chunk| chunk.len).sum();
        reply::push(&mut answer, "content-length", size.to_string());
        for (name, value) in &object.sums {
            // HEAD spells some of them differently (protocols/oci.md section 3.4).
            let (name, value) = match *name {
                "opc-content-md5" => ("content-md5", value.as_str()),
                name if object.multipart => (name, value.split('-').next().unwrap_or_default()),
                name => (name, value.as_str()),
            };
            reply::push(&mut answer, name, value.to_owned());
        }
        answer
    }
}

fn gone(now: UnixMillis) -> Reply {
    reply::failure(404, "NoSuchUpload", now)
}

fn describe(id: &str, pending: &Pending) -> String {
    let created = pending.created.to_string().replace(' ', "T");
    format!(
        "\"namespace\":\"ns\",\"bucket\":\"b\",\"object\":\"{}\",\"uploadId\":\"{id}\",\"timeCreated\":\"{created}\"",
        pending.object
    )
}

/// The checksum headers of a part or of an object stored in one request.
fn sums(digests: &Digests) -> Vec<(&'static str, String)> {
    [
        ("opc-content-md5", digests.md5_base64()),
        ("opc-content-crc32c", digests.crc32c_base64()),
        ("opc-content-sha256", digests.sha256_base64()),
        ("opc-content-sha384", digests.sha384_base64()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn push_sums(reply: &mut Reply, facts: &[(&'static str, String)]) {
    for (name, value) in facts {
        reply::push(reply, name, value.clone());
    }
}

/// Whether the checksums the client sent along are not those of what arrived.
fn disagrees(request: &Request, digests: &Digests) -> bool {
    let pairs = [
        ("content-md5", digests.md5_base64()),
        ("opc-content-crc32c", digests.crc32c_base64()),
        ("opc-content-sha256", digests.sha256_base64()),
        ("opc-content-sha384", digests.sha384_base64()),
    ];
    pairs
        .into_iter()
        .any(|(name, ours)| header(request, name).zip(ours).is_some_and(|(told, ours)| told != ours))
}
