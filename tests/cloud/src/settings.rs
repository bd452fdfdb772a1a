//! What may change while the cloud runs: lifetimes, strictness, speed, manners.

use crate::folio::settings::FolioSettings;
use crate::oauth::settings::OauthSettings;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Switches read anew for every request. In JSON durations are seconds, enums snake case; absent keys keep their value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Life of a token from login or refresh; `exp` is whole seconds on the wire, rounded down.
    #[serde(rename = "token_life_s", with = "crate::seconds")]
    pub token_life: Duration,
    /// How long after a browser login its tokens can be extended; no `exp` lies beyond it.
    #[serde(rename = "horizon_s", with = "crate::seconds")]
    pub horizon: Duration,
    /// Life of a token from `GenerateUpst`; `None` takes what the request asks (5 to 60 real minutes).
    #[serde(rename = "upst_life_s", with = "crate::seconds::option")]
    pub upst_life: Option<Duration>,
    /// How the `sess_exp` claim is written.
    pub sess_exp: SessExp,
    /// What the refresh endpoint does.
    pub refresh: RefreshMode,
    /// How long the refresh endpoint waits before it answers; the token is minted (or not) after the wait.
    #[serde(rename = "refresh_delay_s", with = "crate::seconds")]
    pub refresh_delay: Duration,
    /// Answers 401 instead of 200 with an unmoved `exp` once a session has reached its horizon.
    pub refuse_at_horizon: bool,
    /// A refresh makes every earlier token of the session invalid at once.
    pub refresh_revokes_old: bool,
    /// How far a signature's date may be from the cloud's clock, either way.
    #[serde(rename = "date_tolerance_s", with = "crate::seconds")]
    pub date_tolerance: Duration,
    /// Checksums computed even if nobody asks.
    pub checks: Checks,
    /// Largest page of a list; a `limit` above it is cut.
    pub page_size: usize,
    /// Smallest part that is not the last, checked at commit; 0 for none (the real service's rule is unclear).
    pub min_part_bytes: u64,
    /// Largest part and largest single object; above it 413.
    pub max_part_bytes: u64,
    /// Preconditions given at create are checked again at commit.
    pub preconditions_at_commit: bool,
    /// How `Expect: 100-continue` is answered.
    pub expect: Expect,
    /// What happens to the rest of a body after an early answer.
    pub refusal: Refusal,
    /// Bytes per second that all uploads together may send; `None` for no limit.
    pub bandwidth_bytes_per_s: Option<u64>,
    /// Time a client has to send a whole request head, and an idle connection to send the next one.
    #[serde(rename = "head_timeout_s", with = "crate::seconds")]
    pub head_timeout: Duration,
    /// Time a client has between two pieces of a body.
    #[serde(rename = "body_timeout_s", with = "crate::seconds")]
    pub body_timeout: Duration,
    /// Code of the 404 for an upload that is gone (the real one is not known).
    pub upload_gone_code: String,
    /// The authorization server.
    pub oauth: OauthSettings,
    /// The FOLIO front ends.
    pub folio: FolioSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_life: Duration::from_hours(1),
            horizon: Duration::from_hours(24),
            upst_life: None,
            sess_exp: SessExp::Text,
            refresh: RefreshMode::Extend,
            refresh_delay: Duration::ZERO,
            refuse_at_horizon: false,
            refresh_revokes_old: false,
            date_tolerance: Duration::from_mins(5),
            checks: Checks::Md5,
            page_size: 1000,
            min_part_bytes: 0,
            max_part_bytes: 50 << 30,
            preconditions_at_commit: true,
            expect: Expect::FinalFirst,
            refusal: Refusal::Drain,
            bandwidth_bytes_per_s: None,
            head_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_mins(1),
            upload_gone_code: "NoSuchUpload".into(),
            oauth: OauthSettings::default(),
            folio: FolioSettings::default(),
        }
    }
}

/// How the `sess_exp` claim is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessExp {
    /// `Sat, 08 Nov 2025 17:19:55 UTC`, as in public samples.
    #[default]
    Text,
    /// Seconds since 1970.
    Number,
    /// No such claim.
    Absent,
}

/// What the refresh endpoint does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshMode {
    /// A new token, `token_life` long, never beyond the horizon.
    #[default]
    Extend,
    /// 200 with a new token whose `exp` is the old one's.
    SameExpiry,
    /// 503 `ServiceUnavailable`.
    Unavailable,
    /// 401 `NotAuthenticated`.
    Refuse,
    /// The token is minted, and the connection closes without an answer.
    LoseAnswer,
}

/// Checksums computed even if nobody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checks {
    /// MD5 and CRC32C, as the service does; about 0.6 GB/s per core.
    #[default]
    Md5,
    /// CRC32C only: `opc-content-md5` and `opc-multipart-md5` are missing unless the request carried `Content-MD5`.
    Crc32c,
    /// None at all, and checksums the client supplies are not compared: for measuring the rest.
    None,
}

/// How `Expect: 100-continue` is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The request is judged by its head: `100` if its body is wanted, else the final answer and the connection closes.
    #[default]
    FinalFirst,
    /// `100` at once, whatever follows.
    ContinueFirst,
    /// Never `100`; the body is awaited as if nothing had been asked.
    Ignore,
}

/// What happens to the rest of a body after an early answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Read and dropped at full speed; the connection lives on.
    #[default]
    Drain,
    /// Read and dropped for at most a second after the answer, then the connection closes.
    Close,
    /// Reset right after the answer is written: the client may or may not see it.
    Reset,
}
