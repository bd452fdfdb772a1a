//! Files in the folders that the host has opened. There is no working directory: every path is looked up in a preopen.

use std::rc::Rc;

use outlast_core::engine::upload::spec::SourceIdentity;
use outlast_core::{Error, ErrorKind};

use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

/// A path below a folder that the host has opened.
#[derive(Clone)]
pub(crate) struct Place {
    folder: Rc<Descriptor>,
    relative: String,
    shown: String,
}

impl Place {
    /// Finds the opened folder with the longest name that `path` lies in.
    ///
    /// Errors: `None` when there is none: the host has not granted the folder.
    pub(crate) fn find(path: &str) -> Option<Place> {
        let wanted = segments(path);
        let mut best: Option<(usize, Descriptor)> = None;
        for (folder, name) in preopens::get_directories() {
            let name = segments(&name);
            let fits = wanted.len() > name.len() && wanted[..name.len()] == name[..];
            if fits && best.as_ref().is_none_or(|(len, _)| name.len() >= *len) {
                best = Some((name.len(), folder));
            }
        }
        let (len, folder) = best?;
        Some(Place { folder: Rc::new(folder), relative: wanted[len..].join("/"), shown: path.to_owned() })
    }

    /// The path as the caller wrote it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// A place beside this one, in the same folder, whose last segment is `name`.
    pub(crate) fn beside(&self, name: &str) -> Place {
        let swap = |path: &str| match path.rsplit_once('/') {
            Some((parent, _)) => format!("{parent}/{name}"),
            None => name.to_owned(),
        };
        Place { folder: Rc::clone(&self.folder), relative: swap(&self.relative), shown: swap(&self.shown) }
    }

    /// The last segment.
    pub(crate) fn name(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or_default()
    }

    /// Opens a file.
    pub(crate) fn open(&self, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
        self.folder.open_at(PathFlags::SYMLINK_FOLLOW, &self.relative, open, flags)
    }

    /// What is there now.
    pub(crate) fn stat(&self) -> Result<DescriptorStat, ErrorCode> {
        self.folder.stat_at(PathFlags::SYMLINK_FOLLOW, &self.relative)
    }

    /// Reads a whole file of at most `limit` bytes.
    pub(crate) fn read(&self, limit: u64) -> Result<Vec<u8>, ErrorCode> {
        let file = self.open(OpenFlags::empty(), DescriptorFlags::READ)?;
        let mut bytes = Vec::new();
        loop {
            let (block, end) = file.read(64 << 10, bytes.len() as u64)?;
            bytes.extend_from_slice(&block);
            if bytes.len() as u64 > limit {
                return Err(ErrorCode::FileTooLarge);
            }
            if end || block.is_empty() {
                return Ok(bytes);
            }
        }
    }

    /// Writes a new file, durably, and gives it this place's name in one step.
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<(), ErrorCode> {
        let temporary = self.beside(&format!(".{}.outlast.tmp", self.name()));
        // What a crash may have left behind.
        let _ = temporary.remove();
        let open = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let file = temporary.open(open, DescriptorFlags::READ | DescriptorFlags::WRITE)?;
        let written = write_all(&file, bytes, 0)
            .and_then(|()| file.sync())
            .and_then(|()| self.folder.rename_at(&temporary.relative, &self.folder, &self.relative));
        if written.is_err() {
            let _ = temporary.remove();
        }
        written
    }

    /// Removes the file.
    pub(crate) fn remove(&self) -> Result<(), ErrorCode> {
        self.folder.unlink_file_at(&self.relative)
    }

    /// Makes the folders that lead here.
    pub(crate) fn make_parents(&self) -> Result<(), ErrorCode> {
        let mut end = 0;
        while let Some(at) = self.relative[end..].find('/') {
            end += at;
            match self.folder.create_directory_at(&self.relative[..end]) {
                Ok(()) | Err(ErrorCode::Exist) => {}
                Err(error) => return Err(error),
            }
            end += 1;
        }
        Ok(())
    }
}

/// Writes all of `bytes` from `offset`.
pub(crate) fn write_all(file: &Descriptor, mut bytes: &[u8], mut offset: u64) -> Result<(), ErrorCode> {
    while !bytes.is_empty() {
        let written = file.write(bytes, offset)?;
        if written == 0 {
            return Err(ErrorCode::Io);
        }
        offset += written;
        bytes = &bytes[usize::try_from(written).unwrap_or(bytes.len()).min(bytes.len())..];
    }
    Ok(())
}

/// An opened file whose bytes are sent.
pub(crate) struct SourceFile {
    place: Place,
    file: Descriptor,
}

impl SourceFile {
    /// Opens the file to be sent and says what it is.
    ///
    /// Errors: `Source`.
    pub(crate) fn open(path: &str) -> Result<(SourceFile, SourceIdentity), Error> {
        let place = Place::find(path).ok_or_else(|| {
            Error::new(ErrorKind::Source, format!("{path} is in no folder that the host has opened"))
        })?;
        let file =
            place.open(OpenFlags::empty(), DescriptorFlags::READ).map_err(|code| unreadable(path, code))?;
        let stat = file.stat().map_err(|code| unreadable(path, code))?;
        if stat.type_ != DescriptorType::RegularFile {
            return Err(Error::new(ErrorKind::Source, format!("{path} is not a regular file")));
        }
        let identity = identity(path, &stat);
        Ok((SourceFile { place, file }, identity))
    }

    /// What stands at the path now.
    pub(crate) fn identity(&self) -> Result<SourceIdentity, Error> {
        let path = self.place.shown();
        self.place.stat().map(|stat| identity(path, &stat)).map_err(|code| unreadable(path, code))
    }

    /// The `len` bytes from `offset`, in as many reads as the host makes of it.
    ///
    /// Errors: `SourceChanged` when the file ends before, `Source`.
    pub(crate) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        let mut block = self.read_some(offset, len)?;
        let mut left = len - block.len() as u64;
        // wasmtime reads 64 KiB at once; what is handed on in pieces costs its sender a wake-up for each.
        block.reserve_exact(usize::try_from(left).unwrap_or(0));
        while left > 0 {
            let more = self.read_some(offset + len - left, left)?;
            left -= more.len() as u64;
            block.extend_from_slice(&more);
        }
        Ok(block)
    }

    /// Up to `len` bytes from `offset`; at least one, never more, whatever the host gives.
    fn read_some(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        let path = self.place.shown();
        let (mut block, _) = self.file.read(len, offset).map_err(|code| unreadable(path, code))?;
        block.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        if block.is_empty() {
            return Err(Error::new(
                ErrorKind::SourceChanged,
                format!("{path} became shorter while it was being read"),
            ));
        }
        Ok(block)
    }
}

/// Size and time tell one file from another; device and inode are nothing that WASI lets a guest see.
fn identity(path: &str, stat: &DescriptorStat) -> SourceIdentity {
    let modified_ns = stat
        .data_modification_timestamp
        .map_or(0, |at| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanoseconds));
    SourceIdentity { name: path.to_owned(), size: Some(stat.size), modified_ns, device: 0, inode: 0 }
}

fn unreadable(path: &str, code: ErrorCode) -> Error {
    Error::new(ErrorKind::Source, format!("{path} cannot be read: {}", words(code)))
}

/// A failure in words.
pub(crate) fn words(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NoEntry => "it does not exist",
        ErrorCode::Access | ErrorCode::NotPermitted => "permission denied",
        ErrorCode::ReadOnly => "it is read-only",
        ErrorCode::InsufficientSpace | ErrorCode::Quota => "there is no room left",
        ErrorCode::IsDirectory => "it is a directory",
        ErrorCode::NotDirectory => "a part of its path is not a directory",
        ErrorCode::FileTooLarge => "it is too large",
        ErrorCode::Exist => "it exists",
        _ => "input/output failed",
    }
}

/// A path's segments; `.` and empty ones are nothing. `..` stays and is for the host to refuse.
fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_segments() {
        assert_eq!(segments("/data//./a/b"), ["data", "a", "b"]);
        assert!(segments(".").is_empty() && segments("/").is_empty());
        assert_eq!(segments("../x"), ["..", "x"]);
    }
}
