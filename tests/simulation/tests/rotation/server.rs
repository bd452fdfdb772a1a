//! An authorization server that rotates, as strict as its policy says.

use std::time::Duration;

use outlast_core::engine::chain::OnAmbiguous;

/// A refresh token of the one family.
struct Token {
    child: Option<usize>,
    used_at: Option<Duration>,
    uses: u32,
    is_dead: bool,
}

/// The family of one sign-in.
pub(crate) struct Server {
    policy: OnAmbiguous,
    tokens: Vec<Token>,
    /// Somebody has revoked it.
    pub(crate) is_revoked: bool,
    /// It ended because a refresh token was presented that must not have been.
    pub(crate) was_reused: bool,
}

impl Server {
    pub(crate) fn new(policy: OnAmbiguous) -> Server {
        let first = Token { child: None, used_at: None, uses: 0, is_dead: false };
        Server { policy, tokens: vec![first], is_revoked: false, was_reused: false }
    }

    /// Presents a token at a true time: the next one, or a refusal (true: because it had been used).
    pub(crate) fn present(&mut self, token: usize, at: Duration) -> Result<usize, bool> {
        if self.is_revoked || self.was_reused {
            return Err(false);
        }
        let held = &self.tokens[token];
        let elapsed = held.used_at.map(|used| at.saturating_sub(used));
        let superseded = held.child.is_some_and(|child| self.tokens[child].used_at.is_some());
        let allowed = match (elapsed, self.policy) {
            _ if held.is_dead => false,
            (None, _) => true,
            (Some(elapsed), OnAmbiguous::Replay { within } | OnAmbiguous::NewestChild { within }) => {
                elapsed <= within && !superseded
            }
            (Some(elapsed), OnAmbiguous::Fork { within }) => elapsed <= within,
            (Some(_), OnAmbiguous::Count { left }) => held.uses <= left && !superseded,
            (Some(_), OnAmbiguous::None) => false,
        };
        if !allowed {
            self.was_reused = true;
            return Err(true);
        }
        let known = held.child;
        self.tokens[token].uses += 1;
        self.tokens[token].used_at.get_or_insert(at);
        if let (Some(child), OnAmbiguous::Replay { .. }) = (known, self.policy) {
            return Ok(child);
        }
        if let (Some(child), OnAmbiguous::NewestChild { .. }) = (known, self.policy) {
            self.tokens[child].is_dead = true;
        }
        let next = self.tokens.len();
        self.tokens.push(Token { child: None, used_at: None, uses: 0, is_dead: false });
        self.tokens[token].child = Some(next);
        Ok(next)
    }

    /// Whether an access token that came with this refresh token is taken.
    pub(crate) fn accepts(&self, token: usize) -> bool {
        !self.is_revoked && !self.was_reused && token < self.tokens.len()
    }
}
