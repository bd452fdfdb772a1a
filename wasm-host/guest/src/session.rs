//! The exported session.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use outlast_core::engine::credential::{Credential, Generation};
use outlast_core::engine::sign::authorize;
use outlast_core::engine::wire::{Coverage, Method, Request, Service};
use outlast_core::{Error as EngineError, ErrorKind};

use crate::bindings::exports::outlast::transfer::sessions::{
    self as wit, Guest, GuestSession, Notice, SessionOptions, SessionState, SessionStatus, SessionToken,
    SignedHeaders,
};
use crate::bindings::exports::outlast::transfer::types::Error;
use crate::clock;
use crate::convert;
use crate::driver::Driver;

/// The component itself.
pub(crate) struct Component;

impl Guest for Component {
    type Session = Session;
}

/// A session and everything that runs under it.
pub(crate) struct Session {
    /// Shared with the uploads.
    pub(crate) driver: Rc<RefCell<Driver>>,
}

impl Session {
    /// Opens a session.
    pub(crate) fn new(options: SessionOptions) -> Result<Session, Error> {
        let driver = Driver::open(options).map_err(|error| convert::error(&error))?;
        Ok(Session { driver: Rc::new(RefCell::new(driver)) })
    }
}

impl GuestSession for Session {
    fn open(options: SessionOptions) -> Result<wit::Session, Error> {
        Session::new(options).map(wit::Session::new)
    }

    fn step(&self, budget_ns: u64) -> Vec<Notice> {
        self.driver.borrow_mut().step(Duration::from_nanos(budget_ns))
    }

    fn status(&self) -> SessionStatus {
        let status = self.driver.borrow().status();
        status.as_ref().map_or(
            SessionStatus {
                state: SessionState::Dead,
                generation: 0,
                issued_at: None,
                expires_at: None,
                horizon: None,
                refreshes: 0,
                last_error: None,
            },
            convert::status,
        )
    }

    fn refresh(&self) {
        let mut driver = self.driver.borrow_mut();
        let session = driver.session;
        driver.engine.refresh_now(session, clock::now());
    }

    fn supply(&self, credential: wit::Credential) -> Result<(), Error> {
        self.driver.borrow_mut().supply(credential).map_err(|error| convert::error(&error))
    }

    fn decline(&self, why: wit::Refusal) {
        self.driver.borrow_mut().decline(why);
    }

    fn sign(&self, request: wit::Request, budget_ns: u64) -> Result<SignedHeaders, Error> {
        let mut driver = self.driver.borrow_mut();
        let lease = driver.lease(Duration::from_nanos(budget_ns)).map_err(|error| convert::error(&error))?;
        if let Credential::Bearer(bearer) = &lease.grant.credential {
            let headers = bearer.headers().iter().map(|(name, value)| (name.clone(), value.expose().clone()));
            return Ok(SignedHeaders { generation: lease.generation.0, headers: headers.collect() });
        }
        let date = clock::wall().offset(driver.engine.session_skew_ms(driver.session));
        let covered = request.body.is_some();
        let content_type = request.content_type.unwrap_or_else(|| "application/json".to_owned());
        let unsigned = Request {
            method: match request.method {
                wit::Method::Get => Method::Get,
                wit::Method::Head => Method::Head,
                wit::Method::Post => Method::Post,
                wit::Method::Put => Method::Put,
                wit::Method::Delete => Method::Delete,
                wit::Method::Patch => Method::Patch,
            },
            service: Service::Storage,
            target: request.target,
            headers: vec![("content-type", content_type.clone())],
            metadata: Vec::new(),
            json: request.body.unwrap_or_default(),
            coverage: if covered { Coverage::HeadAndBody } else { Coverage::Head },
        };
        let signed = authorize(&unsigned, &request.host, date, &lease.grant.credential)
            .map_err(|error| convert::error(&error))?;
        let mut headers: Vec<(String, String)> = Vec::with_capacity(signed.headers.len() + 1);
        if covered {
            headers.push(("content-type".to_owned(), content_type));
        }
        headers
            .extend(signed.headers.iter().map(|(name, value)| ((*name).to_owned(), value.expose().clone())));
        Ok(SignedHeaders { generation: lease.generation.0, headers })
    }

    fn token(&self, budget_ns: u64) -> Result<SessionToken, Error> {
        let lease = self.driver.borrow_mut().lease(Duration::from_nanos(budget_ns));
        let lease = lease.map_err(|error| convert::error(&error))?;
        match &lease.grant.credential {
            Credential::OciApiKey { .. } => {
                let error = EngineError::new(ErrorKind::InvalidInput, "an API key has no token");
                Err(convert::error(&error))
            }
            credential => Ok(SessionToken {
                generation: lease.generation.0,
                token: credential.expose_token().to_owned(),
            }),
        }
    }

    fn report(&self, generation: u64, status: u16) {
        let mut driver = self.driver.borrow_mut();
        let (session, now) = (driver.session, clock::now());
        if status == 401 {
            driver.engine.reject(session, Generation(generation), now);
        } else {
            driver.engine.accept(session, Generation(generation), now);
        }
    }
}
