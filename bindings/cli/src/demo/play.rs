//! The play: what happens on the stage, told while it happens.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outlast_cloud::{Action, Control, Fault, On, Op, TokenFacts};
use serde_json::Value;

use super::child::{Heard, Put};
use super::record::{Moments, Record, seconds, zero};
use super::stage::{PARALLEL, PROFILE, Stage};
use crate::exit::{Code, Failure, Outcome};
use crate::signals::Signals;
use crate::style::Style;
use crate::words;

/// How often the play looks around while nothing is heard.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A token is revoked so long after it came: in the middle of its life.
const REVOKED_AFTER: Duration = Duration::from_millis(1200);
/// The process is killed so long after a refresh: then the next one finds a token that lives.
const KILLED_AFTER: Duration = Duration::from_millis(700);
/// How long nobody uploads after the kill.
const PAUSE: Duration = Duration::from_secs(1);

/// The whole run: upload, revocation, kill, resumption, comparison.
pub(super) fn play(stage: &Stage, signals: &Signals) -> Outcome<Record> {
    let mut play = Play::new(stage);
    play.opening();
    let mut put = Put::start(stage)?;
    let mut last_line = String::new();
    loop {
        if signals.asked() {
            play.bar.finish_and_clear();
            return Err(Failure::new(Code::Interrupted, "interrupted; nothing was kept"));
        }
        match put.hear(LOOK_EVERY) {
            Heard::Event(event) => play.hear(&event),
            Heard::Line(line) => last_line = line,
            Heard::Silence => {}
            Heard::End => {
                if put.wait() == Some(0) {
                    break;
                }
                play.bar.finish_and_clear();
                let line = last_line.trim_start_matches("outlast: ");
                return Err(Failure::new(Code::Failure, format!("the uploading process failed: {line}")));
            }
        }
        play.revoke_if_due();
        if play.kill_is_due() {
            put.kill();
            play.killed();
            std::thread::sleep(PAUSE);
            play.again();
            put = Put::start(stage)?;
        }
    }
    play.bar.finish_and_clear();
    let verdict = stage.compare()?;
    play.say(Mark::Good, &format!("compared: {verdict}"));
    Ok(Record::gather(stage, play.moments))
}

/// The last lines: what one token would have done, and where the picture is.
pub(super) fn close(record: &Record, picture: &Path, kept: Option<&Path>) -> Outcome {
    let style = Style::of(&io::stdout());
    let official = record.official;
    let mut lines = vec![String::new()];
    lines.push(if official.missing == 0 {
        format!(
            "The official CLI reads its token once; here one token would have been enough: it lasted {:.0} s",
            official.at
        )
    } else {
        format!(
            "The official CLI reads its token once: at second {:.1} it would have ended, {} of {} parts were still to be \
             sent {} exit 1",
            official.at,
            official.missing,
            record.parts,
            style.bad("→ 401 NotAuthenticated,"),
        )
    });
    lines.push(format!("Picture of this run: {}", style.bold(&picture.display().to_string())));
    if let Some(dir) = kept {
        lines.push(format!("Kept: {}", dir.display()));
    }
    lines.push(String::new());
    crate::output::write_out(&lines.join("\n"))
}

/// The sign in front of a line.
#[derive(Clone, Copy)]
enum Mark {
    Plain,
    Good,
    Bad,
    Session,
}

struct Play<'a> {
    stage: &'a Stage,
    control: Control,
    zero: i64,
    style: Style,
    bar: ProgressBar,
    parts: u64,
    stored: u64,
    /// Index of the newest token that was told.
    token: usize,
    refused: Option<usize>,
    revoke_at: Option<Instant>,
    /// Tokens that the service was told to refuse.
    revocations: u32,
    /// A request was refused for it.
    refusal_seen: bool,
    kill_at: Option<Instant>,
    moments: Moments,
}

impl<'a> Play<'a> {
    fn new(stage: &'a Stage) -> Self {
        let control = stage.control();
        let target = if io::stdout().is_terminal() {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        let template = ProgressStyle::with_template("         {wide_bar:.cyan/white.dim} {msg}");
        bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
        Play {
            stage,
            zero: zero(&control),
            control,
            style: Style::of(&io::stdout()),
            bar,
            parts: stage.size.div_ceil(stage.part_mib << 20),
            stored: 0,
            token: 0,
            refused: None,
            revoke_at: None,
            revocations: 0,
            refusal_seen: false,
            kill_at: None,
            moments: Moments::default(),
        }
    }

    fn say(&self, mark: Mark, text: &str) {
        let second = format!("{:>6.1} s", seconds(self.control.now_ms() - self.zero));
        let (mark, text) = match mark {
            Mark::Plain => ("·".to_owned(), text.to_owned()),
            Mark::Good => (self.style.good("✓"), self.style.good(text)),
            Mark::Bad => (self.style.bad("✗"), self.style.bad(text)),
            Mark::Session => (self.style.session("↻"), text.to_owned()),
        };
        self.bar.suspend(|| {
            let _ = writeln!(io::stdout(), "{} {mark} {text}", self.style.dim(&second));
        });
    }

    fn opening(&self) {
        let title = "One upload, several tokens, one revocation, one kill — all on this machine";
        let _ = writeln!(io::stdout(), "\n{}\n", self.style.bold(title));
        let life = self.stage.token_life.as_secs();
        let text = format!(
            "signed in: token 1 lives {life} s; the upload is slowed down to about {} s",
            self.stage.seconds
        );
        self.say(Mark::Session, &text);
    }

    /// The session's tokens as the cloud minted them.
    fn tokens(&self) -> Vec<TokenFacts> {
        let session = self.control.sessions().into_iter().find(|session| session.profile == PROFILE);
        session.map(|session| session.tokens).unwrap_or_default()
    }

    /// Seconds until the end of a token.
    fn left(&self, token: Option<&TokenFacts>) -> f64 {
        token.map_or(0.0, |token| seconds(token.exp.saturating_mul(1000) - self.control.now_ms())).max(0.0)
    }

    /// Parts the cloud has, whoever sent them.
    fn so_far(&self) -> String {
        format!("{}/{} parts", self.control.stats().stored_by_part.len(), self.parts)
    }

    fn hear(&mut self, event: &Value) {
        let number = |key: &str| event[key].as_u64().unwrap_or_default();
        match event["event"].as_str().unwrap_or_default() {
            "started" => self.started(number("parts"), number("parts_found")),
            "part-stored" => {
                self.stored += 1;
                if event["reused"] == true {
                    self.moments.kept += 1;
                }
                self.bar.set_length(self.parts);
                self.bar.set_position(self.stored);
                self.bar.set_message(self.so_far());
                self.schedule_late();
            }
            "rejected" => {
                let tokens = self.tokens();
                self.refused = Some(self.token);
                self.refusal_seen = true;
                let left = self.left(tokens.get(self.token));
                let text =
                    format!("the service refuses token {}, {left:.1} s before its end", self.token + 1);
                self.say(Mark::Bad, &text);
            }
            "refreshed" => self.refreshed(),
            "finished" if event["ok"] == true => {
                let text =
                    format!("all {} parts are stored and committed; every checksum agrees", self.parts);
                self.say(Mark::Good, &text);
            }
            _ => {}
        }
    }

    fn started(&mut self, parts: u64, found: u64) {
        if found == 0 {
            let text = format!(
                "uploading {} ({}) as {} of {} MiB, {PARALLEL} at a time",
                self.stage.object(),
                words::bytes(self.stage.size),
                words::count(parts, "part"),
                self.stage.part_mib
            );
            self.say(Mark::Plain, &text);
        } else {
            let text = format!(
                "it finds {} stored, compares them with the file and sends the rest",
                words::count(found, "part")
            );
            self.say(Mark::Plain, &text);
        }
    }

    fn refreshed(&mut self) {
        let tokens = self.tokens();
        let newest = tokens.len().saturating_sub(1);
        let before = std::mem::replace(&mut self.token, newest);
        if newest > before {
            let text = match self.refused.take() {
                Some(refused) => format!(
                    "token {} in its place; what token {} cost is sent again, no retry is spent",
                    newest + 1,
                    refused + 1
                ),
                None => format!(
                    "token {}, {:.1} s before the end of token {}; {}",
                    newest + 1,
                    self.left(tokens.get(before)),
                    before + 1,
                    self.so_far()
                ),
            };
            self.say(Mark::Session, &text);
        }
        let now = Instant::now();
        if self.refusal_seen {
            if self.moments.killed == 0 && self.stored * 100 >= self.parts * 52 {
                self.kill_at = Some(now + KILLED_AFTER);
            }
        } else if self.revocations > 0 {
            // The refresh came before any request began under the revoked token: this one gets no such time.
            self.revoke_at = Some(now);
        } else if self.revoke_at.is_none() && newest > 1 && self.stored * 100 >= self.parts * 30 {
            self.revoke_at = Some(now + REVOKED_AFTER);
        }
    }

    /// No refresh came at the right time: the story goes on all the same.
    fn schedule_late(&mut self) {
        let now = Instant::now();
        if !self.refusal_seen {
            if self.revocations == 0 && self.revoke_at.is_none() && self.stored * 100 >= self.parts * 50 {
                self.revoke_at = Some(now);
            }
        } else if self.kill_at.is_none() && self.stored * 100 >= self.parts * 68 {
            self.kill_at = Some(now);
        }
    }

    /// Makes the service refuse the present token from now on; its refresh still works, as after a policy change.
    fn revoke_if_due(&mut self) {
        if self.refusal_seen || self.revoke_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.revoke_at = None;
        self.revocations += 1;
        let generation = self.tokens().last().map(|token| token.generation);
        let ops = vec![Op::UploadPart, Op::ListParts, Op::CreateUpload, Op::CommitUpload, Op::HeadObject];
        let rule = Fault { on: On { ops, generation, ..On::default() }, ..Fault::on_all() };
        self.control.add_fault(rule.act(Action::status(401, "NotAuthenticated")));
    }

    fn kill_is_due(&self) -> bool {
        self.moments.killed == 0 && self.kill_at.is_some_and(|at| Instant::now() >= at)
    }

    fn killed(&mut self) {
        self.moments.killed = self.control.now_ms();
        let text = format!("kill -9: the uploading process is gone; {} were stored", self.so_far());
        self.say(Mark::Bad, &text);
    }

    fn again(&mut self) {
        self.moments.again = self.control.now_ms();
        // The next process tells again what is stored.
        self.stored = 0;
        self.say(Mark::Plain, "the same command again");
    }
}
