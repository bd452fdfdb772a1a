//! The operations a request can name.

use serde::{Deserialize, Serialize};

/// One operation of the cloud, as faults match it and the log shows it (snake case in JSON).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// `GET /n`
    GetNamespace,
    /// `GET /n/{ns}/b/{bucket}`
    GetBucket,
    /// `HEAD /n/{ns}/b/{bucket}`
    HeadBucket,
    /// `POST /n/{ns}/b/{bucket}/u`
    CreateUpload,
    /// `PUT /n/{ns}/b/{bucket}/u/{object}`
    UploadPart,
    /// `GET /n/{ns}/b/{bucket}/u/{object}`
    ListParts,
    /// `GET /n/{ns}/b/{bucket}/u`
    ListUploads,
    /// `POST /n/{ns}/b/{bucket}/u/{object}`
    CommitUpload,
    /// `DELETE /n/{ns}/b/{bucket}/u/{object}`
    AbortUpload,
    /// `PUT /n/{ns}/b/{bucket}/o/{object}`
    PutObject,
    /// `HEAD /n/{ns}/b/{bucket}/o/{object}`
    HeadObject,
    /// `GET /n/{ns}/b/{bucket}/o/{object}`
    GetObject,
    /// `DELETE /n/{ns}/b/{bucket}/o/{object}`
    DeleteObject,
    /// `GET /n/{ns}/b/{bucket}/o`
    ListObjects,
    /// `POST /v1/authentication/refresh`
    Refresh,
    /// `POST /v1/token/upst/actions/GenerateUpst`
    GenerateUpst,
    /// `GET /20160918/regions`, what `session validate` asks
    ListRegions,
    /// `/.well-known/openid-configuration` and its like
    OauthDiscovery,
    /// The key set of the authorization server
    OauthKeys,
    /// Its page for people
    OauthAuthorize,
    /// Its token endpoint, all grants
    OauthToken,
    /// Its revocation endpoint
    OauthRevoke,
    /// Its introspection endpoint
    OauthIntrospect,
    /// Its resource
    OauthUserinfo,
    /// Its logout endpoint
    OauthLogout,
    /// Its device authorization endpoint
    OauthDeviceStart,
    /// Its page for devices
    OauthDevicePage,
    /// Where its redirects lead
    OauthTrap,
    /// Nothing, below one of its prefixes
    OauthUnknown,
    /// `POST /authn/login-with-expiry`
    FolioLogin,
    /// `POST /authn/login`
    FolioLegacyLogin,
    /// `POST /authn/refresh`
    FolioRefresh,
    /// `POST /authn/logout`
    FolioLogout,
    /// `POST /authn/logout-all`
    FolioLogoutAll,
    /// `GET /authn/token`
    FolioCode,
    /// `POST /data-import/jobs`, `GET /data-import/jobs/{id}`
    FolioJob,
    /// `POST /data-import/jobs/{id}/records`
    FolioRecord,
    /// Nothing, below one of FOLIO's prefixes
    FolioUnknown,
    /// Unsigned `HEAD /` or `GET /`: clients read the clock from its `Date`
    Probe,
    /// Anything under `/_control/`
    Control,
    /// No operation has this method and path
    Unknown,
}

/// What a request has to sign, besides `(request-target)`, `host` and a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// Nothing is signed at all.
    None,
    /// Nothing more: requests without a body, and the two whose body is a stream.
    Head,
    /// `content-length`, `content-type` and `x-content-sha256`.
    Body,
}

impl Op {
    pub(crate) fn signing(self) -> Signing {
        match self {
            Self::Probe | Self::Control => Signing::None,
            op if op.is_oauth() || op.is_folio() => Signing::None,
            Self::CreateUpload | Self::CommitUpload | Self::Refresh | Self::GenerateUpst => Signing::Body,
            _ => Signing::Head,
        }
    }

    /// True for the operations whose body is the user's bytes.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Self::UploadPart | Self::PutObject)
    }

    /// True for the endpoints of the authorization server.
    pub(crate) fn is_oauth(self) -> bool {
        self.name().starts_with("oauth_")
    }

    /// True for the endpoints of the FOLIO front ends.
    pub(crate) fn is_folio(self) -> bool {
        self.name().starts_with("folio_")
    }

    /// True for the endpoints of the auth and identity services.
    pub(crate) fn is_auth(self) -> bool {
        matches!(self, Self::Refresh | Self::GenerateUpst | Self::ListRegions)
    }

    /// The name used in JSON, in statistics and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetNamespace => "get_namespace",
            Self::GetBucket => "get_bucket",
            Self::HeadBucket => "head_bucket",
            Self::CreateUpload => "create_upload",
            Self::UploadPart => "upload_part",
            Self::ListParts => "list_parts",
            Self::ListUploads => "list_uploads",
            Self::CommitUpload => "commit_upload",
            Self::AbortUpload => "abort_upload",
            Self::PutObject => "put_object",
            Self::HeadObject => "head_object",
            Self::GetObject => "get_object",
            Self::DeleteObject => "delete_object",
            Self::ListObjects => "list_objects",
            Self::Refresh => "refresh",
            Self::GenerateUpst => "generate_upst",
            Self::ListRegions => "list_regions",
            Self::OauthDiscovery => "oauth_discovery",
            Self::OauthKeys => "oauth_keys",
            Self::OauthAuthorize => "oauth_authorize",
            Self::OauthToken => "oauth_token",
            Self::OauthRevoke => "oauth_revoke",
            Self::OauthIntrospect => "oauth_introspect",
            Self::OauthUserinfo => "oauth_userinfo",
            Self::OauthLogout => "oauth_logout",
            Self::OauthDeviceStart => "oauth_device_start",
            Self::OauthDevicePage => "oauth_device_page",
            Self::OauthTrap => "oauth_trap",
            Self::OauthUnknown => "oauth_unknown",
            Self::FolioLogin => "folio_login",
            Self::FolioLegacyLogin => "folio_legacy_login",
            Self::FolioRefresh => "folio_refresh",
            Self::FolioLogout => "folio_logout",
            Self::FolioLogoutAll => "folio_logout_all",
            Self::FolioCode => "folio_code",
            Self::FolioJob => "folio_job",
            Self::FolioRecord => "folio_record",
            Self::FolioUnknown => "folio_unknown",
            Self::Probe => "probe",
            Self::Control => "control",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
