//! The yardstick: what a competent afternoon with reqwest gives.
//!
//! Uploads a file in parallel parts and compares the same checksum as `outlast put` does by default (CRC32C of every part),
//! but with no refresh, no retries, no journal, no rate, no resume. The difference between this process and `outlast put`
//! is what all of that costs. Plain HTTP only.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use futures_util::stream;
use outlast_core::engine::checksum::{Digests, Hasher, Wanted};
use outlast_core::engine::claims::session_grant;
use outlast_core::engine::credential::Credential;
use outlast_core::engine::sign::{SigningKey, authorize};
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::spec::{ChecksumAlgorithm, ObjectProperties, Precondition, Target};
use outlast_core::engine::wire::{Reply, Request, oci};
use tokio::sync::{Semaphore, mpsc};

/// Bytes per read, the same as the library's default.
const BLOCK: usize = 256 * 1024;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    key_file: PathBuf,
    #[arg(long)]
    token_file: PathBuf,
    #[arg(long)]
    namespace: String,
    #[arg(long)]
    bucket: String,
    #[arg(long)]
    name: String,
    #[arg(long)]
    file: PathBuf,
    /// MiB
    #[arg(long)]
    part_size: u64,
    #[arg(long)]
    parallel: usize,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Uploader {
    client: reqwest::Client,
    endpoint: String,
    host: String,
    credential: Credential,
}

impl Uploader {
    #[expect(clippy::disallowed_methods, reason = "a driver of its own: requests are dated")]
    /// Signs and sends one request; anything but 2xx is an error.
    async fn send(&self, request: &Request, body: Option<(reqwest::Body, u64)>) -> Result<Reply, Failure> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let date = UnixMillis(i64::try_from(now.as_millis())?);
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes())?;
        let mut call = self.client.request(method, format!("{}{}", self.endpoint, request.target));
        for (name, value) in &request.headers {
            call = call.header(*name, value);
        }
        let signed = authorize(request, &self.host, date, &self.credential)?;
        for (name, value) in &signed.headers {
            if !matches!(&**name, "host" | "content-length") {
                call = call.header(&**name, value.expose());
            }
        }
        call = match body {
            Some((body, len)) => call.header("content-length", len).body(body),
            None => call.body(request.json.clone()),
        };
        let answer = call.send().await?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let reply = Reply { status, headers, body: answer.bytes().await?.to_vec() };
        if (200..300).contains(&status) {
            Ok(reply)
        } else {
            Err(format!("{request:?}: {status} {}", String::from_utf8_lossy(&reply.body)).into())
        }
    }
}

/// Streams a range of the file, hashing it in the same pass.
fn body(
    file: Arc<File>,
    mut offset: u64,
    len: u64,
    wanted: Wanted,
) -> (reqwest::Body, mpsc::Receiver<Digests>) {
    let (blocks, blocks_out) = mpsc::channel::<Result<Bytes, io::Error>>(1);
    let (done, done_out) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut hasher = Hasher::new(wanted);
        let end = offset + len;
        while offset < end {
            let mut block = vec![0; BLOCK.min(usize::try_from(end - offset).unwrap_or(BLOCK))];
            if let Err(error) = file.read_exact_at(&mut block, offset) {
                let _ = blocks.blocking_send(Err(error));
                return;
            }
            hasher.update(&block);
            offset += block.len() as u64;
            if blocks.blocking_send(Ok(Bytes::from(block))).is_err() {
                return;
            }
        }
        let _ = done.blocking_send(hasher.finish());
    });
    let blocks = stream::unfold(blocks_out, |mut blocks| async { Some((blocks.recv().await?, blocks)) });
    (reqwest::Body::wrap_stream(blocks), done_out)
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let key = Arc::new(SigningKey::from_pem(&std::fs::read(&args.key_file)?, None)?);
    let grant = session_grant(&std::fs::read_to_string(&args.token_file)?, key)?;
    let host = args.endpoint.split("://").nth(1).unwrap_or_default().to_owned();
    // The workspace's reqwest brings no provider of its own; the sink speaks plain HTTP anyway.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().http1_only().pool_max_idle_per_host(args.parallel).build()?;
    let uploader = Arc::new(Uploader {
        client,
        endpoint: args.endpoint.clone(),
        host,
        credential: grant.credential.clone(),
    });
    let target = Target { namespace: args.namespace, bucket: args.bucket, object: args.name };
    let file = Arc::new(File::open(&args.file)?);
    let size = file.metadata()?.len();
    let part_size = args.part_size << 20;
    let asked = Some(ChecksumAlgorithm::Crc32c);
    let create = oci::create_upload(&target, &ObjectProperties::default(), &Precondition::None, asked);
    let upload = oci::parse_created(&uploader.send(&create, None).await?)?.upload_id;
    let permits = Arc::new(Semaphore::new(args.parallel));
    let mut tasks = Vec::new();
    for number in 1..=u32::try_from(size.div_ceil(part_size))? {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let (uploader, target, upload, file) =
            (Arc::clone(&uploader), target.clone(), upload.clone(), Arc::clone(&file));
        let wanted = Wanted { crc32c: true, ..Wanted::default() };
        tasks.push(tokio::spawn(async move {
            let offset = u64::from(number - 1) * part_size;
            let len = part_size.min(size - offset);
            let (body, mut digests) = body(file, offset, len, wanted);
            let request = oci::upload_part(&target, &upload, number, None, asked, None);
            let facts = oci::object_facts(&uploader.send(&request, Some((body, len))).await?);
            let ours = digests.recv().await.ok_or("the part was not read to its end")?;
            if facts.crc32c != ours.crc32c_base64() {
                return Err(Failure::from(format!("part {number}: checksums differ")));
            }
            drop(permit);
            Ok((number, facts.etag.unwrap_or_default()))
        }));
    }
    let mut etags = Vec::new();
    for task in tasks {
        etags.push(task.await??);
    }
    let parts = etags.iter().map(|(number, etag)| (*number, etag.as_str()));
    uploader.send(&oci::commit(&target, &upload, parts), None).await?;
    Ok(())
}
