//! What is uploaded: a file, a buffer, or a stream.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::buffer::Pool;
use super::os;
use super::stream::{Opener, Stream};
use super::upload::UploadSource;
use crate::engine::checksum::Wanted;
use crate::engine::command::Filled;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::spec::SourceIdentity;

/// The opened source of an upload.
pub(crate) struct Content {
    identity: SourceIdentity,
    data: Data,
}

enum Data {
    File { file: File, path: Option<PathBuf> },
    Bytes(Bytes),
    Stream(Stream),
}

impl Content {
    /// Opens a source. Regular files are read by position; FIFOs, terminals and devices as streams.
    ///
    /// Local I/O only, and it does not wait: a FIFO is opened when its first byte is wanted.
    /// Errors: `Source` with one line that names the path.
    pub(crate) fn open(source: UploadSource) -> Result<Content, Error> {
        match source {
            UploadSource::Path(path) => Content::open_path(&path),
            UploadSource::File { file, name } => {
                let facts = file.metadata().map_err(|error| unreadable(&name, &error))?;
                if facts.is_dir() {
                    return Err(failure(&name, "it is a directory"));
                }
                if facts.is_file() {
                    let identity = identity(name, &facts);
                    return Ok(Content { identity, data: Data::File { file, path: None } });
                }
                Ok(Content::stream(name, Box::new(move || Ok(Box::new(file) as Box<dyn Read + Send>))))
            }
            UploadSource::Bytes { bytes, name } => Ok(Content {
                identity: SourceIdentity {
                    name,
                    size: Some(bytes.len() as u64),
                    modified_ns: 0,
                    device: 0,
                    inode: 0,
                },
                data: Data::Bytes(bytes),
            }),
            UploadSource::Reader { reader, name } => Ok(Content::stream(name, Box::new(move || Ok(reader)))),
        }
    }

    fn open_path(given: &Path) -> Result<Content, Error> {
        // Made absolute but not resolved: a link that is turned to another file is a changed source, not a new upload.
        let path =
            std::path::absolute(given).map_err(|error| unreadable(&given.display().to_string(), &error))?;
        let name = path.display().to_string();
        let facts = std::fs::metadata(&path).map_err(|error| unreadable(&name, &error))?;
        if facts.is_dir() {
            return Err(failure(&name, "it is a directory"));
        }
        if !facts.is_file() {
            if facts.file_type().is_socket() {
                return Err(failure(&name, "it is a socket"));
            }
            return Ok(Content::stream(
                name,
                Box::new(move || Ok(Box::new(File::open(path)?) as Box<dyn Read + Send>)),
            ));
        }
        // Non-blocking changes nothing for a regular file and keeps a FIFO that has just taken its place from hanging.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .map_err(|error| unreadable(&name, &error))?;
        let facts = file.metadata().map_err(|error| unreadable(&name, &error))?;
        if !facts.is_file() {
            return Err(changed(&name, "was replaced by something that is not a file"));
        }
        Ok(Content { identity: identity(name, &facts), data: Data::File { file, path: Some(path) } })
    }

    fn stream(name: String, open: Opener) -> Content {
        let identity = SourceIdentity { name: name.clone(), size: None, modified_ns: 0, device: 0, inode: 0 };
        Content { identity, data: Data::Stream(Stream::new(name, open)) }
    }

    /// Whether it can be read only once.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.data, Data::Stream(_))
    }

    /// What it was when it was opened.
    pub(crate) fn identity(&self) -> &SourceIdentity {
        &self.identity
    }

    /// What it is now. Blocks on the file system.
    ///
    /// Errors: `SourceChanged` when the path is gone, `Source` when it cannot be looked at.
    pub(crate) fn check(&self) -> Result<SourceIdentity, Error> {
        let Data::File { file, path } = &self.data else { return Ok(self.identity.clone()) };
        let name = &self.identity.name;
        let open = file.metadata().map_err(|error| unreadable(name, &error))?;
        let Some(path) = path else { return Ok(identity(name.clone(), &open)) };
        match std::fs::metadata(path) {
            // Another file under the same name: its identity tells.
            Ok(facts) if (facts.dev(), facts.ino()) != (open.dev(), open.ino()) => {
                Ok(identity(name.clone(), &facts))
            }
            Ok(_) => Ok(identity(name.clone(), &open)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(changed(name, "was removed while it was being uploaded"))
            }
            Err(error) => Err(unreadable(name, &error)),
        }
    }

    /// As [`Content::read`], but never waits for a disk: `None` when that would be needed.
    pub(crate) fn read_at_hand(&self, pool: &Pool, offset: u64, left: u64) -> Result<Option<Bytes>, Error> {
        let Data::File { file, .. } = &self.data else { return self.read(pool, offset, left).map(Some) };
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(pool.block_size());
        let mut buffer = pool.take();
        Ok(os::read_cached(file, &mut buffer.memory()[..wanted], offset).map(|read| buffer.freeze(read)))
    }

    /// The bytes from `offset`, at least one and at most `left` or a block of the pool. Blocks on the file system.
    ///
    /// Errors: `SourceChanged` when the source ends before `offset + left`, `Source` when it cannot be read.
    pub(crate) fn read(&self, pool: &Pool, offset: u64, left: u64) -> Result<Bytes, Error> {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(pool.block_size());
        match &self.data {
            Data::File { file, .. } => {
                let mut buffer = pool.take();
                match file.read_exact_at(&mut buffer.memory()[..wanted], offset) {
                    Ok(()) => Ok(buffer.freeze(wanted)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Err(changed(&self.identity.name, "became shorter while it was being uploaded"))
                    }
                    Err(error) => Err(unreadable(&self.identity.name, &error)),
                }
            }
            Data::Bytes(bytes) => {
                let start =
                    usize::try_from(offset).ok().filter(|start| bytes.len().saturating_sub(*start) >= wanted);
                let start = start.ok_or_else(|| changed(&self.identity.name, "is shorter than was said"))?;
                Ok(bytes.slice(start..start + wanted))
            }
            Data::Stream(stream) => stream.read(offset, wanted),
        }
    }

    /// Streams: reads the next `len` bytes into a buffer known by `offset`.
    pub(crate) async fn fill(
        &self,
        pool: &Pool,
        offset: u64,
        len: u64,
        wanted: Wanted,
    ) -> Result<Filled, Error> {
        match &self.data {
            Data::Stream(stream) => stream.fill(pool, offset, len, wanted).await,
            _ => Err(Error::new(ErrorKind::Internal, "only streams are filled")),
        }
    }

    /// Streams: the buffer at `offset` is no longer needed.
    pub(crate) fn release(&self, offset: u64) {
        if let Data::Stream(stream) = &self.data {
            stream.release(offset);
        }
    }
}

fn identity(name: String, facts: &Metadata) -> SourceIdentity {
    SourceIdentity {
        name,
        size: Some(facts.len()),
        modified_ns: i128::from(facts.mtime()) * 1_000_000_000 + i128::from(facts.mtime_nsec()),
        device: facts.dev(),
        inode: facts.ino(),
    }
}

/// One line for a source that cannot be read.
pub(super) fn unreadable(name: &str, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    failure(name, &why)
}

fn failure(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Source, format!("{name} cannot be read: {why}"))
}

fn changed(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::SourceChanged, format!("{name} {what}; nothing wrong was stored, start again"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("blob");
        std::fs::write(&path, content).expect("the directory is ours");
        (dir, path)
    }

    #[test]
    fn reads_blocks_by_position() {
        let (_dir, path) = file(b"0123456789");
        let content = Content::open(UploadSource::Path(path)).expect("the file is there");
        let pool = Pool::new(4);
        assert_eq!(content.identity().size, Some(10));
        assert_eq!(&content.read(&pool, 2, 8).expect("inside")[..], b"2345");
        assert_eq!(&content.read(&pool, 8, 2).expect("inside")[..], b"89");
        assert_eq!(content.check().expect("unchanged"), *content.identity());
    }

    #[test]
    fn every_change_is_noticed() {
        let (_dir, path) = file(b"0123456789");
        let open = || Content::open(UploadSource::Path(path.clone())).expect("the file is there");
        let append = || std::fs::OpenOptions::new().append(true).open(&path).expect("the file is ours");
        let pool = Pool::new(64);

        let grown = open();
        append().write_all(b"x").expect("the disk has room");
        assert_eq!(grown.check().expect("readable").size, Some(11));

        let shrunk = open();
        append().set_len(5).expect("the file is ours");
        let error = shrunk.read(&pool, 0, 11).expect_err("the end is gone");
        assert_eq!(error.kind(), ErrorKind::SourceChanged);

        let replaced = open();
        let other = path.with_extension("new");
        std::fs::write(&other, b"01234").expect("the directory is ours");
        std::fs::rename(&other, &path).expect("the directory is ours");
        assert_ne!(replaced.check().expect("readable").inode, replaced.identity().inode);

        let removed = open();
        std::fs::remove_file(&path).expect("the directory is ours");
        assert_eq!(removed.check().expect_err("gone").kind(), ErrorKind::SourceChanged);
    }

    #[test]
    fn what_cannot_be_uploaded_is_told_in_one_line() {
        let (dir, path) = file(b"");
        for bad in [dir.path().to_owned(), path.with_extension("missing")] {
            let error = Content::open(UploadSource::Path(bad.clone())).err().expect("not a file");
            assert_eq!(error.kind(), ErrorKind::Source);
            assert!(error.to_string().contains(&bad.display().to_string()), "{error}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
        let directory = File::open(dir.path()).expect("directories can be opened");
        assert!(Content::open(UploadSource::File { file: directory, name: "d".into() }).is_err());
        let bytes =
            Content::open(UploadSource::Bytes { bytes: Bytes::from_static(b"abc"), name: "b".into() });
        let bytes = bytes.expect("buffers are always readable");
        assert_eq!(&bytes.read(&Pool::new(64), 1, 2).expect("inside")[..], b"bc");
        assert!(bytes.read(&Pool::new(64), 2, 2).is_err());
    }
}
