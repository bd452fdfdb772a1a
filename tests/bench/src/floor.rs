//! The floor: the least a program can do that reads a file and writes it to the service in parallel parts.
//!
//! Threads, `pread`, `write`, nothing between them; TLS with the same rustls and the same ciphers as the library. No
//! checksum, no retry, no journal, no refresh. It signs, because the service asks for it. Everything that Outlast costs
//! above this is Outlast's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
use outlast_core::engine::claims::session_grant;
use outlast_core::engine::credential::Credential;
use outlast_core::engine::sign::{SigningKey, authorize};
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::spec::{ObjectProperties, Precondition, Target};
use outlast_core::engine::wire::{Reply, Request, oci};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    endpoint: String,
    /// Authority of an https endpoint
    #[arg(long)]
    ca_file: Option<PathBuf>,
    #[arg(long)]
    key_file: PathBuf,
    #[arg(long)]
    token_file: PathBuf,
    #[arg(long)]
    namespace: String,
    #[arg(long)]
    bucket: String,
    #[arg(long)]
    name: String,
    #[arg(long)]
    file: PathBuf,
    /// MiB
    #[arg(long)]
    part_size: u64,
    #[arg(long)]
    parallel: u32,
    /// KiB read and written at a time
    #[arg(long, default_value_t = 256)]
    block: usize,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where requests go and who sends them.
struct Service {
    /// `host:port`
    host: String,
    tls: Option<Arc<ClientConfig>>,
    credential: Credential,
}

/// One connection, plain or TLS.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Service {
    fn new(args: &Args) -> Result<Service, Failure> {
        let key = Arc::new(SigningKey::from_pem(&std::fs::read(&args.key_file)?, None)?);
        let grant = session_grant(&std::fs::read_to_string(&args.token_file)?, key)?;
        let (scheme, host) = args.endpoint.split_once("://").ok_or("the endpoint is no URL")?;
        let tls = if scheme == "https" { Some(Arc::new(tls_config(args)?)) } else { None };
        Ok(Service { host: host.to_owned(), tls, credential: grant.credential.clone() })
    }

    fn connect(&self) -> Result<Wire, Failure> {
        let tcp = TcpStream::connect(&self.host)?;
        tcp.set_nodelay(true)?;
        let Some(config) = &self.tls else { return Ok(Wire::Plain(tcp)) };
        let name = self.host.split(':').next().unwrap_or_default().to_owned();
        let connection = ClientConnection::new(Arc::clone(config), ServerName::try_from(name)?)?;
        Ok(Wire::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }

    #[expect(clippy::disallowed_methods, reason = "a driver of its own: requests are dated")]
    fn head(&self, request: &Request, len: u64) -> Result<String, Failure> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let date = UnixMillis(i64::try_from(now.as_millis())?);
        let signed = authorize(request, &self.host, date, &self.credential)?;
        let mut head =
            format!("{} {} HTTP/1.1\r\ncontent-length: {len}\r\n", request.method.as_str(), request.target);
        let signed = signed.headers.iter().map(|(name, value)| (*name, value.expose().as_str()));
        let given = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in given.chain(signed.filter(|(name, _)| *name != "content-length")) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Ok(head)
    }

    /// One request without file bytes.
    fn call(&self, wire: &mut Wire, request: &Request) -> Result<Reply, Failure> {
        let head = self.head(request, request.json.len() as u64)?;
        wire.write_all(head.as_bytes())?;
        wire.write_all(&request.json)?;
        wire.reply()
    }
}

fn tls_config(args: &Args) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    let ca = args.ca_file.as_ref().ok_or("https needs --ca-file")?;
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

impl Wire {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(tcp) => tcp.write_all(bytes),
            Wire::Tls(tls) => tls.write_all(bytes),
        }
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(tcp) => tcp.read(out),
            Wire::Tls(tls) => {
                tls.flush()?;
                tls.read(out)
            }
        }
    }

    /// Reads one answer; anything but 2xx is an error.
    fn reply(&mut self) -> Result<Reply, Failure> {
        let mut bytes = Vec::new();
        let mut block = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let mut lines = head.lines();
                let status =
                    lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?.parse()?;
                let headers: Vec<(String, String)> = lines
                    .filter_map(|line| line.split_once(':'))
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                    .collect();
                let len: usize = headers
                    .iter()
                    .find(|(name, _)| name == "content-length")
                    .map_or(Ok(0), |(_, value)| value.parse())?;
                let body = bytes[head.len() + 4..].to_vec();
                if body.len() >= len {
                    if !(200..300).contains(&status) {
                        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
                    }
                    return Ok(Reply { status, headers, body });
                }
            }
            match self.read(&mut block)? {
                0 => return Err("the service closed the connection".into()),
                read => bytes.extend_from_slice(&block[..read]),
            }
        }
    }
}

/// Sends parts until there are none left; their numbers and etags.
fn send_parts(
    args: &Args,
    service: &Service,
    target: &Target,
    upload: &str,
    next: &AtomicU32,
) -> Result<Vec<(u32, String)>, Failure> {
    let file = File::open(&args.file)?;
    let (size, part_size) = (file.metadata()?.len(), args.part_size << 20);
    let mut block = vec![0; args.block << 10];
    let mut wire = service.connect()?;
    let mut etags = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let mut offset = u64::from(number - 1) * part_size;
        if offset >= size {
            return Ok(etags);
        }
        let len = part_size.min(size - offset);
        let request = oci::upload_part(target, upload, number, None, None, None);
        wire.write_all(service.head(&request, len)?.as_bytes())?;
        let end = offset + len;
        while offset < end {
            let take = block.len().min(usize::try_from(end - offset)?);
            file.read_exact_at(&mut block[..take], offset)?;
            wire.write_all(&block[..take])?;
            offset += take as u64;
        }
        etags.push((number, oci::object_facts(&wire.reply()?).etag.unwrap_or_default()));
    }
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let service = Service::new(&args)?;
    let target =
        Target { namespace: args.namespace.clone(), bucket: args.bucket.clone(), object: args.name.clone() };
    let mut wire = service.connect()?;
    let create = oci::create_upload(&target, &ObjectProperties::default(), &Precondition::None, None);
    let upload = oci::parse_created(&service.call(&mut wire, &create)?)?.upload_id;
    let next = AtomicU32::new(1);
    let mut etags = std::thread::scope(|scope| {
        let work = || send_parts(&args, &service, &target, &upload, &next);
        let threads: Vec<_> = (0..args.parallel).map(|_| scope.spawn(work)).collect();
        let mut etags = Vec::new();
        for thread in threads {
            etags.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Failure>(etags)
    })?;
    etags.sort_unstable();
    let parts = etags.iter().map(|(number, etag)| (*number, etag.as_str()));
    service.call(&mut wire, &oci::commit(&target, &upload, parts))?;
    Ok(())
}
