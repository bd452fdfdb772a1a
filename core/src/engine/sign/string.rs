//! The string that is signed and the headers that carry the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::engine::credential::Credential;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::time::UnixMillis;
use crate::engine::wire::encode::header_value;
use crate::engine::wire::{Coverage, Request};

/// The headers that a signature adds to a request, in the order in which they are to be sent.
///
/// `date`, `host` (unless the coverage leaves it out), `content-length` and `x-content-sha256` (when the body is
/// covered), `authorization` (always last).
#[derive(Clone, Debug)]
pub struct SignedHeaders {
    /// Names in lower case; values are secret as a whole, since `authorization` holds the token.
    pub headers: Vec<(&'static str, Secret<String>)>,
}

/// Signs a request for `host` (authority, with the port unless it is the scheme's default) at `date`.
///
/// What is covered is `request.coverage`; with [`Coverage::Head`] the body and its length are outside the signature
/// and for the sender to add.
///
/// Errors: `InvalidInput` (host or key id cannot stand in a header), `Internal` (covered body without content type).
/// Source: draft-cavage-http-signatures-08, header order of the Python, Go and Java SDKs.
pub fn authorize(
    request: &Request,
    host: &str,
    date: UnixMillis,
    credential: &Credential,
) -> Result<SignedHeaders, Error> {
    let date = date.to_http_date();
    let host = header_value(host).map_err(|error| error.during("signing for this host"))?;
    let mut names = vec!["date", "(request-target)"];
    let mut text = format!(
        "date: {date}\n(request-target): {} {}",
        request.method.as_str().to_lowercase(),
        request.target
    );
    let mut headers = vec![("date", Secret::new(date))];
    if request.coverage != Coverage::BodyWithoutHost {
        names.push("host");
        text.push_str("\nhost: ");
        text.push_str(&host);
        headers.push(("host", Secret::new(host)));
    }
    if request.coverage != Coverage::Head {
        let content_type =
            request.headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| value);
        let content_type = content_type
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a signed body needs a content type"))?;
        let length = request.json.len().to_string();
        let hash = STANDARD.encode(Sha256::digest(&request.json));
        names.extend(["content-length", "content-type", "x-content-sha256"]);
        text.push_str(&format!(
            "\ncontent-length: {length}\ncontent-type: {content_type}\nx-content-sha256: {hash}"
        ));
        headers.push(("content-length", Secret::new(length)));
        headers.push(("x-content-sha256", Secret::new(hash)));
    }
    let signature = STANDARD.encode(credential.key().sign(text.as_bytes()));
    let key_id = credential.key_id();
    let authorization = format!(
        "Signature algorithm=\"rsa-sha256\",headers=\"{}\",keyId=\"{}\",signature=\"{signature}\",version=\"1\"",
        names.join(" "),
        key_id.expose()
    );
    headers.push(("authorization", Secret::new(authorization)));
    Ok(SignedHeaders { headers })
}
