//! What happens when a refresh token is presented.
//!
//! Sources: RFC 9700 section 4.14.2 for rotation and reuse; the graces as their servers document them; Keycloak's count
//! as its `TokenManager` computes it, in whole seconds.

use super::settings::{Blast, OauthSettings, RefreshAnswer, Rotation};
use super::store::{Chain, State, millis};
use super::style::Why;
use super::watch::{Rule, Watch};
use crate::clock::{Millis, whole_seconds};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// What becomes of a refresh that is not refused.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The next generation is issued, with this scope.
    Issue { chain: usize, scope: String },
    /// The answer is the one given before.
    Replay(Value),
}

/// A refresh that is under way; it ends when its answer has left.
pub(crate) struct Flying {
    state: Arc<Mutex<State>>,
    chain: usize,
}

impl Flying {
    /// Counts a refresh of `chain` as under way, and notes it when another one already is.
    pub(crate) fn start(shared: Arc<Mutex<State>>, chain: usize, watch: &Watch, now: Millis) -> Self {
        let others = {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let flying = &mut state.chains[chain].in_flight;
            *flying += 1;
            *flying - 1
        };
        if others > 0 {
            watch.note(now, Rule::RefreshesInFlight, format!("chain {chain}: {others} already under way"));
        }
        Self { state: shared, chain }
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The chain is gone when the server was told to forget everything.
        if let Some(chain) = state.chains.get_mut(self.chain) {
            chain.in_flight = chain.in_flight.saturating_sub(1);
        }
    }
}

impl std::fmt::Debug for Flying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flying({})", self.chain)
    }
}

/// One presentation of a refresh token.
pub(crate) struct Presented<'a> {
    pub(crate) token: &'a str,
    pub(crate) client: &'a str,
    pub(crate) scope: Option<&'a str>,
    pub(crate) now: Millis,
}

impl State {
    /// Judges a refresh token, and spends it.
    pub(crate) fn present(
        &mut self,
        presented: &Presented<'_>,
        settings: &OauthSettings,
        watch: &Watch,
    ) -> Result<Verdict, Why> {
        let verdict = self.judge(presented, settings, watch);
        if let (Err(why), Some(token)) = (&verdict, self.refresh.get_mut(presented.token))
            && why.is_terminal_for_refresh()
            && *why != Why::ForeignRefresh
        {
            token.refused = true;
        }
        verdict
    }

    fn judge(
        &mut self,
        presented: &Presented<'_>,
        settings: &OauthSettings,
        watch: &Watch,
    ) -> Result<Verdict, Why> {
        let now = presented.now;
        let token = self.refresh.get(presented.token).ok_or(Why::UnknownRefresh)?;
        let (number, generation, used, spent) = (token.chain, token.generation, token.used, token.refused);
        let (ends, revoked) = (token.ends, token.revoked);
        let place = format!("chain {number}, generation {generation}");
        if self.chains[number].client != presented.client {
            return Err(Why::ForeignRefresh);
        }
        if spent {
            watch.note(now, Rule::RefreshAfterInvalidGrant, &place);
        }
        if let Some(why) = self.why_ended(number) {
            return Err(why);
        }
        if now >= ends {
            return Err(Why::ExpiredRefresh);
        }
        if revoked {
            return Err(Why::UnknownRefresh);
        }
        let scope = self.narrowed(number, presented.scope)?;
        self.note_needless(presented.token, settings, watch, now);
        let issue = Ok(Verdict::Issue { chain: number, scope });
        if settings.refresh_answer != RefreshAnswer::New {
            return issue;
        }
        if settings.rotation == Rotation::Off {
            self.spend(presented.token, now);
            return issue;
        }
        if settings.rotation == Rotation::Count {
            if let Err(why) = self.count(presented.token, settings.max_reuse) {
                watch.note(now, Rule::RefreshTokenReused, place);
                self.blast(number, settings);
                return Err(why);
            }
            self.spend(presented.token, now);
            return issue;
        }
        let Some(used) = used else {
            self.spend(presented.token, now);
            return issue;
        };
        let within = now - used <= millis(settings.grace) && !settings.grace.is_zero();
        let granted = within && self.grants_again(presented.token, settings.rotation);
        if !granted {
            watch.note(now, Rule::RefreshTokenReused, place);
            self.blast(number, settings);
            return Err(Why::Reused);
        }
        let token = &self.refresh[presented.token];
        match settings.rotation {
            Rotation::Replay => match &token.answer {
                Some(answer) => Ok(Verdict::Replay(answer.clone())),
                None => issue,
            },
            Rotation::NewestChild => {
                let child = token.child.clone();
                if let Some(child) = child.and_then(|child| self.refresh.get_mut(&child)) {
                    child.revoked = true;
                }
                issue
            }
            _ => issue,
        }
    }

    /// The scope of the next access token: what was asked for, if the grant covers it.
    fn narrowed(&self, chain: usize, asked: Option<&str>) -> Result<String, Why> {
        let granted = &self.chains[chain].scope;
        let Some(asked) = asked else { return Ok(granted.clone()) };
        let covered = |scope: &str| granted.split(' ').any(|known| known == scope);
        match asked.split(' ').find(|scope| !covered(scope)) {
            Some(scope) => Err(Why::Scope(scope.into())),
            None => Ok(asked.into()),
        }
    }

    fn spend(&mut self, token: &str, now: Millis) {
        if let Some(token) = self.refresh.get_mut(token) {
            token.used.get_or_insert(now);
        }
    }

    /// True if a spent token, within the grace, is honoured once more.
    fn grants_again(&self, token: &str, rotation: Rotation) -> bool {
        let token = &self.refresh[token];
        let child_is_unused = token
            .child
            .as_ref()
            .and_then(|child| self.refresh.get(child))
            .is_some_and(|child| child.used.is_none());
        match rotation {
            Rotation::Replay | Rotation::NewestChild | Rotation::OneBack => child_is_unused,
            Rotation::Fork => true,
            Rotation::Off | Rotation::Strict | Rotation::Count => false,
        }
    }

    /// Keycloak's count. `last_refresh` is the second in which the newest token of the chain was issued, so steps within
    /// one second escape it, here as there.
    fn count(&mut self, token: &str, max_reuse: u32) -> Result<(), Why> {
        let token = &self.refresh[token];
        let chain = &mut self.chains[token.chain];
        let differs = chain.last_id.as_ref() != Some(&token.jti);
        if chain.last_id.is_some() && differs && whole_seconds(token.issued) < chain.last_refresh {
            return Err(Why::Stale);
        }
        if differs {
            chain.last_id = Some(token.jti.clone());
            chain.count = 0;
        }
        if chain.count > max_reuse {
            return Err(Why::Reused);
        }
        chain.count += 1;
        Ok(())
    }

    /// Ends what a reuse ends.
    pub(crate) fn blast(&mut self, number: usize, settings: &OauthSettings) {
        let (client, session) = (self.chains[number].client.clone(), self.chains[number].session);
        let user = self.user_of(number);
        let of_client =
            |chain: &Chain| session.is_some() && chain.session == session && chain.client == client;
        let hit: Vec<usize> = match settings.blast {
            Blast::Token => return,
            Blast::Family => vec![number],
            Blast::ClientSession => (0..self.chains.len())
                .filter(|other| *other == number || of_client(&self.chains[*other]))
                .collect(),
            Blast::User => (0..self.chains.len())
                .filter(|other| *other == number || self.user_of(*other) == user)
                .collect(),
        };
        for chain in hit {
            self.end_chain(chain, Why::Detached, settings.blast_reaches_access);
        }
    }

    /// Notes a refresh of a chain whose newest access token is young and was not refused.
    fn note_needless(&self, token: &str, settings: &OauthSettings, watch: &Watch, now: Millis) {
        let chain = &self.chains[self.refresh[token].chain];
        let newest = chain.refresh.as_deref() == Some(token);
        let Some(access) = self.access.get(&chain.access).filter(|_| newest) else { return };
        let (age, life) = (now - access.issued, millis(settings.access_life));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a token's life fit a double")]
        let young = (age as f64) < life as f64 * settings.earliest_refresh;
        if young && !access.refused && !access.revoked {
            let detail = format!(
                "chain {}, generation {}: its access token is {age} ms old and lives {life} ms",
                self.refresh[token].chain, access.generation
            );
            watch.note(now, Rule::NeedlessRefresh, detail);
        }
    }
}
