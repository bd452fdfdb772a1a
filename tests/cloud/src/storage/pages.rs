//! Lists in pages.

use crate::http::reply::{Fail, Reply};
use crate::http::target::Target;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Starts every page token. Its characters are the ones a careless client sends unencoded.
const MARK: &str = "p/+= ";

/// Where a page starts and how long it is.
pub(crate) struct Page {
    after: Option<String>,
    limit: usize,
}

impl Page {
    /// Reads `limit` and `page`; `largest` is the server's own limit.
    pub(crate) fn from_query(target: &Target<'_>, largest: usize) -> Result<Self, Fail> {
        let limit = match target.query("limit").map(str::parse::<usize>) {
            None => largest,
            Some(Ok(limit)) if limit > 0 => limit.min(largest),
            Some(_) => return Err(Fail::new(400, "InvalidLimit", "limit is not a positive number")),
        };
        let after = match target.query("page") {
            None => None,
            Some(token) => {
                Some(open(token).ok_or_else(|| Fail::new(400, "InvalidPage", "page is not one of ours"))?)
            }
        };
        Ok(Self { after, limit: limit.max(1) })
    }

    /// Cuts one page out of items that come in order of their keys.
    pub(crate) fn cut(&self, items: impl Iterator<Item = (String, Value)>) -> Reply {
        let mut rest = items.skip_while(|(key, _)| self.after.as_ref().is_some_and(|after| key <= after));
        let mut last = None;
        let mut page = Vec::new();
        for (key, item) in rest.by_ref().take(self.limit) {
            last = Some(key);
            page.push(item);
        }
        let more = rest.next().is_some();
        let next = last.filter(|_| more).map(|key| format!("{MARK}{}", STANDARD.encode(key)));
        Reply::json(200, &Value::Array(page)).with_some("opc-next-page", next)
    }
}

fn open(token: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(token.strip_prefix(MARK)?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply::Payload;

    #[test]
    fn pages_join_up() {
        let items = || (0..7).map(|n| (format!("{n:05}"), Value::from(n)));
        let mut query = "/x?limit=3".to_owned();
        let mut sizes = Vec::new();
        loop {
            let target = Target::split(&query).unwrap();
            let reply = Page::from_query(&target, 1000).unwrap().cut(items());
            let Payload::Bytes { bytes, .. } = &reply.payload else { unreachable!("lists are bytes") };
            sizes.push(serde_json::from_slice::<Vec<u32>>(bytes).unwrap().len());
            let next = reply.headers.iter().find(|(name, _)| name == "opc-next-page");
            let Some((_, token)) = next else { break };
            let token = token.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F").replace(' ', "+");
            query = format!("/x?limit=3&page={token}");
        }
        assert_eq!(sizes, [3, 3, 1]);
        for bad in ["/x?limit=0", "/x?limit=-1", "/x?limit=many", "/x?page=2", "/x?page="] {
            assert!(Page::from_query(&Target::split(bad).unwrap(), 1000).is_err(), "{bad}");
        }
    }
}
