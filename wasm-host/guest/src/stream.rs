//! The bytes of a stream, brought by the host: kept part by part until each is stored.

use std::cell::RefCell;
use std::collections::BTreeMap;

use outlast_core::engine::checksum::{Hasher, Wanted};
use outlast_core::engine::command::{CommandId, Event, Filled};
use outlast_core::{Error, ErrorKind};

/// A source that is written to once, in order.
pub(crate) struct Stream {
    name: String,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The part that is being filled.
    filling: Option<Filling>,
    /// Filled parts by their first byte.
    parts: BTreeMap<u64, Vec<u8>>,
    /// No more bytes will come.
    closed: bool,
}

struct Filling {
    id: CommandId,
    offset: u64,
    len: usize,
    bytes: Vec<u8>,
    hasher: Hasher,
}

impl Stream {
    /// A stream of this name, without bytes yet.
    pub(crate) fn new(name: String) -> Stream {
        Stream { name, state: RefCell::default() }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes room for the next `len` bytes, known by `offset`. The event is the end of the stream, where there is one
    /// already.
    pub(crate) fn fill(&self, id: CommandId, offset: u64, len: u64, wanted: Wanted) -> Option<Event> {
        let mut bytes = Vec::new();
        let room = usize::try_from(len).ok().filter(|len| bytes.try_reserve_exact(*len).is_ok());
        let Some(len) = room else {
            let line =
                format!("{}: there is no memory for a part of {len} bytes; choose smaller parts", self.name);
            return Some(Event::Filled { id, result: Err(Error::new(ErrorKind::Source, line)) });
        };
        let mut state = self.state.borrow_mut();
        state.filling = Some(Filling { id, offset, len, bytes, hasher: Hasher::new(wanted) });
        state.end_part()
    }

    /// Takes as many bytes as there is room for; the event is a part that is full.
    ///
    /// Errors: `InvalidInput` once the stream has ended.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(usize, Option<Event>), Error> {
        let mut state = self.state.borrow_mut();
        if state.closed {
            let line = format!("{} has ended; nothing can be written to it", self.name);
            return Err(Error::new(ErrorKind::InvalidInput, line));
        }
        let Some(filling) = &mut state.filling else { return Ok((0, None)) };
        let taken = bytes.len().min(filling.len - filling.bytes.len());
        filling.bytes.extend_from_slice(&bytes[..taken]);
        filling.hasher.update(&bytes[..taken]);
        Ok((taken, state.end_part()))
    }

    /// No more bytes will come; the event is the last part.
    pub(crate) fn close(&self) -> Option<Event> {
        let mut state = self.state.borrow_mut();
        state.closed = true;
        state.end_part()
    }

    /// Drops the part that is being filled; says whether it was this one.
    pub(crate) fn cancel(&self, id: CommandId) -> bool {
        self.state.borrow_mut().filling.take_if(|filling| filling.id == id).is_some()
    }

    /// The part at `offset` is stored.
    pub(crate) fn release(&self, offset: u64) {
        self.state.borrow_mut().parts.remove(&offset);
    }

    /// Up to `len` bytes from `offset`; at least one.
    pub(crate) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        let state = self.state.borrow();
        let found = state.parts.range(..=offset).next_back().and_then(|(start, bytes)| {
            let rest = bytes.get(usize::try_from(offset - start).ok()?..)?;
            let block = &rest[..rest.len().min(usize::try_from(len).ok()?)];
            (!block.is_empty()).then(|| block.to_vec())
        });
        found.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the bytes of a stream were wanted after their release")
        })
    }
}

impl State {
    /// The part is full, or as full as it will be.
    fn end_part(&mut self) -> Option<Event> {
        let closed = self.closed;
        let filling = self.filling.take_if(|filling| closed || filling.bytes.len() == filling.len)?;
        let filled = Filled { len: filling.bytes.len() as u64, digests: filling.hasher.finish() };
        self.parts.insert(filling.offset, filling.bytes);
        Some(Event::Filled { id: filling.id, result: Ok(filled) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(event: Option<Event>) -> Option<u64> {
        match event {
            Some(Event::Filled { result, .. }) => Some(result.expect("it is filled").len),
            _ => None,
        }
    }

    #[test]
    fn bytes_go_where_there_is_room() {
        let stream = Stream::new("pipe".into());
        assert_eq!(stream.write(b"abc").expect("it is open").0, 0, "no part wants them yet");
        assert!(stream.fill(CommandId(1), 0, 4, Wanted::default()).is_none());
        let (taken, event) = stream.write(b"abcdef").expect("it is open");
        assert_eq!((taken, filled(event)), (4, Some(4)));
        assert_eq!(stream.read(1, 2).expect("it is kept"), b"bc");
        assert!(stream.fill(CommandId(2), 4, 4, Wanted::default()).is_none());
        assert_eq!(stream.write(b"ef").expect("it is open").0, 2);
        assert_eq!(filled(stream.close()), Some(2));
        assert_eq!(stream.read(4, 100).expect("it is kept"), b"ef");
        assert_eq!(filled(stream.fill(CommandId(3), 6, 4, Wanted::default())), Some(0));
        assert!(stream.write(b"g").is_err(), "it has ended");
        stream.release(0);
        assert!(stream.read(0, 1).is_err());
    }

    #[test]
    fn a_part_that_is_no_longer_wanted_makes_no_event() {
        let stream = Stream::new("pipe".into());
        assert!(stream.fill(CommandId(1), 0, 4, Wanted::default()).is_none());
        assert!(!stream.cancel(CommandId(2)) && stream.cancel(CommandId(1)));
        assert!(stream.close().is_none());
    }
}
