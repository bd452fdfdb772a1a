//! A user of FOLIO, on Okapi or Eureka.

use std::time::{Duration, Instant};

use crate::engine::chain::Chain;
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::{Bearer, Credential, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::provider::{Provider, no_answer};
use crate::engine::secret::Secret;
use crate::engine::sessions_file::FolioDef;
use crate::engine::wire::folio::{self, Gateway, Pair};
use crate::engine::wire::oauth2::Rejection;
use crate::engine::wire::{Reply, WebRequest};
use crate::native::secrets;
use crate::native::web::Post;

use super::oauth2::misconfigured;

/// A user of FOLIO.
#[derive(Debug)]
pub struct Folio {
    pub(in crate::native) def: FolioDef,
    provider: Provider,
    remedy: String,
}

impl Folio {
    /// Nothing is sent or read yet.
    pub fn new(def: FolioDef, provider: Provider, remedy: String) -> Folio {
        Folio { def, provider, remedy }
    }

    /// Whether it signs in by itself.
    pub fn mints(&self) -> bool {
        self.def.credentials.is_some()
    }

    fn at(&self) -> Gateway<'_> {
        Gateway { base: &self.def.url, tenant: &self.def.tenant }
    }

    /// The credential of an access token: FOLIO's own header, with the tenant beside it.
    pub(in crate::native) fn dress(&self, token: Secret<String>) -> Result<Bearer, Error> {
        Ok(Bearer::new(token.clone(), "Bearer")?
            .with_header("x-okapi-token", token)?
            .with_header("x-okapi-tenant", Secret::new(self.def.tenant.clone()))?
            .without_authorization())
    }

    /// The next credential: a refresh of the chain at hand; a login where there is none, or where the refresh failed and
    /// we have name and password. The new login is a chain of its own: the old token is never presented again.
    pub(in crate::native) fn renew(
        &self,
        held: Option<&Grant>,
        post: &impl Post,
    ) -> Result<Grant, ExchangeFailure> {
        let Some(chain) = held.and_then(|held| held.chain.as_deref()) else { return self.log_in(post) };
        let request = folio::refresh(self.at(), &chain.refresh);
        match self.send(request, Some(chain), post, folio::pair) {
            Err(failure)
                if self.mints()
                    && matches!(
                        failure.class,
                        ExchangeClass::Refused | ExchangeClass::Reused | ExchangeClass::Ambiguous
                    ) =>
            {
                self.log_in(post)
            }
            result => result,
        }
    }

    fn log_in(&self, post: &impl Post) -> Result<Grant, ExchangeFailure> {
        let Some((username, password)) = &self.def.credentials else {
            let message = format!("there is no FOLIO session; {}", self.remedy);
            let error = Error::new(ErrorKind::SignInNeeded, message);
            return Err(ExchangeFailure { class: ExchangeClass::Refused, error, retry_after: None });
        };
        let password = secrets::resolve(password, "password").map_err(misconfigured)?;
        self.log_in_as(username, &password, post)
    }

    /// Signs in with a name and a password.
    pub(in crate::native) fn log_in_as(
        &self,
        username: &str,
        password: &Secret<String>,
        post: &impl Post,
    ) -> Result<Grant, ExchangeFailure> {
        let grant = if self.def.legacy {
            self.send(folio::login_legacy(self.at(), username, password), None, post, folio::legacy)
        } else {
            self.send(folio::login(self.at(), username, password), None, post, folio::pair)
        };
        // Nothing is used up by a login: asking once more is harmless.
        grant.map_err(|failure| match failure.class {
            ExchangeClass::Ambiguous => ExchangeFailure { class: ExchangeClass::Transient, ..failure },
            _ => failure,
        })
    }

    fn send(
        &self,
        request: WebRequest,
        before: Option<&Chain>,
        post: &impl Post,
        read: fn(&Reply) -> Result<Pair, Rejection>,
    ) -> Result<Grant, ExchangeFailure> {
        let attempt = request.attempt;
        let begun = Instant::now();
        post.post(request, |outcome| match outcome {
            Ok(reply) => match read(reply) {
                Ok(pair) => self.grant(pair, before, begun.elapsed()),
                Err(rejection) => Err(self.provider.failure(&rejection, attempt, &self.remedy)),
            },
            Err(failure) => Err(no_answer(failure, attempt)),
        })
    }

    fn grant(&self, pair: Pair, before: Option<&Chain>, took: Duration) -> Result<Grant, ExchangeFailure> {
        let Pair { access, refresh } = pair;
        let bearer = self.dress(access.token).map_err(|error| ExchangeFailure {
            class: ExchangeClass::Ambiguous,
            error,
            retry_after: None,
        })?;
        let chain = refresh.map(|refresh| match before {
            Some(before) => before.next(Some(refresh.token), refresh.life),
            None => Chain::first(refresh.token, refresh.life),
        });
        let life = access.life.map(|life| life.saturating_sub(took / 2));
        let unknown = life.is_none() && access.end.is_none() && !self.def.legacy;
        Ok(Grant {
            lives_for: life.or_else(|| unknown.then_some(self.provider.default_life)),
            expires_at: access.end,
            chain: chain.map(Box::new),
            ..Grant::new(Credential::Bearer(bearer))
        })
    }

    /// Ends this session and no other. `Ok(false)`: there is no refresh token, and without one all would end.
    ///
    /// Errors: why it is not ended.
    pub fn log_out(
        &self,
        access: &Secret<String>,
        refresh: Option<&Secret<String>>,
        post: &impl Post,
    ) -> Result<bool, Error> {
        let Some(request) = folio::logout(self.at(), access, refresh) else { return Ok(false) };
        let attempt = request.attempt;
        post.post(request, |outcome| match outcome {
            Ok(reply) => folio::logged_out(reply)
                .map_err(|rejection| self.provider.failure(&rejection, attempt, &self.remedy).error),
            Err(failure) => Err(failure.error.clone().during(attempt)),
        })?;
        Ok(true)
    }
}
