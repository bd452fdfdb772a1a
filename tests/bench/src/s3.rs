//! A sink with an S3 face, for peers that speak nothing else: it takes multipart uploads, believes every signature and
//! lets the kernel drop the bytes of parts.
//!
//! Only what uploaders send is understood: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload,
//! HEAD of an object. Plain HTTP.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest head that is read.
const HEAD_BYTES: usize = 32 << 10;
/// Bytes dropped at a time.
const BLOCK: usize = 256 << 10;
const ETAG: &str = "\"0123456789abcdef0123456789abcdef\"";

/// What has arrived.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Objects put together.
    pub(crate) completed: AtomicU64,
    /// Bytes of parts.
    pub(crate) bytes: AtomicU64,
}

/// A listener on loopback; its threads end with the process.
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) arrived: Arc<Arrived>,
}

impl S3 {
    /// Listens on a free port.
    #[expect(clippy::disallowed_methods, reason = "a server of its own has threads of its own")]
    pub(crate) fn start() -> io::Result<S3> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let arrived = Arc::<Arrived>::default();
        let counts = Arc::clone(&arrived);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&counts);
                // A client that goes away is none of the sink's business.
                std::thread::spawn(move || drop(converse(stream, &counts)));
            }
        });
        Ok(S3 { endpoint, arrived })
    }
}

/// Requests one after the other until the client closes.
fn converse(mut stream: TcpStream, counts: &Arrived) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BLOCK];
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(at) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer[filled..HEAD_BYTES])? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let field = |name: &str| {
            let line = head
                .lines()
                .find(|line| line.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name)));
            line.and_then(|line| line[name.len()..].strip_prefix(':')).map(|value| value.trim().to_owned())
        };
        if field("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if field("transfer-encoding").is_some() {
            return Err(io::Error::other("chunked transfer is not understood"));
        }
        let length: u64 = field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let early = (filled - end) as u64;
        drop_bytes(&stream, &mut buffer, length.saturating_sub(early))?;
        // No client sends a request before it has the answer to the one before.
        filled = 0;
        stream.write_all(answer(&head, length, counts).as_bytes())?;
    }
}

/// Takes bytes off the socket unseen.
fn drop_bytes(stream: &TcpStream, buffer: &mut [u8], mut left: u64) -> io::Result<()> {
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        // SAFETY: the buffer lives across the call and is as long as is said; with MSG_TRUNC a TCP socket of Linux writes
        // nothing into it (tcp(7)).
        let taken =
            unsafe { libc::recv(stream.as_raw_fd(), buffer.as_mut_ptr().cast(), wanted, libc::MSG_TRUNC) };
        match u64::try_from(taken) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(taken) => left -= taken,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

fn answer(head: &str, length: u64, counts: &Arrived) -> String {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let body = match method {
        "POST" if query.split('&').any(|pair| pair == "uploads" || pair == "uploads=") => format!(
            "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>u1</UploadId>\
             </InitiateMultipartUploadResult>"
        ),
        "POST" if query.contains("uploadId=") => {
            counts.completed.fetch_add(1, Ordering::Relaxed);
            format!(
                "<CompleteMultipartUploadResult><Location>{path}</Location><Bucket>{bucket}</Bucket><Key>{key}</Key>\
                 <ETag>{ETAG}</ETag></CompleteMultipartUploadResult>"
            )
        }
        "PUT" => {
            counts.bytes.fetch_add(length, Ordering::Relaxed);
            String::new()
        }
        "DELETE" => return "HTTP/1.1 204 No Content\r\n\r\n".into(),
        _ => return "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into(),
    };
    format!(
        "HTTP/1.1 200 OK\r\netag: {ETAG}\r\nx-amz-request-id: bench\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(stream: &mut TcpStream, request: &str, body: &[u8]) -> String {
        stream.write_all(request.as_bytes()).expect("the sink takes it");
        stream.write_all(body).expect("the sink takes it");
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).expect("the sink answers");
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    #[test]
    fn a_multipart_upload_is_taken_and_counted() {
        let s3 = S3::start().expect("a free port");
        let mut stream = TcpStream::connect(&s3.endpoint["http://".len()..]).expect("it listens");
        let created = ask(&mut stream, "POST /b/o?uploads HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b"");
        assert!(created.contains("<UploadId>u1</UploadId>"), "{created}");
        let body = vec![1; 300_000];
        let head = "PUT /b/o?partNumber=1&uploadId=u1 HTTP/1.1\r\nContent-Length: 300000\r\n\r\n";
        assert!(ask(&mut stream, head, &body).contains("etag: "));
        let done = ask(&mut stream, "POST /b/o?uploadId=u1 HTTP/1.1\r\ncontent-length: 3\r\n\r\n", b"<a>");
        assert!(done.contains("CompleteMultipartUploadResult"), "{done}");
        assert!(ask(&mut stream, "HEAD /b/o HTTP/1.1\r\n\r\n", b"").starts_with("HTTP/1.1 404"));
        let counts = (s3.arrived.completed.load(Ordering::Relaxed), s3.arrived.bytes.load(Ordering::Relaxed));
        assert_eq!(counts, (1, 300_000));
    }
}
