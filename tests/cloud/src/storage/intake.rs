//! Taking in the bytes of a part or an object: checksummed, stored, perhaps damaged on purpose.

use super::about::Claims;
use super::digest::{Digester, Digests, Wanted};
use super::segment::{Segment, Writer};
use crate::auth::signature::check_body_hash;
use crate::config::Store;
use crate::fault::Shows;
use crate::http::body::Body;
use crate::http::reply::Fail;
use crate::service::{Call, Stop};

/// Bytes that arrived in full and are what the client said they are.
pub(crate) struct Intake {
    /// Checksums to tell the client.
    pub(crate) reported: Digests,
    /// Checksums an object's are made of.
    pub(crate) stored: Digests,
    pub(crate) segment: Segment,
}

/// Refuses a body that cannot be taken, by its head alone.
pub(crate) fn check_length(call: &Call<'_>) -> Result<(), Fail> {
    match call.head.length() {
        None => Err(Fail::new(411, "ContentLengthRequired", "Content-Length is required")),
        Some(length) if length > call.settings.max_part_bytes => {
            Err(Fail::new(413, "RequestEntityTooLarge", "The body is larger than 50 GiB"))
        }
        Some(_) => Ok(()),
    }
}

/// Reads the body to its end; nothing is kept unless all of it came and every claim about it holds.
pub(crate) async fn take(call: &Call<'_>, body: &mut Body<'_>, claims: &Claims) -> Result<Intake, Stop> {
    let hash_signed = call.authorization.is_some_and(|it| it.signs("x-content-sha256"));
    let wanted = claims.wanted(call.settings.checks, hash_signed);
    if wanted == Wanted::default()
        && call.service.storage.store == Store::Sink
        && call.plan.corrupt().is_none()
    {
        while body.discard().await? > 0 {}
        let said = call.service.storage.foretold(call.route.part(), body.length());
        return Ok(Intake { reported: said.clone(), stored: said, segment: Segment::Void(body.length()) });
    }
    let mut arrived = Digester::new(wanted);
    let mut damage = call.plan.corrupt().map(|shows| (shows, Digester::new(wanted)));
    let mut writer = Writer::new(&call.service.storage.store, body.length())?;
    let mut first = true;
    while let Some(chunk) = body.chunk().await? {
        arrived.update(chunk);
        let Some((_, kept)) = &mut damage else {
            writer.write(chunk)?;
            continue;
        };
        let mut copy = chunk.to_vec();
        if std::mem::take(&mut first) {
            copy[0] ^= 1;
        }
        kept.update(&copy);
        writer.write(&copy)?;
    }
    let arrived = arrived.finish();
    if hash_signed {
        let hash = arrived.sha256.unwrap_or_default();
        if let Err(reason) = check_body_hash(call.head, &hash) {
            call.service.ledger.count(|stats| stats.unauthenticated += 1);
            return Err(Fail::unauthenticated(false, reason).into());
        }
    }
    claims.compare(&arrived)?;
    let (reported, stored) = match damage {
        None | Some((Shows::Never, _)) => (arrived.clone(), arrived),
        Some((Shows::AtCommit, kept)) => (arrived, kept.finish()),
        Some((Shows::Always, kept)) => {
            let kept = kept.finish();
            (kept.clone(), kept)
        }
    };
    Ok(Intake { reported, stored, segment: writer.finish() })
}
