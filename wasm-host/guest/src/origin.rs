//! Where an upload's bytes come from: a file in a folder that the host has opened, or what the host writes.

use std::rc::Rc;

use outlast_core::Error;
use outlast_core::engine::upload::spec::SourceIdentity;

use crate::folder::SourceFile;
use crate::stream::Stream;

/// Where an upload's bytes come from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A file.
    File(Rc<SourceFile>),
    /// What the host writes.
    Stream(Rc<Stream>),
}

impl Origin {
    /// The `len` bytes from `offset`; of a stream they lie in one part.
    ///
    /// Errors: `SourceChanged` when a file ends before, `Source`.
    pub(crate) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        match self {
            Origin::File(file) => file.read(offset, len),
            Origin::Stream(stream) => stream.read(offset, len),
        }
    }

    /// What is there now.
    pub(crate) fn identity(&self) -> Result<SourceIdentity, Error> {
        match self {
            Origin::File(file) => file.identity(),
            Origin::Stream(stream) => Ok(of_stream(stream.name())),
        }
    }
}

/// A stream has a name and nothing else to know it by.
pub(crate) fn of_stream(name: &str) -> SourceIdentity {
    SourceIdentity { name: name.to_owned(), size: None, modified_ns: 0, device: 0, inode: 0 }
}
