//! Uploads of streams: bytes that are read once, length unknown.

use std::io::{self, Read};

use outlast_core::ErrorKind;
use outlast_core::engine::upload::spec::UploadOptions;
use outlast_wasm_host::{Session, Upload, UploadSource};

use crate::common::{Lab, MIB, bytes, parts, target, wait};

/// Bytes in uneven pieces, as pipes give them.
struct Pipe {
    bytes: io::Cursor<Vec<u8>>,
    piece: usize,
    /// Fails at the end instead of ending.
    broken: bool,
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.piece = self.piece % 70_000 + 997;
        let len = self.piece.min(out.len());
        match self.bytes.read(&mut out[..len])? {
            0 if self.broken => Err(io::Error::other("the writer has gone")),
            read => Ok(read),
        }
    }
}

async fn start(session: &Session, name: &str, len: u64, broken: bool, options: UploadOptions) -> Upload {
    let pipe = Pipe { bytes: io::Cursor::new(bytes(name, len)), piece: 0, broken };
    let source = UploadSource::Reader { reader: Box::new(pipe), name: "pipe".into() };
    session.client().upload(session, source, target(name), options).await.expect("it can be started")
}

#[tokio::test]
async fn streams_of_every_length_arrive_whole() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    for (len, count) in [(0, 0..=1), (1, 0..=1), (MIB, 1..=2), (MIB + 1, 2..=2), (9 * MIB + 5, 10..=10)] {
        let name = format!("stream {len}");
        let upload = start(&session, &name, len, false, parts(MIB, 3)).await;
        let outcome = wait(&upload).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((outcome.size, outcome.verified, outcome.retries), (len, true, 0), "{name}");
        assert!(count.contains(&outcome.parts), "{name}: {} parts", outcome.parts);
        assert_eq!(upload.progress().total, Some(len), "{name}");
        lab.assert_stored(&name, &bytes(&name, len));
    }
}

#[tokio::test]
async fn two_streams_and_a_file_go_side_by_side() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    let path = lab.file("file", 5 * MIB);
    let first = start(&session, "first", 6 * MIB + 1, false, parts(MIB, 2)).await;
    let second = start(&session, "second", 4 * MIB, false, parts(MIB, 2)).await;
    let file = crate::common::start(&session, &path, "file", parts(MIB, 2)).await;
    for (name, upload) in [("first", first), ("second", second), ("file", file)] {
        let outcome = wait(&upload).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        lab.assert_stored(name, &bytes(name, outcome.size));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_leaves_nothing() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    let upload = start(&session, "broken", 5 * MIB, true, parts(MIB, 2)).await;
    let error = wait(&upload).await.expect_err("it breaks");
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().contains("pipe cannot be read: the writer has gone"), "{error}");
    assert!(!upload.is_resumable());
    assert!(lab.control.uploads().is_empty(), "nothing is left at the service");
    assert!(lab.control.object_bytes(crate::common::BUCKET, "broken").is_err(), "there is no object");
}

#[tokio::test]
async fn parts_that_do_not_fit_into_memory_are_refused_beforehand() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    let source = UploadSource::Reader { reader: Box::new(io::empty()), name: "pipe".into() };
    let error = client.upload(&session, source, target("large"), UploadOptions::default()).await;
    let error = error.expect_err("ten parts of 128 MiB");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("choose smaller parts"), "{error}");
}
