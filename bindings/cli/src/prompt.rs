//! Questions to a person.

use std::io::{self, BufRead, IsTerminal, Write};

/// A person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes.
    Yes,
    /// No, or nothing.
    No,
    /// There is nobody to ask: stdin or stderr is no terminal.
    Nobody,
}

/// Asks a yes-or-no question on stderr; the default is no.
pub(crate) fn confirm(question: &str) -> Answer {
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Answer::Nobody;
    }
    let _ = write!(stderr, "{question} [y/N]: ");
    let _ = stderr.flush();
    let mut reply = String::new();
    match stdin.lock().read_line(&mut reply) {
        Ok(_) if matches!(reply.trim().to_lowercase().as_str(), "y" | "yes") => Answer::Yes,
        _ => Answer::No,
    }
}
