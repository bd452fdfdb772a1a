//! The scenario files as types: an unknown key, step or source does not parse.

use std::collections::BTreeMap;

use outlast_cloud::Fault;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "needs")]
    _needs: Vec<String>,
    #[serde(default)]
    pub(crate) cloud: CloudSetup,
    pub(crate) steps: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CloudSetup {
    pub(crate) settings: Map<String, Value>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) login: Map<String, Value>,
    pub(crate) clock: ClockSetup,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClockSetup {
    pub(crate) advance_s: u64,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    Open {
        kind: Kind,
        profile: Option<String>,
        name: Option<String>,
        sessions: Option<String>,
        #[serde(default)]
        wait_for_login_ms: u64,
        supply: Option<Supply>,
        expect: Option<OpenExpect>,
    },
    Start {
        object: String,
        bucket: Option<String>,
        source: Source,
        options: Options,
    },
    Await {
        event: String,
        count: u64,
    },
    Cancel {
        on_failure: Failing,
    },
    Pause {},
    Resume {},
    Wait {
        expect: Box<Expect>,
    },
    Supply {
        answer: Supply,
    },
    Touch {},
    Token {},
    Sign(Sign),
    Reject {},
    Login(Map<String, Value>),
    Control {
        path: String,
        body: Map<String, Value>,
    },
    Check {
        objects: Option<BTreeMap<String, String>>,
        uploads: Option<Bounds>,
        #[serde(default)]
        stats: BTreeMap<String, Bounds>,
        supplied: Option<Bounds>,
    },
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Profile,
    Defined,
    Supplied,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Supply {
    Fresh,
    SignInNeeded,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failing {
    #[default]
    Retain,
    Abort,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenExpect {
    pub(crate) status: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) kind: Shape,
    pub(crate) bytes: u64,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    Path,
    Fd,
    Bytes,
    Stream,
    Writer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) part_size_bytes: u64,
    pub(crate) parallel_upload_count: u32,
    #[serde(default)]
    pub(crate) no_multipart: bool,
    #[serde(default)]
    pub(crate) no_overwrite: bool,
    pub(crate) if_match: Option<String>,
    #[serde(default)]
    pub(crate) on_failure: Failing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: String,
    pub(crate) bytes: Option<Bounds>,
    pub(crate) parts: Option<Bounds>,
    pub(crate) parts_reused: Option<Bounds>,
    pub(crate) retries: Option<Bounds>,
    pub(crate) refusals: Option<Bounds>,
    pub(crate) verified: Option<bool>,
    pub(crate) http_status: Option<Bounds>,
    pub(crate) retry: Option<String>,
    pub(crate) resumable: Option<bool>,
    #[serde(default)]
    pub(crate) events: BTreeMap<String, Bounds>,
    pub(crate) took_ms: Option<Bounds>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sign {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) newer: bool,
}

/// A number, or what it lies between.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bounds {
    Exactly(u64),
    Between(Between),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Between {
    #[serde(default)]
    at_least: u64,
    #[serde(default = "no_end")]
    at_most: u64,
}

fn no_end() -> u64 {
    u64::MAX
}

impl Bounds {
    /// Says how a number differs.
    pub(crate) fn compare(self, what: &str, found: impl Into<u64>) -> Result<(), String> {
        let found = found.into();
        let good = match self {
            Bounds::Exactly(number) => found == number,
            Bounds::Between(Between { at_least, at_most }) => (at_least..=at_most).contains(&found),
        };
        if good { Ok(()) } else { Err(format!("{what} is {found}, expected {self:?}")) }
    }
}
