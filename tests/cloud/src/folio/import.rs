//! An import: a job of many calls over a time longer than a token lives, each with a nested call between modules.
//!
//! What a module calls on with decides everything. Okapi derives a token without end for it; on Eureka the user's own is
//! passed on, and until November 2024 its end counted at every hop.

use super::gateway::{self, Admitted, error, text, unauthorized};
use super::settings::Platform;
use crate::http::reply::Reply;
use crate::oauth::resource::judge;
use crate::service::{Call, Handled};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Most records of one job.
const MAX_RECORDS: u64 = 1_000_000;

/// One import.
#[derive(Debug)]
pub(crate) struct Job {
    records: u64,
    done: BTreeSet<u64>,
    refused: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewJob {
    records: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    index: u64,
}

/// A job as it is shown.
#[derive(Serialize)]
struct Shown {
    id: usize,
    status: &'static str,
    records: u64,
    done: u64,
    refused: u64,
}

impl Job {
    fn shown(&self, id: usize) -> Shown {
        let done = self.done.len() as u64;
        let status = if done == self.records { "COMMITTED" } else { "RUNNING" };
        Shown { id, status, records: self.records, done, refused: self.refused }
    }
}

/// `POST /data-import/jobs` and `GET /data-import/jobs/{id}`.
pub(crate) fn job(call: &Call<'_>, body: &[u8]) -> Reply {
    if let Err(reply) = gateway::admit(call, "data-import.jobs") {
        return reply;
    }
    let mut state = call.service.folio.state();
    if call.head.method == "POST" {
        let Ok(NewJob { records: records @ 1..=MAX_RECORDS }) = serde_json::from_slice(body) else {
            return text(400, "A job has from 1 to 1000000 records");
        };
        state.jobs.push(Job { records, done: BTreeSet::new(), refused: 0 });
        let id = state.jobs.len() - 1;
        return Reply::json(201, &json!(state.jobs[id].shown(id)));
    }
    let id = id_of(call.route.target.path);
    match id.and_then(|id| state.jobs.get(id).map(|job| job.shown(id))) {
        Some(shown) => Reply::json(200, &json!(shown)),
        None => text(404, "There is no such job"),
    }
}

/// `POST /data-import/jobs/{id}/records`: one record.
pub(crate) async fn record(call: &Call<'_>, body: &[u8]) -> Handled {
    let id = id_of(call.route.target.path);
    let Some(id) = id.filter(|id| *id < call.service.folio.state().jobs.len()) else {
        return Ok(text(404, "There is no such job"));
    };
    let admitted = match gateway::admit(call, "data-import.records") {
        Ok(admitted) => admitted,
        Err(reply) => {
            refused(call, id);
            return Ok(reply);
        }
    };
    let Ok(Record { index }) = serde_json::from_slice(body) else {
        return Ok(text(400, "A record is {\"index\": number}"));
    };
    tokio::time::sleep(call.settings.folio.record_time).await;
    if let Some(reply) = nested(call, &admitted) {
        refused(call, id);
        return Ok(reply);
    }
    let mut state = call.service.folio.state();
    // The cloud may have been told to forget everything meanwhile.
    let Some(job) = state.jobs.get_mut(id) else { return Ok(text(404, "There is no such job")) };
    if index >= job.records {
        return Ok(text(400, "The job has fewer records"));
    }
    job.done.insert(index);
    Ok(Reply::json(201, &json!({ "index": index })))
}

/// The call from the import module to the next one; `None` when it went through.
fn nested(call: &Call<'_>, admitted: &Admitted) -> Option<Reply> {
    let folio = &call.settings.folio;
    if folio.platform == Platform::Okapi || !folio.nested_calls_check_expiry {
        return None;
    }
    let judged = judge(&mut call.service.oauth.state(), &admitted.token, call.now());
    let reason = judged.err()?;
    let mut reply = if folio.egress_answers_503 {
        error(503, "Service token refreshed; send the request again", "authorization_error")
            .with("retry-after", "1")
    } else {
        unauthorized()
    };
    reply.note = Some(format!("nested call: {reason}"));
    Some(reply)
}

fn refused(call: &Call<'_>, id: usize) {
    if let Some(job) = call.service.folio.state().jobs.get_mut(id) {
        job.refused += 1;
    }
}

fn id_of(path: &str) -> Option<usize> {
    path.strip_prefix("/data-import/jobs/")?.split('/').next()?.parse().ok()
}
