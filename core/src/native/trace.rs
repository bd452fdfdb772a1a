//! Lines for `--debug`: what was asked and answered, never a secret.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::credential::Generation;
use crate::engine::wire::{Reply, Request, TransportFailure};

/// Takes lines of text about what the client does, without line ends and without secrets.
///
/// Called from the client's own threads, possibly from several at once: it returns soon and does not call the client.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// What a line says of a request besides method and path.
pub(crate) struct Label {
    method: &'static str,
    path: String,
    generation: Option<Generation>,
    part: Option<u32>,
    bytes: u64,
}

impl Label {
    /// Notes what the line will need; the query stays out, since it may hold an upload id.
    pub(crate) fn new(
        request: &Request,
        generation: Option<Generation>,
        part: Option<u32>,
        bytes: u64,
    ) -> Self {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        Label { method: request.method.as_str(), path, generation, part, bytes }
    }

    /// The line.
    pub(crate) fn line(&self, outcome: &Result<Reply, TransportFailure>, took: Duration) -> String {
        let mut line = format!("{} {}", self.method, self.path);
        let mut add = |text: std::fmt::Arguments<'_>| {
            line.write_fmt(text).expect("writing to a string does not fail");
        };
        if let Some(part) = self.part {
            add(format_args!(" part {part}"));
        }
        if self.bytes > 0 {
            add(format_args!(" {} bytes", self.bytes));
        }
        if let Some(generation) = self.generation {
            add(format_args!(" generation {generation}"));
        }
        match outcome {
            Ok(reply) => {
                add(format_args!(": {}", reply.status));
                if let Some(id) = reply.header("opc-request-id") {
                    add(format_args!(" request id {}", crate::engine::error::one_line(id)));
                }
            }
            Err(failure) => add(format_args!(": {}", failure.error)),
        }
        add(format_args!(" after {} ms", took.as_millis()));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::wire::{Coverage, Method, Service};

    #[test]
    fn a_line_tells_much_and_no_secret() {
        let request = Request {
            method: Method::Put,
            service: Service::Storage,
            target: "/n/ns/b/bk/u/o?uploadId=hunter2&uploadPartNum=3".into(),
            headers: vec![("opc-sse-customer-key", "hunter2".into())],
            metadata: Vec::new(),
            json: b"hunter2".to_vec(),
            coverage: Coverage::Head,
        };
        let label = Label::new(&request, Some(Generation(2)), Some(3), 10);
        let headers = vec![("opc-request-id".to_owned(), "phx-1:a\nb".to_owned())];
        let reply = Reply { status: 401, headers, body: b"hunter2".to_vec() };
        assert_eq!(
            label.line(&Ok(reply), Duration::from_millis(12)),
            "PUT /n/ns/b/bk/u/o part 3 10 bytes generation 2: 401 request id phx-1:a b after 12 ms"
        );
    }
}
