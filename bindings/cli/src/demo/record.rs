//! What happened, as the cloud saw it: its request log and its tokens, in seconds since the sign-in.

use outlast_cloud::{Control, Entry, Op};

use super::stage::{PROFILE, Stage};

/// A run, ready to be drawn.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Bytes of the file.
    pub(super) size: u64,
    /// Bytes of a part.
    pub(super) part_size: u64,
    /// Number of parts.
    pub(super) parts: u32,
    /// Whether file and object were compared byte for byte.
    pub(super) compared_whole: bool,
    /// Seconds a token lives.
    pub(super) token_life: f64,
    /// When the object was committed.
    pub(super) end: f64,
    pub(super) tokens: Vec<Token>,
    pub(super) bars: Vec<Bar>,
    /// Lanes that the bars take.
    pub(super) lanes: usize,
    pub(super) kill: Option<Kill>,
    /// Parts stored, after each that was: `(second, how many)`.
    pub(super) stored: Vec<(f64, u32)>,
    pub(super) official: Official,
}

/// One token's life.
#[derive(Debug)]
pub(super) struct Token {
    /// When it was minted.
    pub(super) from: f64,
    /// Its stated end.
    pub(super) until: f64,
    /// When it was first and last sent with.
    pub(super) used: Option<(f64, f64)>,
    /// When the service refused it before its end.
    pub(super) refused: Option<f64>,
}

/// One part's way to the cloud.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) lane: usize,
    pub(super) from: f64,
    pub(super) until: f64,
    pub(super) part: u32,
    pub(super) token: usize,
    pub(super) fate: Fate,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stored,
    /// Refused for its token; sent again under the next one.
    Refused,
    /// Cut off by the kill; sent again by the next process.
    Lost,
}

/// The death of the first process and what the second found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) at: f64,
    pub(super) again: f64,
    /// Parts that were kept.
    pub(super) kept: u32,
}

/// What the official command line would have done with the same token and line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Official {
    /// When its one token would have ended.
    pub(super) at: f64,
    /// When the last part begun by then would have arrived.
    pub(super) last: f64,
    /// Parts it would have begun by then.
    pub(super) sent: u32,
    /// Parts it would not.
    pub(super) missing: u32,
}

/// Moments that only the play knows, milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) killed: i64,
    pub(super) again: i64,
    pub(super) kept: u32,
}

impl Record {
    /// Gathers a run.
    pub(super) fn gather(stage: &Stage, moments: Moments) -> Record {
        let control = stage.control();
        let log = control.log();
        let zero = zero(&control);
        let second = |at_ms: i64| seconds(at_ms - zero);
        let uploads: Vec<&Entry> = log.iter().filter(|entry| entry.op == Op::UploadPart).collect();
        let mut tokens = tokens(&control, &log, zero);
        let mut record = Record {
            size: stage.size,
            part_size: stage.part_mib << 20,
            parts: u32::try_from(stage.size.div_ceil(stage.part_mib << 20)).unwrap_or(u32::MAX),
            compared_whole: stage.is_compared_whole(),
            token_life: stage.token_life.as_secs_f64(),
            ..Record::default()
        };
        for entry in &uploads {
            let (Some(part), Some(token)) = (entry.part, entry.generation) else { continue };
            let (from, token) = (second(entry.time_ms), token as usize);
            let until = from + seconds(i64::try_from(entry.took_ms).unwrap_or(0));
            let fate = match entry.status {
                200 => Fate::Stored,
                401 => Fate::Refused,
                _ => Fate::Lost,
            };
            if let Some(token) = tokens.get_mut(token) {
                let (first, last) = token.used.unwrap_or((from, until));
                token.used =
                    Some((first.min(from), if fate == Fate::Refused { last } else { last.max(from) }));
                if fate == Fate::Refused {
                    token.refused = Some(token.refused.map_or(from, |at: f64| at.min(from)));
                }
            }
            record.bars.push(Bar { lane: 0, from, until, part, token, fate });
        }
        record.end = log
            .iter()
            .filter(|entry| entry.op == Op::CommitUpload && entry.status == 200)
            .map(|entry| second(entry.time_ms) + seconds(i64::try_from(entry.took_ms).unwrap_or(0)))
            .fold(0.0, f64::max);
        record.tokens = tokens;
        record.lay_out();
        record.count_stored();
        record.kill = (moments.killed > 0).then(|| Kill {
            at: second(moments.killed),
            again: second(moments.again),
            kept: moments.kept,
        });
        record.compare();
        record
    }

    /// Gives every bar the lowest lane that is free.
    fn lay_out(&mut self) {
        self.bars.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut free: Vec<f64> = Vec::new();
        for bar in &mut self.bars {
            let lane = free.iter().position(|free| *free <= bar.from + 0.002).unwrap_or(free.len());
            if lane == free.len() {
                free.push(0.0);
            }
            free[lane] = bar.until;
            bar.lane = lane;
        }
        self.lanes = free.len().max(1);
    }

    fn count_stored(&mut self) {
        let mut ends: Vec<f64> =
            self.bars.iter().filter(|bar| bar.fate == Fate::Stored).map(|bar| bar.until).collect();
        ends.sort_by(f64::total_cmp);
        self.stored = ends.into_iter().zip(1..).collect();
    }

    /// Its one token, on this line: what was begun before the token's end would have arrived, nothing after it.
    fn compare(&mut self) {
        let at = self.tokens.first().map_or(0.0, |token| token.until);
        let begun = || self.bars.iter().filter(|bar| bar.from < at && bar.fate != Fate::Refused);
        let last = begun().map(|bar| bar.until).fold(at, f64::max);
        let mut sent: Vec<u32> = begun().map(|bar| bar.part).collect();
        sent.sort_unstable();
        sent.dedup();
        let sent = u32::try_from(sent.len()).unwrap_or(u32::MAX);
        self.official = Official { at, last, sent, missing: self.parts.saturating_sub(sent) };
    }

    /// Whether a part ended like that.
    pub(super) fn any(&self, fate: Fate) -> bool {
        self.bars.iter().any(|bar| bar.fate == fate)
    }
}

/// The moment of the sign-in, milliseconds since 1970.
pub(super) fn zero(control: &Control) -> i64 {
    control.sessions().iter().find(|session| session.profile == PROFILE).map_or(0, |session| session.login_ms)
}

/// The tokens of the session, with the moments of the answers that brought them.
fn tokens(control: &Control, log: &[Entry], zero: i64) -> Vec<Token> {
    let mut refreshes = log
        .iter()
        .filter(|entry| entry.op == Op::Refresh && entry.status == 200)
        .map(|entry| seconds(entry.time_ms - zero + i64::try_from(entry.took_ms).unwrap_or(0)));
    let sessions = control.sessions();
    let session = sessions.into_iter().find(|session| session.profile == PROFILE);
    let facts = session.map(|session| session.tokens).unwrap_or_default();
    let life = |(index, token): (usize, outlast_cloud::TokenFacts)| {
        let minted = seconds(token.iat.saturating_mul(1000) - zero);
        let from = if index == 0 { 0.0 } else { refreshes.next().unwrap_or(minted) };
        Token { from, until: seconds(token.exp.saturating_mul(1000) - zero), used: None, refused: None }
    };
    facts.into_iter().enumerate().map(life).collect()
}

#[expect(clippy::cast_precision_loss, reason = "spans of a run")]
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
