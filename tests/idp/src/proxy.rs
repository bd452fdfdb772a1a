//! A proxy that stands before a server, counts what its token endpoint is asked, and cuts answers on demand.
//!
//! What is cut here has happened there: that is the lost answer which every rotating server deals with in its own way.

use crate::web;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How an exchange is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the request reaches the server.
    Before,
    /// After the server has answered, without a byte of the answer.
    Answer,
    /// In the middle of the answer.
    Middle,
}

/// One refresh that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// What the server answered; 0 if it was not asked.
    pub status: u16,
    /// How it was spoilt.
    pub cut: Option<Cut>,
}

#[derive(Default)]
struct State {
    upstream: Option<u16>,
    cuts: Vec<Cut>,
    refreshes: Vec<Refresh>,
    in_flight: usize,
    most_in_flight: usize,
}

/// The proxy; it ends when dropped.
pub struct Proxy {
    /// `http://127.0.0.1:port`, what clients are told.
    pub origin: String,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts to listen; connections wait until [`Proxy::lead_to`].
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let origin = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
        let (state, over) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let (shared, ended) = (Arc::clone(&state), Arc::clone(&over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                if let Ok(stream) = stream {
                    // A client that goes away ends its own exchange only.
                    thread::spawn(move || drop(serve(stream, &shared)));
                }
            }
        });
        Ok(Self { origin, state, over })
    }

    /// Sends what comes to this port of the machine.
    pub fn lead_to(&self, port: u16) {
        self.lock().upstream = Some(port);
    }

    /// Spoils the next refresh.
    pub fn cut_next(&self, how: Cut) {
        self.lock().cuts.insert(0, how);
    }

    /// The refreshes so far.
    pub fn refreshes(&self) -> Vec<Refresh> {
        self.lock().refreshes.clone()
    }

    /// How many the server honoured.
    pub fn honoured(&self) -> u64 {
        self.lock().refreshes.iter().filter(|refresh| refresh.status == 200).count() as u64
    }

    /// The most that were under way at once.
    pub fn most_in_flight(&self) -> usize {
        self.lock().most_in_flight
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.origin.trim_start_matches("http://")));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_mins(1)))?;
    let (head, body) = read_request(&mut client)?;
    let text = String::from_utf8_lossy(&head).into_owned();
    let refresh = text.starts_with("POST ") && is_refresh(&body);
    if !refresh {
        let answer = forward(&head, &body, state)?;
        return client.write_all(&answer);
    }
    let cut = {
        let mut state = lock(state);
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        state.cuts.pop()
    };
    let answer = if cut == Some(Cut::Before) { Ok(Vec::new()) } else { forward(&head, &body, state) };
    let status = answer.as_ref().ok().and_then(|answer| web::parse(answer)).map_or(0, |answer| answer.status);
    {
        let mut state = lock(state);
        state.in_flight -= 1;
        state.refreshes.push(Refresh { status, cut });
    }
    let answer = answer?;
    match cut {
        None => client.write_all(&answer),
        Some(Cut::Middle) => {
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0) + 4;
            client.write_all(&answer[..end + (answer.len() - end) / 2])?;
            client.shutdown(Shutdown::Both)
        }
        Some(Cut::Before | Cut::Answer) => client.shutdown(Shutdown::Both),
    }
}

/// True for the form of a refresh, however eagerly it is escaped.
fn is_refresh(body: &[u8]) -> bool {
    let form = String::from_utf8_lossy(body).replace("%5F", "_").replace("%5f", "_");
    form.split('&').any(|pair| pair == "grant_type=refresh_token")
}

/// Head and body of a request with a length.
fn read_request(client: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        read_some(client, &mut chunk, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        read_some(client, &mut chunk, &mut bytes)?;
    }
    let body = bytes.split_off(end);
    Ok((bytes, body))
}

fn read_some(client: &mut TcpStream, chunk: &mut [u8], bytes: &mut Vec<u8>) -> io::Result<()> {
    let read = client.read(chunk)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(&chunk[..read]);
    Ok(())
}

/// Asks the server on a connection of its own, and reads to the end.
fn forward(head: &[u8], body: &[u8], state: &Mutex<State>) -> io::Result<Vec<u8>> {
    let port = lock(state).upstream.ok_or_else(|| io::Error::other("no server yet"))?;
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.set_read_timeout(Some(Duration::from_mins(1)))?;
    let text = String::from_utf8_lossy(head);
    let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_lowercase().starts_with("connection:"));
    lines.push("connection: close");
    server.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())?;
    server.write_all(body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(closing(answer))
}

/// The answer with `connection: close`, whatever the server said: this proxy serves one request a connection.
fn closing(answer: Vec<u8>) -> Vec<u8> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return answer };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines.retain(|line| {
        let line = line.to_lowercase();
        !line.starts_with("connection:") && !line.starts_with("keep-alive:")
    });
    lines.push("connection: close");
    // So that a client can tell a half from a whole.
    let length = format!("content-length: {}", answer.len() - end - 4);
    let framed = |line: &&str| {
        let line = line.to_lowercase();
        line.starts_with("content-length:") || line.starts_with("transfer-encoding:")
    };
    if !lines.iter().any(framed) {
        lines.push(&length);
    }
    [format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes(), &answer[end + 4..]].concat()
}
