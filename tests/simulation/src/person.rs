//! Somebody who signs in, and other programs that use the same session.

use std::time::Duration;

use outlast_core::engine::wire::auth;

use crate::host::TokenFile;
use crate::world::World;

/// What a person does when sessions are parked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Person {
    /// After this long they sign in; `None`: never.
    pub signs_in_after: Option<Duration>,
    /// The files are not written in one step.
    pub writes_slowly: bool,
    /// Processes are told of the new files; otherwise they have to look.
    pub is_noticed: bool,
    pub(crate) called: bool,
}

impl World {
    /// A person signs in and the files are there at once.
    pub fn sign_in(&mut self) {
        let token = self.issuer.sign_in(self.clock.server());
        self.say(|| format!("-- signed in, token {:?}", self.issuer.number(&token)));
        self.host.token = TokenFile::Whole(token);
    }

    /// A person signs in: key, then a part of the token, then all of it.
    pub fn sign_in_slowly(&mut self, step: Duration) {
        let token = self.issuer.sign_in(self.clock.server());
        self.host.token = TokenFile::KeyWithoutToken;
        self.touch();
        let torn = token[..token.len() / 2].to_owned();
        self.write_token(step, TokenFile::Torn(torn));
        self.write_token(step * 2, TokenFile::Whole(token));
    }

    fn write_token(&mut self, wait: Duration, token: TokenFile) {
        self.after(wait, move |world| {
            // Unless somebody has signed in since.
            if !matches!(world.host.token, TokenFile::Whole(_)) {
                world.host.token = token;
                world.touch();
            }
        });
    }

    /// Another program refreshes the token, without our lock.
    pub fn refresh_elsewhere(&mut self) {
        let TokenFile::Whole(text) = self.host.token.clone() else { return };
        let now = self.clock.server();
        let reply = self.issuer.refresh(&text, now, now);
        let outcome = auth::parse_refresh(&Ok(reply));
        if let Ok(next) = outcome {
            self.say(|| "-- refreshed by another program".to_owned());
            self.host.token = TokenFile::Whole(next.expose().clone());
            self.touch();
        }
    }

    /// The token that is in the file, by its text.
    pub fn token_text(&self) -> Option<String> {
        match &self.host.token {
            TokenFile::Whole(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(crate) fn call_person(&mut self) {
        let Some(wait) = self.person.signs_in_after.filter(|_| !self.person.called) else { return };
        self.person.called = true;
        self.after(wait, |world| {
            world.person.called = false;
            if world.person.writes_slowly {
                world.sign_in_slowly(Duration::from_millis(70));
            } else {
                world.sign_in();
            }
            if world.person.is_noticed {
                world.touch();
            }
        });
    }
}
