//! How the authorization server behaves: lifetimes, rotation, how far a reuse reaches, the shape of its answers.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Switches of the authorization server, read anew for every request. In JSON they are the object `oauth` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches are what it is made of")]
pub struct OauthSettings {
    /// Whose words refusals are told in.
    pub style: ErrorStyle,
    /// Life of access tokens, counted from the whole second in which they are issued.
    #[serde(rename = "access_life_s", with = "crate::seconds")]
    pub access_life: Duration,
    /// Form of access tokens.
    pub access_form: TokenForm,
    /// Form of refresh tokens.
    pub refresh_form: TokenForm,
    /// Idle limit: life of a refresh token, counted anew with every refresh.
    #[serde(rename = "idle_s", with = "crate::seconds")]
    pub idle: Duration,
    /// Absolute limit: no refresh token outlives the beginning of its chain by more; `None` for no limit.
    #[serde(rename = "absolute_s", with = "crate::seconds::option")]
    pub absolute: Option<Duration>,
    /// What becomes of a refresh token that was used.
    pub rotation: Rotation,
    /// How long after its use a refresh token is still honoured, where the rotation knows such a grace.
    #[serde(rename = "grace_s", with = "crate::seconds")]
    pub grace: Duration,
    /// Uses beyond the first, for [`Rotation::Count`].
    pub max_reuse: u32,
    /// What dies with a refresh token that is presented again.
    pub blast: Blast,
    /// The access tokens of what dies are refused at once.
    pub blast_reaches_access: bool,
    /// A refresh makes the earlier access tokens of its chain invalid at once.
    pub refresh_revokes_access: bool,
    /// What a refresh answers in `refresh_token`. Where no new one is given the old one stays as it was.
    pub refresh_answer: RefreshAnswer,
    /// How `expires_in` is written.
    pub expires_in: ExpiresIn,
    /// `token_type` as it is written.
    pub token_type: String,
    /// Which member tells how long the refresh token lives.
    pub lifetime_member: LifetimeMember,
    /// What `aud` of a client assertion may be.
    pub assertion_audience: AssertionAudience,
    /// Life of authorization codes.
    #[serde(rename = "code_life_s", with = "crate::seconds")]
    pub code_life: Duration,
    /// Life of device codes.
    #[serde(rename = "device_life_s", with = "crate::seconds")]
    pub device_life: Duration,
    /// Shortest time between two polls with a device code, told to the client; `None` tells nothing and means 5 seconds.
    #[serde(rename = "device_interval_s", with = "crate::seconds::option")]
    pub device_interval: Option<Duration>,
    /// Polls that come too fast hear `slow_down`; otherwise they are only noted.
    pub slow_down: bool,
    /// The authorization and device pages answer as if the user had signed in and agreed. Otherwise they show a form.
    pub auto_approve: bool,
    /// The token endpoint answers 307 to a trap: a client that follows has sent its credentials astray.
    pub redirect: bool,
    /// Status of the resource for an access token that is expired, revoked or unknown.
    pub refused_status: u16,
    /// Client credentials come with a refresh token.
    pub refresh_for_clients: bool,
    /// Share of an access token's life before which refreshing it counts as needless, unless the resource refused it.
    pub earliest_refresh: f64,
}

/// Whose words refusals are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorStyle {
    /// One text for every reason.
    #[default]
    OidcProvider,
    /// A text for each.
    Keycloak,
    /// `invalid_request` for a refresh token that is no good.
    Dex,
    /// Nothing but the code.
    Dot,
}

/// What a token looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenForm {
    /// Random characters.
    #[default]
    Opaque,
    /// A signed JWT.
    Jwt,
}

/// What becomes of a refresh token that was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// It stays good; each refresh still answers with a new one.
    Off,
    /// It is spent; presenting it again is reuse.
    #[default]
    Strict,
    /// Within the grace the immediate predecessor gets the very same answer again.
    Replay,
    /// Within the grace it gets a new child and the earlier child dies; using a child ends the grace.
    NewestChild,
    /// Within the grace it gets one more child, all stay good.
    Fork,
    /// Within the grace the immediate predecessor gets one more child; an older one is reuse even then.
    OneBack,
    /// Keycloak's count: `max_reuse` further uses until a newer one of the chain is presented; in whole seconds.
    Count,
}

/// What dies with a refresh token that is presented again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blast {
    /// Nothing else.
    Token,
    /// The chain.
    #[default]
    Family,
    /// Every chain of the client in that user session.
    ClientSession,
    /// Every chain of the user.
    User,
}

/// What a refresh answers in `refresh_token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshAnswer {
    /// A new token.
    #[default]
    New,
    /// No such member: the old one stays.
    Omitted,
    /// An empty string, which means the same.
    Empty,
}

/// How `expires_in` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// A number of seconds.
    #[default]
    Number,
    /// The same in quotes.
    Text,
    /// No such member.
    Missing,
    /// 0.
    Zero,
    /// −1.
    Negative,
}

/// Which member tells how long the refresh token lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifetimeMember {
    /// None.
    #[default]
    None,
    /// `refresh_expires_in`, 0 for "no end".
    RefreshExpiresIn,
    /// `refresh_token_expires_in`.
    RefreshTokenExpiresIn,
}

/// What `aud` of a client assertion may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAudience {
    /// The issuer, as one string.
    #[default]
    Issuer,
    /// The issuer or the token endpoint, as a string or in an array.
    Lenient,
}

/// Servers whose ways can be taken over as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// npm `oidc-provider`: strict rotation, a reuse ends the grant and its access tokens.
    OidcProvider,
    /// Keycloak with rotation on and no reuse: a reuse detaches the client session.
    Keycloak,
    /// Keycloak as it comes: rotation off.
    KeycloakPlain,
    /// Dex: a reuse within 3 s is answered as before, nothing else is ever ended.
    Dex,
    /// django-oauth-toolkit with reuse protection: a refresh ends the old access token.
    Dot,
    /// Oracle IoT as in the field: 900 s, idle 1800 s, absolute 7200 s, rotation on use.
    OracleIot,
}

impl Default for OauthSettings {
    fn default() -> Self {
        Self {
            style: ErrorStyle::OidcProvider,
            access_life: Duration::from_mins(5),
            access_form: TokenForm::Opaque,
            refresh_form: TokenForm::Opaque,
            idle: Duration::from_mins(30),
            absolute: Some(Duration::from_hours(10)),
            rotation: Rotation::Strict,
            grace: Duration::ZERO,
            max_reuse: 0,
            blast: Blast::Family,
            blast_reaches_access: true,
            refresh_revokes_access: false,
            refresh_answer: RefreshAnswer::New,
            expires_in: ExpiresIn::Number,
            token_type: "Bearer".into(),
            lifetime_member: LifetimeMember::None,
            assertion_audience: AssertionAudience::Issuer,
            code_life: Duration::from_mins(1),
            device_life: Duration::from_mins(10),
            device_interval: Some(Duration::from_secs(5)),
            slow_down: true,
            auto_approve: true,
            redirect: false,
            refused_status: 401,
            refresh_for_clients: false,
            earliest_refresh: 0.1,
        }
    }
}

impl OauthSettings {
    /// Takes over a server's ways. Lifetimes stay as they are, except for [`Preset::OracleIot`].
    pub fn take_over(&mut self, preset: Preset) {
        let kept = self.clone();
        *self = Self {
            access_life: kept.access_life,
            idle: kept.idle,
            absolute: kept.absolute,
            code_life: kept.code_life,
            device_life: kept.device_life,
            auto_approve: kept.auto_approve,
            earliest_refresh: kept.earliest_refresh,
            ..Self::default()
        };
        match preset {
            Preset::OidcProvider => {
                self.device_interval = None;
                self.slow_down = false;
                self.assertion_audience = AssertionAudience::Lenient;
            }
            Preset::Keycloak | Preset::KeycloakPlain => {
                self.style = ErrorStyle::Keycloak;
                self.access_form = TokenForm::Jwt;
                self.refresh_form = TokenForm::Jwt;
                self.rotation = if preset == Preset::Keycloak { Rotation::Count } else { Rotation::Off };
                self.blast = Blast::ClientSession;
                self.blast_reaches_access = false;
                self.lifetime_member = LifetimeMember::RefreshExpiresIn;
            }
            Preset::Dex => {
                self.style = ErrorStyle::Dex;
                self.rotation = Rotation::Replay;
                self.grace = Duration::from_secs(3);
                self.blast = Blast::Token;
                self.blast_reaches_access = false;
            }
            Preset::Dot => {
                self.style = ErrorStyle::Dot;
                self.refresh_revokes_access = true;
                self.refused_status = 403;
            }
            Preset::OracleIot => {
                self.access_life = Duration::from_mins(15);
                self.idle = Duration::from_mins(30);
                self.absolute = Some(Duration::from_hours(2));
            }
        }
    }
}
