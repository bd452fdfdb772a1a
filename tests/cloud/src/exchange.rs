//! One connection's requests, one after the other: judged, served, answered, logged.

use crate::auth::registry::{Caller, Refused, TokenFacts};
use crate::clock::http_date;
use crate::fault::{Cut, Sight};
use crate::http::body::{Body, BodyCut};
use crate::http::head::Head;
use crate::http::reply::{Fail, Reply};
use crate::http::stream::Stream;
use crate::http::wire::{NoHead, Wire};
use crate::ledger::Entry;
use crate::oauth::watch::Rule;
use crate::op::{Op, Signing};
use crate::plan::{End, Plan, Point};
use crate::random::{hex, url_safe, uuid};
use crate::route::Route;
use crate::service::{Call, Handled, Service, Stop};
use crate::settings::{Expect, Refusal, Settings};
use crate::{auth, control, folio, oauth, storage};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Largest JSON body: a commit of 10,000 parts is under one MiB.
const MAX_JSON_BYTES: usize = 8 << 20;
/// Largest body at the authorization server and the FOLIO front ends.
const MAX_FORM_BYTES: usize = 1 << 20;
/// How long a closing connection is read so that its answer is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// What a listener answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    All,
    /// Everything but the auth endpoints, which have a listener of their own.
    Storage,
    /// The auth endpoints only.
    Auth,
}

/// Where a connection came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    pub(crate) face: Face,
    pub(crate) peer: SocketAddr,
    pub(crate) connection: u64,
    pub(crate) secure: bool,
}

/// What becomes of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    Close,
    Reset,
}

/// Serves a connection to its end.
pub(crate) async fn converse(service: &Arc<Service>, stream: Stream, door: Door) {
    let mut wire = Wire::new(stream);
    loop {
        let head = match wire.head(service.settings().head_timeout).await {
            Ok(head) => head,
            Err(NoHead::Idle) => return,
            Err(NoHead::Partial) => return log_broken(service, door, 0, "the head did not come to its end"),
            Err(NoHead::Bad(bad)) => {
                log_broken(service, door, bad.status, bad.reason);
                let mut reply = Fail::new(bad.status, bad.code, bad.reason).reply();
                reply.set("date", http_date(service.clock.now()));
                reply.set("opc-request-id", request_id(false));
                if wire.send(&reply, false, true).await.is_ok() {
                    wire.linger(LINGER).await;
                }
                return;
            }
        };
        if head.method == "CONNECT" {
            return tunnel(service, wire, door).await;
        }
        // Not those of the moment when this request began to be waited for.
        let settings = service.settings();
        match exchange(service, &settings, &mut wire, &head, door).await {
            Next::Request => {}
            Next::Close => return,
            Next::Reset => return wire.stream.reset_on_drop(),
        }
    }
}

/// Plays the proxy that leads to the TLS face, whatever host was asked for.
async fn tunnel(service: &Arc<Service>, mut wire: Wire, door: Door) {
    let refusal =
        Fail::new(405, "MethodNotAllowed", "CONNECT works on the plain listener when TLS is on").reply();
    let ready = wire.stream.is_plain() && !wire.has_more();
    if service.tls.is_none() || !ready {
        let _ = wire.send(&refusal, false, true).await;
        return;
    }
    if wire.stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
        return;
    }
    if let Stream::Plain(tcp) = wire.stream
        && let Some(stream) = service.handshake(tcp).await
    {
        let door = Door { face: Face::All, secure: true, ..door };
        Box::pin(converse(service, stream, door)).await;
    }
}

/// How a request was dealt with.
struct Dealt {
    end: End,
    reason: Option<String>,
    plan: Plan,
    /// The session and token that signed the request, or that it named before it was refused.
    token: Option<(usize, TokenFacts)>,
    /// The credentials were good.
    accepted: bool,
}

impl Dealt {
    fn reply(reply: Reply) -> Self {
        let reason = reply.note.clone();
        Self {
            end: End::Answer(Box::new(reply), None),
            reason,
            plan: Plan::default(),
            token: None,
            accepted: false,
        }
    }

    fn fail(fail: &Fail) -> Self {
        let told = || format!("{}: {}", fail.code, fail.message);
        Self { reason: Some(fail.note.clone().unwrap_or_else(told)), ..Self::reply(fail.reply()) }
    }
}

async fn exchange(
    service: &Arc<Service>,
    settings: &Settings,
    wire: &mut Wire,
    head: &Head,
    door: Door,
) -> Next {
    let (started, time_ms) = (Instant::now(), service.clock.now());
    let route = Route::find(head);
    let op = route.as_ref().map_or(Op::Unknown, |route| route.op);
    let leaked = service.oauth.secret_in_target(&head.target);
    if let Some(kind) = leaked {
        service.oauth.watch.note(time_ms, Rule::SecretInTarget, format!("{kind} in the target of {op}"));
    }
    let in_flight = service.ledger.enter(op);
    let uncounted = AtomicU64::new(0);
    let tally = if op.streams() { &service.ledger.bytes_received } else { &uncounted };
    let mut body = Body::new(wire, head.length().unwrap_or(0), settings.body_timeout, tally);
    body.owe_continue(head.expects_continue() && settings.expect != Expect::Ignore);

    let dealt = match &route {
        Err(fail) => Dealt::fail(fail),
        Ok(route) => deal(service, settings, head, route, &mut body, door).await,
    };
    let (received, left, awaited) = (body.received(), body.length() - body.received(), body.is_awaited());
    drop(body);

    let Dealt { end, reason, plan, token, accepted } = dealt;
    let id = request_id(op.is_auth());
    let (mut reply, then) = match end {
        End::Cut(cut) => (Err(cut), None),
        End::Answer(reply, then) => (Ok(reply), then),
    };
    let mut broken = false;
    if let Ok(reply) = &mut reply {
        tokio::time::sleep(plan.delay()).await;
        reply.set("date", http_date(service.clock.now()));
        reply.set("opc-request-id", id.as_str());
        if let Some(echo) = head.get("opc-client-request-id") {
            reply.set("opc-client-request-id", echo);
        }
        broken = plan.touch(reply);
    }
    drop(in_flight);
    if op != Op::Control {
        let (session, facts) = token.unzip();
        let entry = Entry {
            seq: 0,
            time_ms,
            took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            connection: door.connection,
            method: head.method.clone(),
            target: if leaked.is_some() { "(it held a secret)".into() } else { head.target.clone() },
            op,
            object: route.as_ref().ok().and_then(|route| route.object.clone()),
            upload: route.as_ref().ok().and_then(|route| route.upload_id().map(str::to_owned)),
            part: route.as_ref().ok().and_then(Route::part),
            status: reply.as_ref().map_or(0, |reply| reply.status),
            reason,
            session,
            generation: facts.as_ref().map(|facts| facts.generation),
            jti: facts.map(|facts| facts.jti),
            length: head.length(),
            received,
            faults: plan.ids.clone(),
            request_id: id,
            headers: shown_headers(head),
        };
        service.ledger.add(entry, accepted);
    }
    let reply = match reply {
        Ok(reply) => reply,
        Err(Cut::Reset) => return Next::Reset,
        Err(Cut::Close) => {
            wire.linger(Duration::from_millis(50)).await;
            return Next::Close;
        }
    };
    let refusal = if left > 0 { then.unwrap_or(settings.refusal) } else { Refusal::Drain };
    let close = broken || head.wants_close() || (left > 0 && (awaited || refusal != Refusal::Drain));
    let bodiless = head.method == "HEAD";
    let sent = match plan.trickle() {
        Some((piece, every)) => wire.trickle(&reply, bodiless, close, piece, every).await,
        None => wire.send(&reply, bodiless, close).await,
    };
    if sent.is_err() || then == Some(Refusal::Reset) || (left > 0 && refusal == Refusal::Reset) {
        return Next::Reset;
    }
    if close {
        wire.linger(LINGER).await;
        return Next::Close;
    }
    if wire.skip(left, settings.body_timeout).await { Next::Request } else { Next::Close }
}

/// Judges a request and serves it.
async fn deal<'a>(
    service: &'a Arc<Service>,
    settings: &Settings,
    head: &Head,
    route: &Route<'_>,
    body: &mut Body<'a>,
    door: Door,
) -> Dealt {
    let op = route.op;
    if op == Op::Control {
        return Dealt::reply(control::face::serve(service, head, route, body, door.peer).await);
    }
    let served_here = match door.face {
        Face::All => true,
        Face::Storage => !op.is_auth(),
        Face::Auth => op.is_auth() || op == Op::Probe,
    };
    if op == Op::Probe {
        return Dealt::reply(Reply::empty(200));
    }
    if settings.expect == Expect::ContinueFirst && body.send_continue().await.is_err() {
        return cut_short(BodyCut::Short, body);
    }
    let judged = service.registry.judge(head, op, settings, service.clock.now());
    let (caller, authorization) = match judged {
        Ok(judged) => judged,
        Err(refused) => return refuse(service, op, refused),
    };
    let (part, object) = (route.part(), route.object.as_deref());
    let token = match &caller {
        Caller::Token { session, facts, .. } => Some((*session, facts.clone())),
        Caller::Nobody | Caller::Key { .. } => None,
    };
    let generation = token.as_ref().map(|(_, facts)| facts.generation);
    let now_ms = service.clock.now();
    let (actions, ids) = service.faults.strike(&Sight { op, part, object, generation, now_ms });
    let plan = Plan::new(actions, ids, op.is_oauth());
    if let Some(end) = plan.end(Point::Head, 0, body.length(), now_ms) {
        return Dealt { end, reason: Some("fault".into()), plan, token, accepted: true };
    }
    plan.mark(body);
    match plan.expect() {
        Some(Expect::Ignore) => body.owe_continue(false),
        Some(Expect::ContinueFirst) if body.send_continue().await.is_err() => {
            return cut_short(BodyCut::Short, body);
        }
        _ => {}
    }
    if let Some(rate) = settings.bandwidth_bytes_per_s.filter(|_| op.streams()) {
        body.throttle(&service.throttle, rate);
    }
    let call = Call {
        service,
        settings,
        head,
        route,
        caller: &caller,
        authorization: authorization.as_ref(),
        plan: &plan,
        secure: door.secure,
    };
    let handled = if served_here { serve(&call, body).await } else { Err(nothing_here().into()) };
    let now_ms = service.clock.now();
    let (received, length) = (body.received(), body.length());
    let mut dealt = match handled {
        Ok(reply) => Dealt::reply(reply),
        Err(Stop::Fail(fail)) => Dealt::fail(&fail),
        Err(Stop::Cut(cut)) => {
            Dealt { end: End::Cut(cut), reason: Some("answer lost on purpose".into()), ..unplanned() }
        }
        Err(Stop::Body(BodyCut::Stopped)) => match plan.end(Point::Body, received, length, now_ms) {
            Some(end) => Dealt { end, reason: Some("fault".into()), ..unplanned() },
            None => cut_short(BodyCut::Short, body),
        },
        Err(Stop::Body(cut)) => cut_short(cut, body),
    };
    if let Some(end) = plan.end(Point::Done, received, length, now_ms) {
        dealt.end = end;
        dealt.reason = Some("fault".into());
    }
    Dealt { plan, token, accepted: true, ..dealt }
}

/// Reads the small bodies, checks them against the signature, and calls the handler.
async fn serve(call: &Call<'_>, body: &mut Body<'_>) -> Handled {
    let op = call.route.op;
    let identity = op.is_auth();
    call.route.check_query()?;
    if op.is_oauth() || op.is_folio() {
        let small = body.collect(MAX_FORM_BYTES).await?;
        let small =
            small.ok_or_else(|| Fail::new(413, "RequestEntityTooLarge", "The body is larger than 1 MiB"))?;
        return if op.is_oauth() {
            oauth::face::serve(call, &small)
        } else {
            folio::face::serve(call, &small).await
        };
    }
    let mut json = Vec::new();
    if op.signing() == Signing::Body {
        if call.head.length().is_none() {
            return Err(Fail::new(411, "ContentLengthRequired", "Content-Length is required").into());
        }
        let collected = body.collect(MAX_JSON_BYTES).await?;
        json = collected
            .ok_or_else(|| Fail::new(413, "RequestEntityTooLarge", "The body is larger than 8 MiB"))?;
        if let Err(reason) = auth::signature::check_body(call.head, &json) {
            call.service.ledger.count(|stats| stats.unauthenticated += 1);
            return Err(Fail::unauthenticated(identity, reason).into());
        }
        if !call.head.get("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
            return Err(Fail::new(400, "CannotParseRequest", "The body is not application/json").into());
        }
    } else if !op.streams() && body.length() > 0 {
        return Err(Fail::new(400, "InvalidContentLength", "This operation takes no body").into());
    } else if !op.streams() {
        // Lets a fault placed in the body strike here as well.
        body.chunk().await?;
    }
    if identity {
        auth::face::serve(call, &json).await
    } else {
        storage::face::serve(call, &json, body).await
    }
}

fn refuse(service: &Service, op: Op, refused: Refused) -> Dealt {
    service.ledger.count(|stats| stats.unauthenticated += 1);
    let Refused { reason, token } = refused;
    Dealt { token, ..Dealt::fail(&Fail::unauthenticated(op.is_auth(), reason)) }
}

fn unplanned() -> Dealt {
    Dealt::reply(Reply::empty(500))
}

fn cut_short(cut: BodyCut, body: &Body<'_>) -> Dealt {
    let how = match cut {
        BodyCut::Silent => "the client fell silent",
        BodyCut::Short | BodyCut::Stopped => "the client went away",
    };
    let reason =
        format!("{how} after {} of {} body bytes; nothing was stored", body.received(), body.length());
    Dealt { end: End::Cut(Cut::Close), reason: Some(reason), ..unplanned() }
}

fn nothing_here() -> Fail {
    Fail::new(404, "NotAuthorizedOrNotFound", "This endpoint is on another listener")
}

fn log_broken(service: &Service, door: Door, status: u16, reason: &str) {
    let entry = Entry {
        seq: 0,
        time_ms: service.clock.now(),
        took_ms: 0,
        connection: door.connection,
        method: String::new(),
        target: String::new(),
        op: Op::Unknown,
        object: None,
        upload: None,
        part: None,
        status,
        reason: Some(reason.to_owned()),
        session: None,
        generation: None,
        jti: None,
        length: None,
        received: 0,
        faults: Vec::new(),
        request_id: String::new(),
        headers: BTreeMap::new(),
    };
    service.ledger.add(entry, false);
}

/// The headers a log may show.
fn shown_headers(head: &Head) -> BTreeMap<String, String> {
    let secret = |name: &str| {
        matches!(
            name,
            "authorization" | "cookie" | "dpop" | "opc-obo-token" | "opc-sse-customer-key" | "x-okapi-token"
        )
    };
    head.headers().iter().filter(|(name, _)| !secret(name)).cloned().collect()
}

/// `phx-1:` and 64 characters at Object Storage, two runs of 32 hex digits at the auth service.
fn request_id(auth: bool) -> String {
    if auth {
        format!("{}/{}", uuid().replace('-', "").to_uppercase(), hex(uuid().as_bytes())[..32].to_uppercase())
    } else {
        format!("phx-1:{}", url_safe(48))
    }
}
