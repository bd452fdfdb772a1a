//! A small HTTP/1.1 client for loopback: one request a connection, nothing retried, nothing followed.

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, unchunked.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON, `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and OAuth error code.
    pub fn told(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

/// Sends one request to `origin` (`http://host:port`).
pub fn send(
    origin: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let authority = origin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes())?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    parse(&all).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no whole answer"))
}

/// GET.
pub fn get(origin: &str, target: &str) -> io::Result<Answer> {
    send(origin, "GET", target, &[], "")
}

/// GET with a bearer token.
pub fn get_as(origin: &str, target: &str, token: &str) -> io::Result<Answer> {
    send(origin, "GET", target, &[("authorization", &format!("Bearer {token}"))], "")
}

/// POST of a form.
pub fn form(
    origin: &str,
    target: &str,
    headers: &[(&str, &str)],
    pairs: &[(&str, &str)],
) -> io::Result<Answer> {
    let body: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    send(origin, "POST", target, &all, &body.join("&"))
}

/// Percent-encodes everything that is not a letter or a digit.
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A whole answer as it was read to the end of its connection; `None` if a part of it is missing.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<_> = lines.filter_map(pair).collect();
    let mut answer = Answer { status, headers, body: bytes[end + 4..].to_vec() };
    if answer.get("transfer-encoding").eq_ignore_ascii_case("chunked") {
        answer.body = unchunk(&answer.body)?;
    } else if let Ok(length) = answer.get("content-length").parse::<usize>() {
        if answer.body.len() < length {
            return None;
        }
        answer.body.truncate(length);
    }
    Some(answer)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// A browser with a cookie jar, as far as signing in needs one.
#[derive(Debug, Default)]
pub struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    /// Sends one request with what the jar holds, and keeps what the answer sets.
    pub fn send(&mut self, url: &str, method: &str, pairs: &[(&str, &str)]) -> io::Result<Answer> {
        let (origin, target) = split(url);
        let cookie: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = cookie.join("; ");
        let mut headers = Vec::new();
        if !cookie.is_empty() {
            headers.push(("cookie", cookie.as_str()));
        }
        let answer = if method == "POST" {
            form(&origin, &target, &headers, pairs)?
        } else {
            send(&origin, "GET", &target, &headers, "")?
        };
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.retain(|(known, _)| known != name);
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(answer)
    }

    /// Follows redirects from `url` until a page is shown or `stop` accepts the address of the next step.
    pub fn follow(&mut self, url: &str, stop: impl Fn(&str) -> bool) -> io::Result<(String, Option<Answer>)> {
        let mut url = url.to_owned();
        for _ in 0..20 {
            if stop(&url) {
                return Ok((url, None));
            }
            let answer = self.send(&url, "GET", &[])?;
            if !(300..400).contains(&answer.status) {
                return Ok((url, Some(answer)));
            }
            url = absolute(&url, answer.get("location"));
        }
        Err(io::Error::other("more than 20 redirects"))
    }
}

/// The first form of a page: where it goes (as written), and its hidden fields.
pub fn first_form(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let form = &page[page.find("<form")?..];
    let form = &form[..form.find("</form>").unwrap_or(form.len())];
    let tags = || form.split('<').map(|tag| tag.split('>').next().unwrap_or_default());
    let action = attribute(tags().find(|tag| tag.starts_with("form"))?, "action")?;
    let hidden = tags()
        .filter(|tag| tag.starts_with("input") && attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
    Some((action, hidden.collect()))
}

/// Whether a page has a field or button of that name.
pub fn has_field(page: &str, name: &str) -> bool {
    page.split('<').any(|tag| {
        let tag = tag.split('>').next().unwrap_or_default();
        (tag.starts_with("input") || tag.starts_with("button"))
            && attribute(tag, "name").as_deref() == Some(name)
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let quoted =
        tag.split(&format!(" {name}=\"")).nth(1).or_else(|| tag.split(&format!("\n{name}=\"")).nth(1))?;
    Some(quoted.split('"').next()?.replace("&amp;", "&"))
}

/// Origin and target of a URL.
pub fn split(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    match rest.find('/') {
        Some(at) => (format!("http://{}", &rest[..at]), rest[at..].to_owned()),
        None => (format!("http://{rest}"), "/".to_owned()),
    }
}

/// A `Location` as an absolute URL.
pub fn absolute(from: &str, location: &str) -> String {
    if location.starts_with("http://") { location.to_owned() } else { format!("{}{location}", split(from).0) }
}
