//! The device code flow (RFC 8628): a person approves on another machine while we ask now and then.

use std::time::Duration;

use serde::Deserialize;

use super::reply::{self, Rejection};
use super::text::Text;
use crate::engine::secret::Secret;
use crate::engine::wire::Reply;
use crate::engine::wire::oci::harmless;

/// The interval when the server names none (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// What `slow_down` adds, for good (RFC 8628 section 3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);
/// Longest interval between two questions that is believed.
const LONGEST: Duration = Duration::from_mins(5);

/// What a person needs, and what we ask with.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// What the token endpoint is asked with.
    pub device_code: Secret<String>,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, if there is one.
    pub verification_uri_complete: Option<String>,
    /// How long it can be approved.
    pub expires_in: Duration,
    /// Time between two questions.
    pub interval: Duration,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    device_code: Text,
    user_code: Text,
    verification_uri: Text,
    /// Older drafts and Google
    verification_url: Text,
    verification_uri_complete: Text,
    expires_in: Text,
    interval: Text,
}

/// Reads the answer of the device authorization endpoint.
pub fn parse(reply: &Reply) -> Result<DeviceCode, Rejection> {
    let failed = |why| Rejection { unreadable: Some(why), ..reply::failure(reply) };
    if !(200..300).contains(&reply.status) {
        return Err(reply::failure(reply));
    }
    let body: Body = serde_json::from_slice(&reply.body)
        .map_err(|_| failed("the answer is not the JSON of a device code"))?;
    let (Some(device_code), Some(user_code), Some(uri)) = (
        body.device_code.get(),
        body.user_code.get(),
        body.verification_uri.get().or_else(|| body.verification_url.get()),
    ) else {
        let refused = reply::failure(reply);
        return Err(if refused.error.is_some() {
            refused
        } else {
            failed("the answer holds no device code")
        });
    };
    // Shown on a terminal: nothing that is not text.
    let shown = |text: &str| harmless(text, 500);
    Ok(DeviceCode {
        device_code: Secret::new(device_code.to_owned()),
        user_code: shown(user_code),
        verification_uri: shown(uri),
        verification_uri_complete: body.verification_uri_complete.get().map(shown),
        expires_in: body.expires_in.seconds().unwrap_or(Duration::from_mins(10)),
        interval: body.interval.seconds().unwrap_or(INTERVAL).min(LONGEST),
    })
}

/// When to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    interval: Duration,
    /// Questions without an answer in a row.
    lost: u32,
}

impl Polling {
    /// As the server said.
    pub fn new(interval: Duration) -> Polling {
        Polling { interval, lost: 0 }
    }

    /// The wait before the next question.
    pub fn wait(&self) -> Duration {
        self.interval.saturating_mul(1 << self.lost.min(6)).min(LONGEST)
    }

    /// Still pending.
    pub fn pending(&mut self) {
        self.lost = 0;
    }

    /// Asked too often.
    pub fn slow_down(&mut self) {
        self.lost = 0;
        self.interval = (self.interval + SLOWER_BY).min(LONGEST);
    }

    /// No answer: the wait doubles until there is one (RFC 8628 section 3.5).
    pub fn lost(&mut self) {
        self.lost += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<DeviceCode, Rejection> {
        parse(&Reply { status, headers: Vec::new(), body: body.into() })
    }

    #[test]
    fn answers_of_servers_are_read() {
        // oidc-provider names no interval.
        let code = read(
            200,
            r#"{"device_code":"secret","user_code":"HJQP-ZBRW","verification_uri":"http://127.0.0.1/device",
                "verification_uri_complete":"http://127.0.0.1/device?user_code=HJQP-ZBRW","expires_in":600}"#,
        )
        .unwrap();
        assert_eq!((code.interval.as_secs(), code.expires_in.as_secs()), (5, 600));
        assert_eq!(code.user_code, "HJQP-ZBRW");
        assert!(!format!("{code:?}").contains("secret"));
        let code = read(
            200,
            r#"{"device_code":"d","user_code":"u\u001b[2J","verification_url":"v","interval":"1"}"#,
        )
        .unwrap();
        assert_eq!((code.interval.as_secs(), code.user_code.as_str()), (1, "u [2J"));
        let refused = read(401, r#"{"error":"invalid_client"}"#).unwrap_err();
        assert_eq!((refused.error.as_deref(), refused.unreadable), (Some("invalid_client"), None));
        assert_eq!(read(200, r#"{"error":"x"}"#).unwrap_err().error.as_deref(), Some("x"));
        for body in ["", "{}", "<html>", r#"{"device_code":"d"}"#, r#"{"device_code":"d","user_code":""}"#] {
            assert!(read(200, body).unwrap_err().unreadable.is_some(), "{body}");
        }
    }

    #[test]
    fn questions_get_rarer_as_asked() {
        let mut polling = Polling::new(Duration::from_secs(5));
        assert_eq!(polling.wait().as_secs(), 5);
        polling.slow_down();
        polling.pending();
        assert_eq!(polling.wait().as_secs(), 10);
        polling.lost();
        polling.lost();
        assert_eq!(polling.wait().as_secs(), 40);
        polling.slow_down();
        assert_eq!(polling.wait().as_secs(), 15);
        for _ in 0..100 {
            polling.lost();
            polling.slow_down();
        }
        assert_eq!(polling.wait(), LONGEST);
    }
}
