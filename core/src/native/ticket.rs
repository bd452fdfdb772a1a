//! The promise that every command gets its terminal event, whatever becomes of the task that carries it out.

use std::sync::mpsc::Sender;

use super::message::Message;
use crate::engine::command::{CommandId, ExchangeClass, ExchangeFailure};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::wire::{TransportFailure, TransportKind};
use crate::engine::{Command, Event};

/// Held by the task of one command. Dropped unused (the task was cancelled or panicked), it still answers.
pub(crate) struct Ticket {
    fallback: Option<fn(CommandId, Error) -> Event>,
    id: CommandId,
    events: Sender<Message>,
}

impl Ticket {
    /// A ticket for a command; `None` for commands without a terminal event.
    pub(crate) fn of(command: &Command, events: &Sender<Message>) -> Option<Ticket> {
        let (id, fallback): (CommandId, fn(CommandId, Error) -> Event) = match command {
            Command::Load { id, .. } => (*id, |id, error| Event::Loaded { id, result: Err(error) }),
            Command::Lock { id, .. } => (*id, |id, error| Event::Locked { id, result: Err(error) }),
            Command::Intend { id, .. } => (*id, |id, error| Event::Intended { id, result: Err(error) }),
            Command::Exchange { id, .. } => (*id, |id, error| {
                // Whether the service acted is not known, so nobody may say it did not.
                let failure = ExchangeFailure { class: ExchangeClass::Ambiguous, error, retry_after: None };
                Event::Exchanged { id, result: Err(failure) }
            }),
            Command::Store { id, .. } => (*id, |id, error| Event::Stored { id, result: Err(error) }),
            Command::HandOver { id, .. } => (*id, |id, error| Event::HandedOver { id, result: Err(error) }),
            Command::Send { id, .. } => (*id, |id, error| {
                let failure = TransportFailure { kind: TransportKind::BrokenAfterSending, error };
                Event::Replied { id, outcome: Err(failure), sent: None }
            }),
            Command::Hash { id, .. } => (*id, |id, error| Event::Hashed { id, result: Err(error) }),
            Command::Fill { id, .. } => (*id, |id, error| Event::Filled { id, result: Err(error) }),
            Command::CheckSource { id, .. } => {
                (*id, |id, error| Event::SourceChecked { id, result: Err(error) })
            }
            Command::Record { id: Some(id), .. } => {
                (*id, |id, error| Event::Recorded { id, result: Err(error) })
            }
            Command::Record { id: None, .. }
            | Command::Unlock { .. }
            | Command::Release { .. }
            | Command::Forget { .. }
            | Command::Cancel { .. }
            | Command::CallDone { .. } => return None,
        };
        Some(Ticket { fallback: Some(fallback), id, events: events.clone() })
    }

    /// The command.
    pub(crate) fn id(&self) -> CommandId {
        self.id
    }

    /// Answers.
    pub(crate) fn finish(mut self, event: Event) {
        self.fallback = None;
        // Nobody takes events any more once the client is closed.
        let _ = self.events.send(Message::Event(event));
    }

    /// Somebody else answers.
    pub(crate) fn entrust(mut self) {
        self.fallback = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(fallback) = self.fallback.take() {
            let error = if std::thread::panicking() {
                Error::new(ErrorKind::Internal, "a task of the driver panicked")
            } else {
                Error::new(ErrorKind::Cancelled, "cancelled")
            };
            let _ = self.events.send(Message::Event(fallback(self.id, error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::engine::SessionId;

    fn load() -> Command {
        Command::Load { id: CommandId(7), session: SessionId(1) }
    }

    fn answer(receiver: &Receiver<Message>) -> Option<ErrorKind> {
        match receiver.try_recv() {
            Ok(Message::Event(Event::Loaded { id: CommandId(7), result: Err(error) })) => Some(error.kind()),
            _ => None,
        }
    }

    #[test]
    fn answers_exactly_once_even_when_dropped_or_in_a_panic() {
        let (events, receiver) = channel();
        let ticket = || Ticket::of(&load(), &events).expect("loading has a terminal event");
        let error = Error::new(ErrorKind::Busy, "x");
        ticket().finish(Event::Loaded { id: CommandId(7), result: Err(error) });
        assert_eq!((answer(&receiver), answer(&receiver)), (Some(ErrorKind::Busy), None));
        ticket().entrust();
        assert_eq!(answer(&receiver), None);
        drop(ticket());
        assert_eq!((answer(&receiver), answer(&receiver)), (Some(ErrorKind::Cancelled), None));
        let held = ticket();
        let panicked = std::thread::Builder::new().spawn(move || {
            let _held = held;
            panic!("as a test");
        });
        assert!(panicked.expect("threads can be started").join().is_err());
        assert_eq!((answer(&receiver), answer(&receiver)), (Some(ErrorKind::Internal), None));
    }
}
