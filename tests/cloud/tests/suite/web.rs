//! A plain OAuth client: forms and bearer tokens over raw connections, so that it can also do everything wrong.

use crate::client::{Answer, Connection};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outlast_cloud::{Cloud, Config, Control, GrantSpec, OauthSettings, Rule};
use serde_json::Value;
use std::fmt::Write as _;

/// `Basic` of the client `job`.
pub(crate) const JOB: &str = "Basic am9iOmpvYi1zZWNyZXQ=";

pub(crate) struct Web {
    pub(crate) cloud: Cloud,
    pub(crate) control: Control,
}

impl Web {
    pub(crate) fn new(change: impl FnOnce(&mut OauthSettings)) -> Self {
        let mut config = Config::default();
        change(&mut config.settings.oauth);
        Self::with(config)
    }

    pub(crate) fn with(config: Config) -> Self {
        let cloud = Cloud::start(config).unwrap();
        Self { control: cloud.control(), cloud }
    }

    pub(crate) fn address(&self) -> String {
        self.cloud.endpoint().trim_start_matches("http://").to_owned()
    }

    /// Sends one request; `None` if the connection ends without a whole answer.
    pub(crate) fn try_send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let mut connection = Connection::new(&self.address());
        connection.send(self.bytes(method, target, headers, body).as_bytes());
        connection.answer(false)
    }

    pub(crate) fn bytes(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.address());
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
        text
    }

    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, target, headers, body).expect("an answer")
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "")
    }

    /// Posts a form as given.
    pub(crate) fn form(&self, target: &str, authorization: Option<&str>, body: &str) -> Answer {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        self.send("POST", target, &headers, body)
    }

    pub(crate) fn token(&self, body: &str) -> Answer {
        self.form("/oauth/token", Some(JOB), body)
    }

    /// A chain of the client `job`, and its first answer.
    pub(crate) fn grant(&self) -> Value {
        let grant = GrantSpec { client: "job".into(), ..GrantSpec::default() };
        self.control.oauth_grant(&grant, &self.cloud.endpoint()).unwrap()
    }

    pub(crate) fn refresh(&self, tokens: &Value) -> Answer {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.token(&format!("grant_type=refresh_token&refresh_token={token}"))
    }

    /// Status of the resource for the access token of an answer.
    pub(crate) fn userinfo(&self, tokens: &Value) -> u16 {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        self.send("GET", "/oauth/userinfo", &[("authorization", &bearer)], "").status
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.control.violations().into_iter().map(|violation| violation.rule).collect()
    }
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Status and error code.
pub(crate) fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

pub(crate) fn described(answer: &Answer) -> String {
    answer.json()["error_description"].as_str().unwrap_or_default().to_owned()
}
