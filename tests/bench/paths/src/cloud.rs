//! A cloud that answers an engine's commands at once, in order, and always well.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::checksum::{Digests, combine_crc32c, crc32c_base64};
use outlast_core::engine::command::{BodyRef, Command, CommandId, Event, Notice};
use outlast_core::engine::credential::Grant;
use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::time::Now;
use outlast_core::engine::upload::spec::{SourceIdentity, Target, UploadOptions, UploadSpec};
use outlast_core::engine::wire::{Method, Reply, Request};
use outlast_core::engine::{Engine, SessionId};

use crate::{grant, key, measured, moment};

/// Size of a part, bytes.
pub const PART: u64 = 16 << 20;
/// How many times each part's progress is told.
const TICKS: u64 = 4;

/// An upload under way: an engine, what it was told last, and the cloud's side of it.
pub struct Scene {
    engine: Engine,
    session: SessionId,
    key: Arc<SigningKey>,
    source: SourceIdentity,
    /// Parts whose answer is due, in the order in which they were sent.
    sent: VecDeque<(CommandId, u32, u64)>,
    crc: u32,
    millis: u64,
    /// Between two answers of the cloud.
    pace: Duration,
    /// Tokens given out, and the last of them.
    tokens: u64,
    held: Option<Grant>,
    /// Events that the engine has taken in.
    pub events: u64,
    finished: Option<bool>,
}

impl Scene {
    /// An upload of `parts` parts with `parallel` requests in flight, an answer every `pace` of the scene's time.
    pub fn new(parts: u64, parallel: u32, pace: Duration) -> Scene {
        let mut engine = Engine::new(1);
        let session = engine.add_session(SessionProfile::default(), moment(0));
        let source = SourceIdentity {
            name: "/backup/database.tar".into(),
            size: Some(parts * PART),
            modified_ns: 1_772_366_399_000_000_000,
            device: 1,
            inode: 2,
        };
        let target =
            Target { namespace: "ns".into(), bucket: "backups".into(), object: "database.tar".into() };
        let options = UploadOptions { part_size: PART, parallel, ..UploadOptions::default() };
        let spec = UploadSpec { target, source: source.clone(), options };
        engine.start_upload(session, spec, None, moment(0));
        Scene {
            engine,
            session,
            key: key(),
            source,
            sent: VecDeque::new(),
            crc: 0,
            millis: 0,
            pace,
            tokens: 0,
            held: None,
            events: 0,
            finished: None,
        }
    }

    /// Runs until the upload has ended.
    ///
    /// # Panics
    /// When it does not end well: the scene is broken then.
    pub fn run(&mut self) {
        loop {
            while let Some(command) = self.command() {
                self.answer(command);
            }
            if let Some(good) = self.finished {
                assert!(good, "the upload succeeds");
                return;
            }
            let (id, number, len) = self.sent.pop_front().expect("something is in flight until the end");
            self.millis += u64::try_from(self.pace.as_millis()).expect("short");
            for _ in 0..TICKS {
                self.tell(Event::Progressed { id, bytes: len / TICKS });
            }
            let crc = number.wrapping_mul(0x9e37_79b9);
            self.crc = combine_crc32c(self.crc, crc, len);
            let mut reply = self.reply();
            reply.headers.push(("etag".into(), format!("etag-{number}")));
            reply.headers.push(("opc-content-crc32c".into(), crc32c_base64(crc)));
            let sent = Digests { len, crc32c: Some(crc), ..Digests::default() };
            self.tell(Event::Replied { id, outcome: Ok(reply), sent: Some(sent) });
        }
    }

    /// The session that the upload uses, and the engine, for what is measured beside it.
    pub fn parts(&mut self) -> (&mut Engine, SessionId, Now) {
        let now = moment(self.millis);
        (&mut self.engine, self.session, now)
    }

    /// Answers commands until a credential is there.
    pub fn sign_in(&mut self) {
        while self.tokens == 0 {
            let command = self.command().expect("a session loads its credential at once");
            self.answer(command);
        }
    }

    fn tell(&mut self, event: Event) {
        self.events += 1;
        let now = moment(self.millis);
        let engine = &mut self.engine;
        // A driver looks at the timer after each event, so that is part of the price.
        let due = measured(move || {
            engine.handle(event, now);
            engine.poll_timeout()
        });
        if due.is_some_and(|due| due <= now.mono) {
            let engine = &mut self.engine;
            measured(move || engine.handle_timeout(now));
        }
    }

    fn command(&mut self) -> Option<Command> {
        let engine = &mut self.engine;
        let (command, notices) = measured(move || {
            let mut notices = VecDeque::new();
            while let Some(notice) = engine.poll_notice() {
                notices.push_back(notice);
            }
            (engine.poll_command(), notices)
        });
        for notice in notices {
            if let Notice::Finished { result, .. } = notice {
                self.finished = Some(result.is_ok());
            }
        }
        command
    }

    fn answer(&mut self, command: Command) {
        match command {
            Command::Load { id, .. } => {
                let held = self.held.clone().unwrap_or_else(|| self.next_grant());
                self.tell(Event::Loaded { id, result: Ok(Some(held)) });
            }
            Command::Lock { id, .. } => self.tell(Event::Locked { id, result: Ok(()) }),
            Command::Exchange { id, .. } => {
                let next = self.next_grant();
                self.tell(Event::Exchanged { id, result: Ok(next) });
            }
            Command::Store { id, .. } => self.tell(Event::Stored { id, result: Ok(()) }),
            Command::Record { id: Some(id), .. } => self.tell(Event::Recorded { id, result: Ok(()) }),
            Command::CheckSource { id, .. } => {
                let result = Ok(self.source.clone());
                self.tell(Event::SourceChecked { id, result });
            }
            Command::Send { id, part: Some(number), body: BodyRef::Source { offset, len, .. }, .. } => {
                debug_assert_eq!(offset, u64::from(number - 1) * PART, "parts are sent in order");
                self.sent.push_back((id, number, len));
            }
            Command::Send { id, request, .. } => self.control(id, &request),
            Command::Record { id: None, .. } | Command::Unlock { .. } | Command::Forget { .. } => {}
            other => panic!("a scene without mishaps needs no {other:?}"),
        }
    }

    fn control(&mut self, id: CommandId, request: &Request) {
        assert_eq!(request.method, Method::Post, "{request:?}");
        let mut reply = self.reply();
        if request.target.contains("uploadId=") {
            reply.headers.push(("etag".into(), "etag".into()));
            reply.headers.push(("opc-content-crc32c".into(), crc32c_base64(self.crc)));
        } else {
            reply.body = br#"{"namespace":"ns","bucket":"backups","object":"database.tar","uploadId":"u-1","timeCreated":"2026-03-01T12:00:00Z"}"#.to_vec();
        }
        self.tell(Event::Replied { id, outcome: Ok(reply), sent: None });
    }

    fn reply(&self) -> Reply {
        let headers = vec![
            ("date".to_owned(), moment(self.millis).wall.to_http_date()),
            ("opc-request-id".to_owned(), "phx-1:paths".to_owned()),
        ];
        Reply { status: 200, headers, body: Vec::new() }
    }

    fn next_grant(&mut self) -> Grant {
        self.tokens += 1;
        let next = grant(&self.key, self.tokens, moment(self.millis));
        self.held = Some(next.clone());
        next
    }
}
