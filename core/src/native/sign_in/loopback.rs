//! The loopback redirect: a socket of this machine that takes one answer, the one with our state (RFC 8252 section 7.3).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::wire::oauth2::request::{Redirected, redirected};

/// Longest head of a request that is read, bytes.
const MAX_HEAD: usize = 16 << 10;
/// How long a caller may take to send it.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether to give up.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where the redirect goes.
#[derive(Clone, Copy)]
pub(super) struct Redirect<'a> {
    pub(super) port: u16,
    pub(super) path: &'a str,
}

/// What the answer must bring.
#[derive(Clone)]
pub(super) struct Expected {
    pub(super) state: String,
    pub(super) issuer: Option<String>,
    pub(super) needs_iss: bool,
}

pub(super) struct Listener {
    socket: TcpListener,
    port: u16,
    path: String,
}

impl Listener {
    pub(super) async fn bind(at: Redirect<'_>) -> Result<Listener, Error> {
        let failed = |error: &std::io::Error| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "the sign-in cannot listen on 127.0.0.1:{}: {error}; set redirect_port or use --device",
                    at.port
                ),
            )
        };
        let socket = TcpListener::bind(("127.0.0.1", at.port)).await.map_err(|error| failed(&error))?;
        let port = socket.local_addr().map_err(|error| failed(&error))?.port();
        Ok(Listener { socket, port, path: at.path.to_owned() })
    }

    /// The literal address, not `localhost`: nothing is looked up (RFC 8252 section 8.3).
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.path)
    }

    /// Waits for the answer; whatever else calls is told so and waited on.
    pub(super) async fn wait(
        self,
        expected: Expected,
        limit: Duration,
        stopped: impl Fn() -> bool,
    ) -> Result<Secret<String>, Error> {
        let (found, mut answers) = mpsc::channel(4);
        let end = Instant::now() + limit;
        loop {
            tokio::select! {
                accepted = self.socket.accept() => {
                    // A connection that broke before it was taken is nobody's answer.
                    let Ok((stream, _)) = accepted else { continue };
                    let (found, expected, path) = (found.clone(), expected.clone(), self.path.clone());
                    tokio::spawn(async move {
                        let _ = timeout(HEAD_PATIENCE, answer(stream, &path, &expected, found)).await;
                    });
                }
                Some(answer) = answers.recv() => return answer,
                () = sleep(LOOK_EVERY) => {}
            }
            if stopped() {
                return Err(Error::new(ErrorKind::Cancelled, "the sign-in was given up"));
            }
            if Instant::now() >= end {
                let message = "nobody signed in in time; run the command again, or use --device";
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    path: &str,
    expected: &Expected,
    found: mpsc::Sender<Result<Secret<String>, Error>>,
) {
    let Some(target) = head(&mut stream).await else {
        respond(&mut stream, 400, "This is no request that outlast waits for.").await;
        return;
    };
    let (asked, query) = target.split_once('?').unwrap_or((&target, ""));
    if asked != path {
        respond(&mut stream, 404, "There is nothing here.").await;
        return;
    }
    match redirected(query, &expected.state, expected.issuer.as_deref(), expected.needs_iss) {
        Redirected::Code(code) => {
            respond(&mut stream, 200, "You are signed in as far as the browser goes; outlast does the rest. You can close this page.").await;
            let _ = found.send(Ok(code)).await;
        }
        Redirected::Refused(error, words) => {
            respond(&mut stream, 200, "The sign-in was refused. You can close this page.").await;
            let words = words.map(|words| format!(" ({words:.300})")).unwrap_or_default();
            let message = format!("the identity provider refused the sign-in: {error:.60}{words}");
            let _ = found.send(Err(Error::new(ErrorKind::SignInNeeded, message))).await;
        }
        Redirected::Foreign(why) => respond(&mut stream, 400, &format!("Not taken: {why}.")).await,
    }
}

/// The target of a GET.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() > MAX_HEAD || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let line = std::str::from_utf8(&bytes).ok()?.lines().next()?.to_owned();
    let mut words = line.split(' ');
    (words.next()? == "GET").then_some(())?;
    let target = words.next()?.to_owned();
    words.next()?.starts_with("HTTP/1.").then_some(target)
}

async fn respond(stream: &mut TcpStream, status: u16, words: &str) {
    let reason = match status {
        200 => "OK",
        404 => "Not Found",
        _ => "Bad Request",
    };
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>outlast</title><p>{words}</p>\n");
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n",
        page.len()
    );
    // A browser that has gone does not change the answer.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(page.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn call(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    #[tokio::test]
    async fn one_answer_is_taken_and_strangers_are_sent_away() {
        let listener = Listener::bind(Redirect { port: 0, path: "/callback" }).await.expect("a free port");
        let port = listener.port;
        assert_eq!(listener.redirect_uri(), format!("http://127.0.0.1:{port}/callback"));
        let expected = Expected { state: "s".into(), issuer: Some("https://as".into()), needs_iss: false };
        let waiting = tokio::spawn(listener.wait(expected, Duration::from_mins(1), || false));
        for (request, status) in [
            ("GET /callback?code=evil&state=t HTTP/1.1\r\n\r\n", "400"),
            ("GET /callback?code=evil&state=s&iss=https%3A%2F%2Fevil HTTP/1.1\r\n\r\n", "400"),
            ("GET /favicon.ico HTTP/1.1\r\n\r\n", "404"),
            ("POST /callback?code=evil&state=s HTTP/1.1\r\n\r\n", "400"),
            ("nonsense\r\n\r\n", "400"),
        ] {
            assert!(call(port, request).await.starts_with(&format!("HTTP/1.1 {status}")), "{request}");
        }
        let answer =
            call(port, "GET /callback?code=good&state=s&iss=https%3A%2F%2Fas HTTP/1.1\r\nhost: x\r\n\r\n")
                .await;
        assert!(answer.contains("signed in") && !answer.contains("good"));
        assert_eq!(waiting.await.expect("no panic").expect("a code").expose(), "good");
    }

    #[tokio::test]
    async fn refusals_limits_and_giving_up_end_it() {
        let expected = Expected { state: "s".into(), issuer: None, needs_iss: false };
        let bind = || Listener::bind(Redirect { port: 0, path: "/" });
        let listener = bind().await.expect("a free port");
        let port = listener.port;
        let waiting = tokio::spawn(listener.wait(expected.clone(), Duration::from_mins(1), || false));
        call(port, "GET /?error=access_denied&error_description=no+thanks&state=s HTTP/1.1\r\n\r\n").await;
        let error = waiting.await.expect("no panic").expect_err("refused");
        assert!(error.to_string().contains("access_denied (no thanks)"), "{error}");
        let late = bind().await.expect("a free port").wait(expected.clone(), Duration::ZERO, || false).await;
        assert_eq!(late.expect_err("nobody came").kind(), ErrorKind::Timeout);
        let stopped =
            bind().await.expect("a free port").wait(expected, Duration::from_mins(1), || true).await;
        assert_eq!(stopped.expect_err("given up").kind(), ErrorKind::Cancelled);
        let taken = bind().await.expect("a free port");
        let error = Listener::bind(Redirect { port: taken.port, path: "/" }).await.err().expect("taken");
        assert!(error.to_string().contains("set redirect_port"), "{error}");
    }
}
