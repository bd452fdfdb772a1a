//! Refresh tokens: rotation, reuse, graces and limits, as each server has them.

use crate::web::{Web, described, told};
use outlast_cloud::{Action, Fault, LifetimeMember, Op, Preset, RefreshAnswer, RetryAfter, Rotation, Rule};
use serde_json::Value;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A web on a frozen clock, so that seconds pass when told to.
fn frozen(change: impl FnOnce(&mut outlast_cloud::OauthSettings)) -> Web {
    let web = Web::new(|settings| {
        settings.earliest_refresh = 0.0;
        change(settings);
    });
    web.control.freeze_clock(Some(1_800_000_000_000));
    web
}

fn next(web: &Web, tokens: &Value) -> Value {
    let answer = web.refresh(tokens);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.get("cache-control"), "no-store");
    answer.json()
}

#[test]
fn a_used_refresh_token_ends_its_family() {
    let web = frozen(|_| {});
    let (first, other) = (web.grant(), web.grant());
    let second = next(&web, &first);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(web.userinfo(&first), 200, "an access token outlives its refresh");
    assert_eq!(web.rules(), []);
    assert_eq!(told(&web.refresh(&first)), (400, "invalid_grant".into()));
    assert_eq!(web.rules(), [Rule::RefreshTokenReused]);
    assert_eq!(told(&web.refresh(&second)), (400, "invalid_grant".into()));
    assert_eq!((web.userinfo(&first), web.userinfo(&second)), (401, 401));
    assert_eq!(web.refresh(&other).status, 200, "another grant is not touched");
    web.refresh(&second);
    assert_eq!(web.rules(), [Rule::RefreshTokenReused, Rule::RefreshAfterInvalidGrant]);
    let chain = &web.control.oauth_chains()[0];
    assert_eq!((chain.refreshes, chain.generation), (1, 1));
    assert!(chain.ended.is_some());
}

#[test]
fn servers_tell_reuse_in_their_own_words() {
    let cases = [
        (Preset::OidcProvider, "invalid_grant", "grant request is invalid", 401, 401),
        (Preset::Keycloak, "invalid_grant", "Stale token", 200, 400),
        (
            Preset::Dex,
            "invalid_request",
            "Refresh token is invalid or has already been claimed by another client.",
            200,
            200,
        ),
        (Preset::Dot, "invalid_grant", "", 403, 403),
    ];
    for (preset, code, text, access, refresh) in cases {
        let web = frozen(|settings| settings.take_over(preset));
        let first = web.grant();
        web.control.advance_clock(SECOND);
        let second = next(&web, &first);
        web.control.advance_clock(5 * SECOND);
        let third = next(&web, &second);
        let reuse = web.refresh(&first);
        assert_eq!((told(&reuse), described(&reuse)), ((400, code.into()), text.into()), "{preset:?}");
        assert_eq!(web.userinfo(&third), access, "{preset:?}: the newest access token");
        let after = web.refresh(&third).status;
        assert_eq!(after, if refresh == 200 { 200 } else { 400 }, "{preset:?}: the newest refresh token");
    }
}

#[test]
fn keycloak_counts() {
    let web = frozen(|settings| {
        settings.take_over(Preset::Keycloak);
        settings.max_reuse = 1;
    });
    let first = web.grant();
    web.control.advance_clock(SECOND);
    let (lost, second) = (next(&web, &first), next(&web, &first));
    assert_eq!(web.rules(), [], "one reuse is granted");
    assert_eq!(described(&web.refresh(&first)), "Maximum allowed refresh token reuse exceeded");
    assert_eq!(described(&web.refresh(&second)), "Session doesn't have required client");
    assert_eq!(described(&web.refresh(&lost)), "Session doesn't have required client");

    // A newer one was presented: the older is stale, however often it was used.
    let first = web.grant();
    web.control.advance_clock(SECOND);
    let second = next(&web, &first);
    web.control.advance_clock(SECOND);
    next(&web, &second);
    assert_eq!(described(&web.refresh(&first)), "Stale token");

    // Steps within one second escape the count.
    let first = web.grant();
    let second = next(&web, &first);
    next(&web, &second);
    assert_eq!(web.refresh(&first).status, 200);
}

#[test]
fn keycloak_without_rotation_honours_every_token() {
    let web = frozen(|settings| settings.take_over(Preset::KeycloakPlain));
    let first = web.grant();
    let second = next(&web, &first);
    web.control.advance_clock(SECOND);
    assert_eq!((web.refresh(&first).status, web.refresh(&second).status), (200, 200));
    assert_eq!(web.rules(), []);
}

#[test]
fn graces_differ() {
    let grace = |rotation| {
        frozen(|settings| {
            settings.rotation = rotation;
            settings.grace = 10 * SECOND;
        })
    };
    let web = grace(Rotation::Replay);
    let first = web.grant();
    let second = next(&web, &first);
    assert_eq!(next(&web, &first), second, "the same answer");
    next(&web, &second);
    assert_eq!(web.refresh(&first).status, 400, "only for the immediate predecessor");

    let web = grace(Rotation::NewestChild);
    let first = web.grant();
    let (lost, second) = (next(&web, &first), next(&web, &first));
    assert_eq!(web.refresh(&lost).status, 400, "the earlier child is dead");
    next(&web, &second);
    assert_eq!(web.refresh(&first).status, 400, "using a child ends the grace");

    let web = grace(Rotation::Fork);
    let first = web.grant();
    let (one, two) = (next(&web, &first), next(&web, &first));
    assert_eq!((web.refresh(&one).status, web.refresh(&two).status), (200, 200));
    web.control.advance_clock(11 * SECOND);
    assert_eq!(web.refresh(&first).status, 400, "after the grace");

    let web = grace(Rotation::OneBack);
    let first = web.grant();
    let second = next(&web, &first);
    let third = next(&web, &second);
    next(&web, &second);
    assert_eq!(web.refresh(&first).status, 400, "two steps back");
    assert_eq!(web.refresh(&third).status, 400, "and the family is dead");
}

#[test]
fn limits_are_idle_and_absolute() {
    let web = frozen(|settings| {
        settings.idle = 4 * SECOND;
        settings.absolute = Some(10 * SECOND);
        settings.access_life = 2 * SECOND;
        settings.lifetime_member = LifetimeMember::RefreshExpiresIn;
    });
    let idle = web.grant();
    let mut kept = web.grant();
    assert_eq!(kept["refresh_expires_in"], 4);
    let mut told_left = Vec::new();
    for _ in 0..3 {
        web.control.advance_clock(3 * SECOND);
        kept = next(&web, &kept);
        told_left.push(kept["refresh_expires_in"].as_i64().unwrap());
    }
    assert_eq!(told_left, [4, 4, 1], "it shrinks when the absolute end is near");
    assert_eq!(web.refresh(&idle).status, 400, "idle for 9 seconds");
    web.control.advance_clock(SECOND);
    assert_eq!(web.refresh(&kept).status, 400, "10 seconds after it began");
    assert_eq!(web.userinfo(&kept), 200);
    web.control.advance_clock(SECOND);
    assert_eq!(web.userinfo(&kept), 401);
    assert_eq!(web.rules(), [], "none of that is the client's fault");
}

#[test]
fn an_answer_without_refresh_token_keeps_the_old_one() {
    for answer in [RefreshAnswer::Omitted, RefreshAnswer::Empty] {
        let web = frozen(|settings| settings.refresh_answer = answer);
        let first = web.grant();
        let second = next(&web, &first);
        assert!(second["refresh_token"].as_str().unwrap_or_default().is_empty());
        next(&web, &first);
        assert_eq!(web.rules(), []);
    }
}

#[test]
fn needless_refreshes_are_noted_unless_the_resource_asked_for_them() {
    let web = Web::new(|_| {});
    let first = web.grant();
    let second = next(&web, &first);
    assert_eq!(web.rules(), [Rule::NeedlessRefresh]);
    assert_eq!(web.control.oauth_end(&outlast_cloud::EndGrant::AccessToken(0)), 1);
    assert_eq!(web.userinfo(&second), 401);
    next(&web, &second);
    assert_eq!(web.rules().len(), 1, "its access token had been refused");
}

#[test]
fn two_refreshes_in_flight_are_noted() {
    let web = frozen(|settings| settings.rotation = Rotation::Off);
    let tokens = web.grant();
    let wait = Action::Delay { time: Duration::from_secs(20) };
    web.control.add_fault(Fault::on(Op::OauthToken).times(1).act(wait));
    let body =
        format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let mut held = crate::client::Connection::new(&web.address());
    held.send(
        web.bytes("POST", "/oauth/token", &[kind, ("authorization", crate::web::JOB)], &body).as_bytes(),
    );
    while web.control.oauth_chains()[0].refreshes == 0 {
        std::thread::yield_now();
    }
    assert_eq!(web.refresh(&tokens).status, 200);
    assert_eq!(web.rules(), [Rule::RefreshesInFlight]);
}

#[test]
fn answers_are_lost_delayed_and_spoilt() {
    let web = frozen(|_| {});
    let once = |action| web.control.add_fault(Fault::on(Op::OauthToken).times(1).act(action));
    let form = [("content-type", "application/x-www-form-urlencoded"), ("authorization", crate::web::JOB)];
    let tokens = web.grant();
    let body =
        format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());

    once(Action::too_many(Some(RetryAfter::Seconds(7))));
    let answer = web.token(&body);
    assert_eq!((told(&answer), answer.get("retry-after")), ((429, "TooManyRequests".into()), "7"));
    once(Action::too_many(Some(RetryAfter::DateIn(7))));
    assert!(web.token(&body).get("retry-after").ends_with(" GMT"));
    once(Action::status(200, "temporarily_unavailable"));
    assert_eq!(told(&web.token(&body)), (200, "temporarily_unavailable".into()));
    once(Action::reset(outlast_cloud::At::BodyEnd));
    assert!(web.try_send("POST", "/oauth/token", &form, &body).is_none());
    assert_eq!(web.control.oauth_chains()[0].refreshes, 0, "none of these has rotated");

    once(Action::Mangle { how: outlast_cloud::Mangle::Truncated });
    assert!(web.try_send("POST", "/oauth/token", &form, &body).is_none());
    assert_eq!(web.control.oauth_chains()[0].refreshes, 1, "this one has");
    once(Action::Mangle { how: outlast_cloud::Mangle::Html });
    let tokens = web.grant();
    let answer = web.refresh(&tokens);
    assert_eq!((answer.status, answer.get("content-type")), (200, "text/html"));
    once(Action::lose_answer());
    let tokens = web.grant();
    let body =
        format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
    assert!(web.try_send("POST", "/oauth/token", &form, &body).is_none());
    assert_eq!(web.control.oauth_chains()[2].refreshes, 1);
}
