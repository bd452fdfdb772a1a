//! Colours for people, and none for anything else.

use std::io::IsTerminal;

/// Paints text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// Colours if `stream` is a terminal that wants them (`NO_COLOR`, `TERM=dumb`).
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Style { colour: stream.is_terminal() && !refused }
    }

    /// Whether it paints at all.
    pub(crate) fn is_colourful(self) -> bool {
        self.colour
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// For what matters most.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For what may be skipped.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// For what went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// For what happened to the session.
    pub(crate) fn session(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// For what deserves attention.
    pub(crate) fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }
}
