//! A component with the contract of Outlast and bad intentions.
//!
//! `session.open` does what its `endpoint` says, and reports by error: the kind `internal` and the answer in words.
//!
//! | `endpoint`    | does                                                         |
//! |---------------|--------------------------------------------------------------|
//! | `loop`        | computes for ever                                            |
//! | `wait`        | waits for an hour                                            |
//! | `allocate`    | takes memory until there is none                             |
//! | `hoard`       | makes host resources until it may not                        |
//! | `trap`        | traps                                                        |
//! | `send URL`    | sends `GET /` there: scheme, authority                       |
//! | `read PATH`   | opens the path below every folder it was given               |
//! | `write PATH`  | makes a file there                                           |
//! | `folders`     | tells the names of the folders it was given                  |

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused,
    reason = "generated"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "transfer", generate_all });
    use super::Component;
    export!(Component);
}

use bindings::exports::outlast::transfer::sessions::{
    self as wit, Guest, GuestSession, Notice, Request, SessionOptions, SessionState, SessionStatus,
    SessionToken, SignedHeaders,
};
use bindings::exports::outlast::transfer::types::{Error, ErrorKind, Retry};
use bindings::exports::outlast::transfer::uploads;
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{Fields, OutgoingRequest, Scheme};

struct Component;

impl Guest for Component {
    type Session = Session;
}

impl uploads::Guest for Component {
    type Upload = Upload;

    fn run(_: SessionOptions, _: uploads::UploadOptions) -> Result<uploads::Outcome, Error> {
        Err(refusal("no uploads here".to_owned()))
    }
}

struct Session;

struct Upload;

fn refusal(message: String) -> Error {
    Error { kind: ErrorKind::Internal, retry: Retry::Never, message, http: None }
}

fn act(order: &str) -> String {
    let (verb, object) = order.split_once(' ').unwrap_or((order, ""));
    match verb {
        "loop" => {
            let mut number = 1u64;
            while number != 0 {
                number = std::hint::black_box(number.wrapping_mul(3) | 1);
            }
            String::new()
        }
        "wait" => {
            monotonic_clock::subscribe_duration(3600 * 1_000_000_000).block();
            "waited".to_owned()
        }
        "allocate" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        "hoard" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(Fields::new());
            }
        }
        "trap" => panic!("as told"),
        "send" => send(object),
        "read" => open(object, OpenFlags::empty(), DescriptorFlags::READ),
        "write" => open(object, OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE),
        "folders" => {
            preopens::get_directories().into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
        }
        _ => "no such order".to_owned(),
    }
}

fn send(url: &str) -> String {
    let (scheme, authority) = url.split_once("://").unwrap_or(("http", url));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some("/")));
    if set.is_err() {
        return "not a URL".to_owned();
    }
    match outgoing_handler::handle(request, None) {
        Err(code) => format!("{code:?}"),
        Ok(answer) => {
            answer.subscribe().block();
            match answer.get() {
                Some(Ok(Ok(response))) => format!("status {}", response.status()),
                Some(Ok(Err(code))) => format!("{code:?}"),
                _ => "no answer".to_owned(),
            }
        }
    }
}

fn open(path: &str, open: OpenFlags, flags: DescriptorFlags) -> String {
    let opened = preopens::get_directories().into_iter().map(|(folder, name)| {
        match folder.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags) {
            Ok(_) => format!("{name}: opened"),
            Err(code) => format!("{name}: {}", code.name()),
        }
    });
    opened.collect::<Vec<_>>().join(", ")
}

impl GuestSession for Session {
    fn open(options: SessionOptions) -> Result<wit::Session, Error> {
        Err(refusal(act(&options.endpoint)))
    }

    fn step(&self, _: u64) -> Vec<Notice> {
        Vec::new()
    }

    fn status(&self) -> SessionStatus {
        SessionStatus {
            state: SessionState::Dead,
            generation: 0,
            issued_at: None,
            expires_at: None,
            horizon: None,
            refreshes: 0,
            last_error: None,
        }
    }

    fn refresh(&self) {}

    fn supply(&self, _: wit::Credential) -> Result<(), Error> {
        Ok(())
    }

    fn decline(&self, _: wit::Refusal) {}

    fn sign(&self, _: Request, _: u64) -> Result<SignedHeaders, Error> {
        Ok(SignedHeaders { generation: 0, headers: Vec::new() })
    }

    fn token(&self, _: u64) -> Result<SessionToken, Error> {
        Err(refusal("no tokens here".to_owned()))
    }

    fn report(&self, _: u64, _: u16) {}
}

impl uploads::GuestUpload for Upload {
    fn start(_: wit::SessionBorrow<'_>, _: uploads::UploadOptions) -> Result<uploads::Upload, Error> {
        Err(refusal("no uploads here".to_owned()))
    }

    fn start_stream(_: wit::SessionBorrow<'_>, _: uploads::UploadOptions) -> Result<uploads::Upload, Error> {
        Err(refusal("no uploads here".to_owned()))
    }

    fn write(&self, _: Vec<u8>) -> Result<u64, Error> {
        Ok(0)
    }

    fn finish(&self) -> Result<(), Error> {
        Ok(())
    }

    fn number(&self) -> u64 {
        0
    }

    fn progress(&self) -> uploads::Progress {
        uploads::Progress {
            total: None,
            stored: 0,
            in_flight: 0,
            parts_total: 0,
            parts_stored: 0,
            parts_reused: 0,
            parts_in_flight: 0,
            retries: 0,
            refusals: 0,
            parked: false,
            paused: false,
            rate: 0.0,
            eta_ms: None,
        }
    }

    fn outcome(&self) -> Option<Result<uploads::Outcome, Error>> {
        None
    }

    fn pause(&self) {}

    fn resume(&self) {}

    fn cancel(&self, _: uploads::OnFailure) {}
}
