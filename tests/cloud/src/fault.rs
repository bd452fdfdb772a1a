//! Faults: rules that say which request misbehaves, when, and how.
//!
//! Rules are looked at once per request, after its signature has been accepted (a request that is refused anyway uses
//! no fault up), in the order they were added. Every rule that fires takes part; contradicting ones are the author's.

use crate::op::Op;
use crate::random::Dice;
use crate::settings::{Expect, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::time::Duration;

/// One rule. In JSON: `{"on": {"ops": ["upload_part"], "part": 3}, "when": {"count": 1}, "do": {"kind": "answer", "status": 503, "code": "ServiceUnavailable"}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    #[serde(default)]
    pub on: On,
    /// When among those.
    #[serde(default)]
    pub when: When,
    /// What happens.
    #[serde(rename = "do")]
    pub action: Action,
}

/// Which requests a rule is about; whatever is left out matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct On {
    /// Operations; empty for all but control.
    pub ops: Vec<Op>,
    /// Part number.
    pub part: Option<u32>,
    /// Decoded object name.
    pub object: Option<String>,
    /// Generation of the session token (0 = from login).
    pub generation: Option<u32>,
}

/// When a rule fires among the requests it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Requests let pass before the first firing.
    pub after: u64,
    /// Firings in all; `None` for ever.
    pub count: Option<u64>,
    /// Chance of each firing, from 0 to 1; `None` for certain.
    pub probability: Option<f64>,
    /// Seed of that chance.
    pub seed: u64,
    /// Silent until this long after the rule was added (by the cloud's clock).
    #[serde(rename = "from_s", with = "crate::seconds")]
    pub from: Duration,
}

/// Where in the life of a request something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// Before any of the body is read.
    #[default]
    Head,
    /// After this many bytes of the body.
    BodyBytes(u64),
    /// After half the body.
    Middle,
    /// After the whole body, before the operation is carried out.
    BodyEnd,
    /// After the operation was carried out.
    Done,
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// With a reset.
    #[default]
    Reset,
    /// With an orderly close.
    Close,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Answers with an error instead.
    Answer {
        /// HTTP status.
        status: u16,
        /// `code` of the error body.
        code: String,
        /// `message` of the error body; `None` for a stock text.
        #[serde(default)]
        message: Option<String>,
        /// Header `Retry-After`.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        /// When. `Done` carries the operation out and then claims it failed.
        #[serde(default)]
        at: At,
        /// How the body is damaged.
        #[serde(default)]
        body: Option<Mangle>,
        /// What happens to the rest of the request's body; `None` as the settings say.
        #[serde(default)]
        then: Option<Refusal>,
    },
    /// Cuts the connection without an answer. At `Done` this is the lost answer.
    Cut {
        /// When.
        #[serde(default)]
        at: At,
        /// How.
        #[serde(default)]
        how: Cut,
    },
    /// Waits before the answer is written (the operation has been carried out).
    Delay {
        /// How long, in seconds.
        #[serde(rename = "for_s", with = "crate::seconds")]
        time: Duration,
    },
    /// Stops reading the body for a while.
    Stall {
        /// Where in the body.
        #[serde(default)]
        at: At,
        /// How long, in seconds.
        #[serde(rename = "for_s", with = "crate::seconds")]
        time: Duration,
    },
    /// Writes the answer in pieces.
    Trickle {
        /// Bytes per piece.
        bytes: usize,
        /// Pause between two pieces, in seconds.
        #[serde(rename = "every_s", with = "crate::seconds")]
        every: Duration,
    },
    /// Stores a part or object with one bit flipped.
    Corrupt {
        /// Who can see it.
        #[serde(default)]
        shows: Shows,
    },
    /// Shows a wrong `md5` in the part list.
    WrongListMd5 {
        /// For this part only; `None` for all.
        #[serde(default)]
        part: Option<u32>,
    },
    /// Leaves headers out of the answer.
    OmitHeaders {
        /// Lower-case names.
        names: Vec<String>,
    },
    /// Adds or replaces a header of the answer.
    SetHeader {
        /// Lower-case name.
        name: String,
        /// Value.
        value: String,
    },
    /// Damages the body of whatever answer would be given.
    Mangle {
        /// How.
        how: Mangle,
    },
    /// Answers `Expect: 100-continue` in another way than the settings say.
    Expect {
        /// How.
        mode: Expect,
    },
}

/// Header `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// As a number of seconds.
    Seconds(u64),
    /// As a date that many seconds ahead of the cloud's clock.
    DateIn(u64),
}

/// How an answer's body is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mangle {
    /// An HTML page of a gateway.
    Html,
    /// Plain text.
    Text,
    /// Nothing.
    Empty,
    /// JSON that ends in the middle, correctly framed.
    BrokenJson,
    /// JSON of the wrong shape (`[1, null]`).
    WrongJson,
    /// Half the bytes `content-length` promises, then a close.
    Truncated,
    /// This many bytes of white space before the JSON (at most 256 MiB).
    Huge(u64),
}

/// Who can see that stored bytes are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shows {
    /// Every checksum the server reports is that of the damaged bytes.
    #[default]
    Always,
    /// The part's own answer and the list lie; checksums of the whole object tell the truth.
    AtCommit,
    /// Every reported checksum lies; only reading the object back tells.
    Never,
}

impl Fault {
    /// A rule about one operation, before it is told what to do with it.
    pub fn on(op: Op) -> Self {
        Self::of(On { ops: vec![op], ..On::default() })
    }

    /// A rule about every operation but control.
    pub fn on_all() -> Self {
        Self::of(On::default())
    }

    fn of(on: On) -> Self {
        Self { on, when: When::default(), action: Action::Cut { at: At::Head, how: Cut::Reset } }
    }

    /// The same for one part number only.
    #[must_use]
    pub fn part(mut self, part: u32) -> Self {
        self.on.part = Some(part);
        self
    }

    /// The same, at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.when.count = Some(count);
        self
    }

    /// The same, letting the first `requests` pass.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.when.after = requests;
        self
    }

    /// The same with a chance instead of certainty.
    #[must_use]
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.when.probability = Some(probability);
        self.when.seed = seed;
        self
    }

    /// The same, for tokens of one generation only.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.on.generation = Some(generation);
        self
    }

    /// The same, from this long after now.
    #[must_use]
    pub fn from(mut self, after: Duration) -> Self {
        self.when.from = after;
        self
    }

    /// The finished rule. (A rule never told otherwise resets the connection.)
    #[must_use]
    pub fn act(mut self, action: Action) -> Self {
        self.action = action;
        self
    }
}

impl Action {
    /// An error answer before the body is read.
    pub fn status(status: u16, code: &str) -> Self {
        Self::answer_at(At::Head, status, code)
    }

    /// An error answer at some point of the request.
    pub fn answer_at(at: At, status: u16, code: &str) -> Self {
        Self::Answer {
            status,
            code: code.into(),
            message: None,
            retry_after: None,
            at,
            body: None,
            then: None,
        }
    }

    /// 429 with or without `Retry-After`.
    pub fn too_many(retry_after: Option<RetryAfter>) -> Self {
        let (message, code) = (None, "TooManyRequests".into());
        Self::Answer { status: 429, code, message, retry_after, at: At::Head, body: None, then: None }
    }

    /// 401 after `bytes` of the body, then a reset: the client may see nothing but the reset.
    pub fn early_401(bytes: u64) -> Self {
        let (at, then) = (At::BodyBytes(bytes), Some(Refusal::Reset));
        let code = "NotAuthenticated".into();
        Self::Answer { status: 401, code, message: None, retry_after: None, at, body: None, then }
    }

    /// The operation is carried out, and its answer never arrives.
    pub fn lose_answer() -> Self {
        Self::Cut { at: At::Done, how: Cut::Close }
    }

    /// A reset at some point of the request.
    pub fn reset(at: At) -> Self {
        Self::Cut { at, how: Cut::Reset }
    }
}

/// A rule and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct FaultInfo {
    /// Number given when it was added.
    pub id: u64,
    /// Requests it was about.
    pub matched: u64,
    /// Times it fired.
    pub fired: u64,
    /// The rule.
    pub rule: Fault,
}

struct Armed {
    info: FaultInfo,
    dice: Dice,
    added_ms: i64,
}

/// All rules of a cloud.
#[derive(Default)]
pub(crate) struct Faults(Mutex<(u64, Vec<Armed>)>);

/// What a rule looks at.
pub(crate) struct Sight<'a> {
    pub(crate) op: Op,
    pub(crate) part: Option<u32>,
    pub(crate) object: Option<&'a str>,
    pub(crate) generation: Option<u32>,
    pub(crate) now_ms: i64,
}

impl Faults {
    pub(crate) fn add(&self, rule: Fault, now_ms: i64) -> u64 {
        let mut state = self.state();
        state.0 += 1;
        let id = state.0;
        let dice = Dice::new(rule.when.seed);
        state.1.push(Armed { info: FaultInfo { id, matched: 0, fired: 0, rule }, dice, added_ms: now_ms });
        id
    }

    /// Removes one rule, or all; says how many went.
    pub(crate) fn remove(&self, id: Option<u64>) -> usize {
        let mut state = self.state();
        let before = state.1.len();
        state.1.retain(|armed| id.is_some_and(|id| armed.info.id != id));
        before - state.1.len()
    }

    pub(crate) fn list(&self) -> Vec<FaultInfo> {
        self.state().1.iter().map(|armed| armed.info.clone()).collect()
    }

    /// The actions that befall this request, and the ids of their rules.
    pub(crate) fn strike(&self, sight: &Sight<'_>) -> (Vec<Action>, Vec<u64>) {
        let mut state = self.state();
        let (mut actions, mut ids) = (Vec::new(), Vec::new());
        for armed in &mut state.1 {
            if !armed.info.rule.on.matches(sight) {
                continue;
            }
            let when = &armed.info.rule.when;
            let from_ms = i64::try_from(when.from.as_millis()).unwrap_or(i64::MAX);
            if sight.now_ms < armed.added_ms.saturating_add(from_ms) {
                continue;
            }
            armed.info.matched += 1;
            let spent = when.count.is_some_and(|count| armed.info.fired >= count);
            if armed.info.matched <= when.after || spent {
                continue;
            }
            if when.probability.is_some_and(|probability| !armed.dice.hits(probability)) {
                continue;
            }
            armed.info.fired += 1;
            actions.push(armed.info.rule.action.clone());
            ids.push(armed.info.id);
        }
        (actions, ids)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (u64, Vec<Armed>)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl On {
    fn matches(&self, sight: &Sight<'_>) -> bool {
        sight.op != Op::Control
            && (self.ops.is_empty() || self.ops.contains(&sight.op))
            && self.part.is_none_or(|part| sight.part == Some(part))
            && self.object.as_deref().is_none_or(|object| sight.object == Some(object))
            && self.generation.is_none_or(|generation| sight.generation == Some(generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: u32) -> Sight<'static> {
        Sight { op: Op::UploadPart, part: Some(part), object: Some("o"), generation: None, now_ms: 0 }
    }

    #[test]
    fn a_rule_counts_what_it_is_about() {
        let faults = Faults::default();
        faults.add(
            Fault::on(Op::UploadPart).part(2).after(1).times(2).act(Action::WrongListMd5 { part: None }),
            0,
        );
        let fired = |number| faults.strike(&part(number)).0.len();
        assert_eq!([fired(1), fired(2), fired(2), fired(1), fired(2), fired(2)], [0, 0, 1, 0, 1, 0]);
        let info = &faults.list()[0];
        assert_eq!((info.matched, info.fired), (4, 2));
    }

    #[test]
    fn chance_repeats_with_its_seed() {
        let roll = |seed| {
            let faults = Faults::default();
            faults.add(Fault::on_all().chance(0.5, seed).act(Action::WrongListMd5 { part: None }), 0);
            (0..64).map(|_| faults.strike(&part(1)).0.len()).collect::<Vec<_>>()
        };
        assert_eq!(roll(7), roll(7));
        assert_ne!(roll(7), roll(8));
        let hits: usize = roll(7).iter().sum();
        assert!((16..48).contains(&hits), "{hits}");
    }

    #[test]
    fn json_shapes() {
        let text = r#"{"on":{"ops":["upload_part"],"part":3},"when":{"count":1,"from_s":1.5},
            "do":{"kind":"answer","status":429,"code":"TooManyRequests","retry_after":{"seconds":9},"at":{"body_bytes":7}}}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(fault.when.from, Duration::from_millis(1500));
        assert_eq!(fault.on.ops, [Op::UploadPart]);
        let again: Fault = serde_json::from_str(&serde_json::to_string(&fault).unwrap()).unwrap();
        assert_eq!(fault, again);
        assert!(serde_json::from_str::<Fault>(r#"{"do":{"kind":"nonsense"}}"#).is_err());
    }
}
