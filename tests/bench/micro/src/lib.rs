//! A session whose credential the host supplies, through the C ABI as a C program has it.
//!
//! What is measured is in `benches`.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::ptr;

use outlast::{
    OUTLAST_EVENT_CREDENTIAL_WANTED, OUTLAST_OK, outlast_client, outlast_client_free, outlast_client_new,
    outlast_credential, outlast_event, outlast_event_clear, outlast_queue, outlast_queue_free,
    outlast_queue_new, outlast_queue_next, outlast_session, outlast_session_free,
    outlast_session_open_supplied, outlast_session_supply, outlast_session_token, outlast_str,
    outlast_supplied_options, outlast_token,
};

const KEY_ID: &str = "tenancy/user/fingerprint";

/// A client, its queue and a session.
pub struct Host {
    queue: *mut outlast_queue,
    client: *mut outlast_client,
    session: *mut outlast_session,
    key: String,
}

fn view(text: &str) -> outlast_str {
    outlast_str { data: text.as_ptr().cast::<c_char>(), len: text.len() }
}

impl Host {
    /// Opens the session and supplies its first credential.
    ///
    /// # Panics
    /// When the library refuses any of that.
    pub fn open() -> Host {
        let mut host = Host {
            queue: ptr::null_mut(),
            client: ptr::null_mut(),
            session: ptr::null_mut(),
            key: outlast_paths::key().to_pkcs8_pem().expose().clone(),
        };
        let options = outlast_supplied_options {
            size: size_of::<outlast_supplied_options>(),
            endpoint: view("http://127.0.0.1:9"),
            title: view("the bench's session"),
            supply_timeout_ms: 0,
            wait_for_login_ms: 0,
            timer: 0,
            reserved: 0,
            user_data: ptr::null_mut(),
        };
        // SAFETY: all pointers are to live locals, the texts outlive the calls, and a null error slot is allowed.
        unsafe {
            assert_eq!(outlast_queue_new(&raw mut host.queue, ptr::null_mut()), OUTLAST_OK);
            let client = outlast_client_new(ptr::null(), host.queue, &raw mut host.client, ptr::null_mut());
            assert_eq!(client, OUTLAST_OK);
            let session = &raw mut host.session;
            let opened =
                outlast_session_open_supplied(host.client, &raw const options, session, ptr::null_mut());
            assert_eq!(opened, OUTLAST_OK);
        }
        host.supply();
        host
    }

    /// The next event; its kind and, for a wish, its number.
    ///
    /// # Panics
    /// When none comes within `timeout_ms` and that is not 0.
    pub fn next(&self, timeout_ms: i64) -> (u32, u64) {
        // SAFETY: zeroed bytes are a valid event, which the queue fills and `clear` empties.
        unsafe {
            let mut event: outlast_event = std::mem::zeroed();
            event.size = size_of::<outlast_event>();
            let status = outlast_queue_next(self.queue, timeout_ms, &raw mut event, ptr::null_mut());
            assert!(status == OUTLAST_OK || timeout_ms == 0, "no event came: {status}");
            let told = (event.kind, event.request);
            outlast_event_clear(&raw mut event);
            told
        }
    }

    /// Answers the next wish for a credential.
    ///
    /// # Panics
    /// When none comes, or the library does not take the answer.
    pub fn supply(&self) {
        let request = loop {
            let (kind, request) = self.next(10_000);
            if kind == OUTLAST_EVENT_CREDENTIAL_WANTED {
                break request;
            }
        };
        // SAFETY: zeroed bytes are an empty credential; the texts outlive the call.
        let status = unsafe {
            let mut credential: outlast_credential = std::mem::zeroed();
            credential.size = size_of::<outlast_credential>();
            credential.key_id = view(KEY_ID);
            credential.private_key = view(&self.key);
            outlast_session_supply(self.session, request, &raw const credential, ptr::null_mut())
        };
        assert_eq!(status, OUTLAST_OK);
        self.token(10_000);
    }

    /// The length of the current token.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self, timeout_ms: i64) -> usize {
        let mut buffer = [0; 256];
        // SAFETY: the buffer is as long as is said; zeroed bytes are a valid token to be filled.
        unsafe {
            let mut token: outlast_token = std::mem::zeroed();
            token.size = size_of::<outlast_token>();
            let (memory, slot) = (buffer.as_mut_ptr(), &raw mut token);
            let status =
                outlast_session_token(self.session, timeout_ms, memory, buffer.len(), slot, ptr::null_mut());
            assert_eq!(status, OUTLAST_OK);
            token.len
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        outlast_session_free(self.session);
        outlast_client_free(self.client);
        outlast_queue_free(self.queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supplied_session_gives_its_token() {
        let host = Host::open();
        assert_eq!(host.token(0), KEY_ID.len());
    }
}
