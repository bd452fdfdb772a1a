/*
 * Outlast: uploads that outlive their tokens.
 *
 * Three depths of use:
 *   session only   outlast_session_token, outlast_session_sign: fresh credentials for requests you send yourself
 *   whole upload   outlast_upload_start, outlast_upload_wait: a file, descriptor, buffer or stream becomes an object
 *   events         outlast_queue_next or outlast_client_on_event: for progress bars, loops and supervisors
 *
 *   outlast_client *client = NULL;  outlast_session *session = NULL;  outlast_upload *upload = NULL;
 *   outlast_error *error = NULL;
 *   OUTLAST_STRUCT(outlast_oci_options, profile);           profile.profile = outlast_text("LAB");
 *   OUTLAST_STRUCT(outlast_upload_options, options);
 *   options.namespace_name = outlast_text("mytenancy");     options.bucket_name = outlast_text("backups");
 *   options.source = OUTLAST_SOURCE_PATH;                   options.file = outlast_text("/backup/db.tar");
 *   if (outlast_client_new(NULL, NULL, &client, &error) == OUTLAST_OK
 *       && outlast_session_open_oci(client, &profile, &session, &error) == OUTLAST_OK
 *       && outlast_upload_start(client, session, &options, &upload, &error) == OUTLAST_OK
 *       && outlast_upload_wait(upload, -1, NULL, &error) == OUTLAST_OK)
 *     puts("stored");
 *   else
 *     fprintf(stderr, "%s\n", outlast_error_message(error).data);
 *   outlast_error_free(error);  outlast_upload_free(upload);  outlast_session_free(session);
 *   outlast_client_close(client, 10000, NULL);  outlast_client_free(client);
 *
 * THE CONTRACT OF ALL FUNCTIONS
 *
 * Results     Functions that can fail return a status: OUTLAST_OK or an OUTLAST_E_*. Outputs are written on success only,
 *             the error slot on failure only (exceptions are named). Any error slot may be NULL; an error that was written
 *             is yours: outlast_error_free. Codes named at a function are those worth a decision; where nothing else is
 *             said, OUTLAST_E_INVALID, OUTLAST_E_PANIC and OUTLAST_E_FORKED can come from everywhere.
 * Handles     Opaque: never look inside, compare with NULL only. One that was freed, belongs to another kind or never was
 *             one is OUTLAST_E_INVALID, not undefined. _free takes NULL, never blocks on I/O, and may be called in any
 *             order. A call that runs while another thread frees its handle ends properly.
 * Pointers    A pointer you pass is NULL, or valid for what its type and length say until the call returns, and nobody
 *             changes the memory meanwhile. Numbers that stand for choices are checked; unknown ones are
 *             OUTLAST_E_INVALID. Flags are 0 or 1.
 * Structs     Those with `size` first: zero them, then set size to sizeof the struct (OUTLAST_STRUCT does both), for
 *             outputs too. Zero means default. A caller built with an older or newer header is understood; options that
 *             this library does not know are OUTLAST_E_INVALID when they are set.
 * Texts       UTF-8 with a length, no NUL inside; {NULL, 0} is "not given". Texts you pass are copied. Texts you get are
 *             also NUL-terminated and live as long as their owner.
 * Units       In names: _ms milliseconds, _bytes bytes, _unix_ms milliseconds since 1970-01-01 UTC. Timeouts: 0 does not
 *             wait, below 0 waits without limit.
 * Threads     Every function may be called from any thread at any time, on the same handle too, unless it says otherwise.
 *             The library's threads are named outlast-*, block all signals, belong to a client and end with
 *             outlast_client_close. It installs no signal handler, never writes to stdout, does nothing when it is loaded
 *             or unloaded, and survives SIGPIPE's default action. Do not unload it while a client lives.
 * Callbacks   A function you give may be called with its user_data from a thread of the library until its free_fn has
 *             been called. It must not unwind (no C++ exception, no longjmp). No lock of the library is held during it.
 * Forking     In a forked child, calls on handles of the parent are OUTLAST_E_FORKED, and freeing them frees memory only.
 *             New handles work there as anywhere. Do not fork inside a callback.
 * Secrets     Tokens, passphrases and signed headers are wiped when the library lets go of them, and never appear in
 *             messages, events or debug lines.
 *
 * OWNERSHIP
 *
 *   object                      made by                        ended by                          keeps alive
 *   outlast_client              outlast_client_new             outlast_client_close, _free       its queue
 *   outlast_session             outlast_session_open_*         outlast_session_free              its client's threads
 *   outlast_upload              outlast_upload_start           outlast_upload_free               its session
 *   outlast_writer              outlast_writer_new             outlast_writer_free               -
 *   outlast_queue               outlast_queue_new              outlast_queue_free                -
 *   outlast_headers             outlast_session_sign           outlast_headers_free              -
 *   outlast_error               any failing call               outlast_error_free                -
 *   outlast_event's contents    outlast_queue_next             outlast_event_clear               -
 *   user_data of a callback     you                            free_fn, exactly once             -
 *
 * Generated from ffi/src; change it there.
 */

#ifndef OUTLAST_H
#define OUTLAST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The ABI this header describes. It changes when something that exists changes its meaning or layout; additions do not
// change it.
#define OUTLAST_ABI_VERSION 1
// Success.
#define OUTLAST_OK 0
// An argument, option, name or handle that cannot be used: NULL, freed, of another kind, an unknown value.
#define OUTLAST_E_INVALID (-2)
// The configuration file, a key or a token file cannot be used.
#define OUTLAST_E_CONFIG (-3)
// The credential is unusable and only a person can get a new one; the upload is resumable.
#define OUTLAST_E_SIGN_IN_NEEDED (-4)
// The service refuses the credential for good (bad key, unknown user, second refusal of a fresh token).
#define OUTLAST_E_AUTH (-5)
// The service says the caller may not do this.
#define OUTLAST_E_PERMISSION (-6)
// Bucket, namespace, object or upload does not exist (or may not be seen).
#define OUTLAST_E_NOT_FOUND (-7)
// A precondition failed: the object exists, or is not the one expected.
#define OUTLAST_E_PRECONDITION (-8)
// The bytes stored are not the bytes sent.
#define OUTLAST_E_INTEGRITY (-9)
// The local source changed, shrank or grew while it was being uploaded.
#define OUTLAST_E_SOURCE_CHANGED (-10)
// The local source cannot be read.
#define OUTLAST_E_SOURCE (-11)
// The service could not be reached, or the connection kept breaking.
#define OUTLAST_E_NETWORK (-12)
// The service answered with a failure that retries did not cure.
#define OUTLAST_E_SERVICE (-13)
// It did not happen within the given time. Nothing is lost: call again.
#define OUTLAST_E_TIMEOUT (-14)
// Journal or state directory cannot be used.
#define OUTLAST_E_STATE (-15)
// Another process is doing the same upload.
#define OUTLAST_E_BUSY (-16)
// The caller cancelled, or the client was closed.
#define OUTLAST_E_CANCELLED (-17)
// The service answered with something that its protocol does not allow.
#define OUTLAST_E_PROTOCOL (-18)
// A defect in this library.
#define OUTLAST_E_INTERNAL (-19)
// A defect in this library that stopped a call half-way; the handle is still safe to free.
#define OUTLAST_E_PANIC (-90)
// The handle was made before this process was forked off; its threads are in the parent.
#define OUTLAST_E_FORKED (-91)
// The buffer is too small; the length that is needed was written.
#define OUTLAST_E_BUFFER (-92)
// The same call will fail again.
#define OUTLAST_RETRY_NEVER 0
// Try later, after `outlast_error_retry_after_ms` if that is not -1.
#define OUTLAST_RETRY_LATER 1
// Sign in, then the same call goes on.
#define OUTLAST_RETRY_AFTER_SIGN_IN 2
// Retries were made and did not help; the same call goes on when the cause is gone.
#define OUTLAST_RETRY_EXHAUSTED 3
// A session has its first or next credential: `generation`, `moment_unix_ms` (its end, 0 if it has none).
#define OUTLAST_EVENT_REFRESHED 1
// A request was refused with 401; told once per `generation`.
#define OUTLAST_EVENT_REJECTED 2
// A refresh failed, the current credential is still in use: `error`, `delay_ms` (until the next attempt).
#define OUTLAST_EVENT_REFRESH_FAILED 3
// The session cannot be extended beyond `moment_unix_ms`.
#define OUTLAST_EVENT_HORIZON_LEARNED 4
// The credential ends at `moment_unix_ms` and nothing on hand can extend it.
#define OUTLAST_EVENT_EXPIRING 5
// At the present rate the upload ends (`moment_unix_ms`) after its session does (`horizon_unix_ms`).
#define OUTLAST_EVENT_WILL_OUTLIVE_SESSION 6
// The session is unusable until somebody signs in; uploads wait until `moment_unix_ms` (0: without limit). `error` says why.
#define OUTLAST_EVENT_PARKED 7
// The session is usable again.
#define OUTLAST_EVENT_RESUMED 8
// Server and local clock differ by `delay_ms` (server minus local); requests are dated by the server's.
#define OUTLAST_EVENT_CLOCK_SKEW 9
// A session whose credentials the host supplies needs one: answer `request` with `outlast_session_supply`.
#define OUTLAST_EVENT_CREDENTIAL_WANTED 10
// The chain of refresh tokens has ended; the current credential serves to its own end: `error` says why and what to do.
#define OUTLAST_EVENT_CHAIN_ENDED 11
// From now on a service's credential (`text`, its name) acts on behalf of the user (`principal`), whose session does not
// last: it ends at `horizon_unix_ms`, the work at `moment_unix_ms` (each 0 if it is not known).
#define OUTLAST_EVENT_HANDED_OVER 12
// The upload has its plan: `text` (the service's upload id, empty for a single request), `count` (parts, 0 for a single
// request and for streams), `bytes` (part size), `part` (parts found stored by an earlier run).
#define OUTLAST_EVENT_STARTED 20
// A part is on its way: `part`, `generation`.
#define OUTLAST_EVENT_PART_STARTED 21
// A part is stored and its checksums agree: `part`, `bytes`, flag `OUTLAST_FLAG_REUSED`.
#define OUTLAST_EVENT_PART_STORED 22
// A part (`part`) or a control request (`part` 0) is tried again: `error`, `count` (failures so far), `delay_ms`.
#define OUTLAST_EVENT_RETRYING 23
// A part was refused with 401 and waits for the next credential; it costs no retry: `part`, `generation`.
#define OUTLAST_EVENT_PART_HELD 24
// Something that deserves a line but changes nothing: `text`. `upload` is 0 when it is about none.
#define OUTLAST_EVENT_REMARK 25
// The caller paused the upload.
#define OUTLAST_EVENT_PAUSED 26
// The caller let the upload go on.
#define OUTLAST_EVENT_UNPAUSED 27
// How far the upload is: `bytes` (stored and sent), `total` (0 while unknown). Told at most every
// `progress_interval_ms`; of several that nobody took, only the last is kept.
#define OUTLAST_EVENT_PROGRESS 28
// The upload has ended, its last event, and `outlast_upload_wait` has the result: `status`, `error` (NULL after success), flag
// `OUTLAST_FLAG_RESUMABLE`.
#define OUTLAST_EVENT_FINISHED 29
// The client is closed, its last event.
#define OUTLAST_EVENT_CLOSED 40
// `OUTLAST_EVENT_PART_STORED`: stored by an earlier run, not sent again.
#define OUTLAST_FLAG_REUSED 1
// `OUTLAST_EVENT_FINISHED`: the same call, made again, goes on where this one stopped.
#define OUTLAST_FLAG_RESUMABLE 2
// `OUTLAST_EVENT_REFRESHED`: refreshed by this client; otherwise read from the source, where somebody else put it.
#define OUTLAST_FLAG_EXCHANGED 4
// Nothing loaded yet.
#define OUTLAST_SESSION_EMPTY 0
// The credential is good.
#define OUTLAST_SESSION_FRESH 1
// The credential is good and being renewed, or about to be.
#define OUTLAST_SESSION_ADVISORY 2
// Callers wait for the next credential.
#define OUTLAST_SESSION_MANDATORY 3
// Only a person can help; callers wait as long as `wait_for_login_ms` says.
#define OUTLAST_SESSION_PARKED 4
// Nothing can help.
#define OUTLAST_SESSION_DEAD 5
// `file` names a file; FIFOs and devices are read as streams.
#define OUTLAST_SOURCE_PATH 1
// `fd` is an open file, read by position from its beginning; a pipe is read as a stream. It is duplicated.
#define OUTLAST_SOURCE_FD 2
// `bytes` are the object; they must not change until `free_fn` has been called.
#define OUTLAST_SOURCE_BYTES 3
// `read_fn` gives the bytes, once and in order.
#define OUTLAST_SOURCE_READ 4
// `writer` takes the bytes, once and in order.
#define OUTLAST_SOURCE_WRITER 5
// Checksums are computed while sending and compared with the service's; the default.
#define OUTLAST_INTEGRITY_VERIFY 1
// Nothing is computed or compared.
#define OUTLAST_INTEGRITY_OFF 2
// As many requests in flight as the link turns out to use; the engine finds out by measuring.
#define OUTLAST_PARALLEL_AUTO 4294967295
// CRC-32C, the default.
#define OUTLAST_CHECKSUM_CRC32C 1
// SHA-256.
#define OUTLAST_CHECKSUM_SHA256 2
// SHA-384.
#define OUTLAST_CHECKSUM_SHA384 3
// What fails or is cancelled stays at the service and can be resumed; the default.
#define OUTLAST_ON_FAILURE_RETAIN 1
// What fails or is cancelled is aborted at the service.
#define OUTLAST_ON_FAILURE_ABORT 2

// Sessions and uploads that share threads, connections and a rate limit.
typedef struct outlast_client outlast_client;

// A failure in detail. Owned by whoever received it through an error slot; free it with `outlast_error_free`.
typedef struct outlast_error outlast_error;

// Headers for one request that the host sends itself. Immutable.
typedef struct outlast_headers outlast_headers;

// Where events wait until they are taken.
typedef struct outlast_queue outlast_queue;

// A credential that is kept alive.
typedef struct outlast_session outlast_session;

// A running or ended upload.
typedef struct outlast_upload outlast_upload;

// The writing end of an upload.
typedef struct outlast_writer outlast_writer;

// A borrowed text or run of bytes: UTF-8 unless told otherwise. `{NULL, 0}` is empty and means "not given".
//
// Texts that this library returns are also NUL-terminated, the NUL not counted.
typedef struct outlast_str {
  // First byte.
  const char *data;
  // Bytes.
  size_t len;
} outlast_str;

// What a call says: 0 for success, below 0 for a failure. The numbers never change their meaning.
typedef int32_t outlast_status;

// What happened. Which fields mean something is said at each `OUTLAST_EVENT_*`; all others are 0.
//
// Ownership: `error`, `text` and `principal` belong to the event and live until `outlast_event_clear`.
typedef struct outlast_event {
  // Set it to `sizeof(outlast_event)` before the event is filled.
  size_t size;
  // `OUTLAST_EVENT_*`; skip those you do not know.
  uint32_t kind;
  // `OUTLAST_FLAG_*`
  uint32_t flags;
  // When it was told, milliseconds since 1970 UTC.
  int64_t time_unix_ms;
  // `outlast_session_number` of the session it is about; 0 for none.
  uint64_t session;
  // `outlast_upload_number` of the upload it is about; 0 for none.
  uint64_t upload;
  // `user_data` of the upload's or session's options.
  void *user_data;
  // Generation of the credential.
  uint64_t generation;
  // What `outlast_session_supply` is to answer.
  uint64_t request;
  // Bytes; see the kind.
  uint64_t bytes;
  // Bytes of the whole object; 0 while unknown.
  uint64_t total;
  // Part number, from 1.
  uint32_t part;
  // A number of things; see the kind.
  uint32_t count;
  // A moment, milliseconds since 1970 UTC; see the kind.
  int64_t moment_unix_ms;
  // When the session ends, milliseconds since 1970 UTC.
  int64_t horizon_unix_ms;
  // A time span, milliseconds; see the kind.
  int64_t delay_ms;
  // Status code of the failure or result.
  outlast_status status;
  // Always 0.
  uint32_t reserved;
  // A line or a name; see the kind.
  struct outlast_str text;
  // On whose behalf; see the kind.
  struct outlast_str principal;
  // The failure, or NULL. Do not free it: `outlast_event_clear` does.
  struct outlast_error *error;
  // Of the library; leave it alone.
  void *owned;
} outlast_event;

// Takes a line about what the library does: never a secret, no line end. The text lives until the function returns.
//
// Called from several threads of this library at once. It must not block for long, nor unwind.
typedef void (*outlast_debug_fn)(struct outlast_str line, void *user_data);

// Frees what a host gave with a callback: called exactly once, when the callback will not be called any more.
typedef void (*outlast_free_fn)(void *user_data);

// How a client is set up. Zero means default everywhere; names are those of the command line's flags.
typedef struct outlast_client_options {
  // `sizeof(outlast_client_options)`
  size_t size;
  // Threads that sign, encrypt and send; 0: 2. At most 256.
  uint32_t workers;
  // 1: allow plain http to other machines; 0: to loopback only.
  uint32_t allow_http;
  // Longest time for one connection attempt, milliseconds; 0: 10,000.
  uint64_t connection_timeout_ms;
  // Longest time without a byte in either direction, milliseconds; 0: 60,000. Total time is not limited.
  uint64_t read_timeout_ms;
  // Bytes per second over all uploads; 0: without limit.
  uint64_t limit_rate;
  // Block in which sources are read, bytes; 0: 262,144. At most three per request in flight are in memory.
  uint64_t io_buffer_bytes;
  // Directory of upload journals; not given: `$XDG_STATE_HOME/outlast`, else `~/.local/state/outlast`.
  struct outlast_str state_dir;
  // Further certificate authorities (path of a PEM file), besides the machine's own.
  struct outlast_str cert_bundle;
  // Proxy for all requests; not given: what the environment says.
  struct outlast_str proxy;
  // `--opc-client-request-id`: sent with every request, for finding them in the service's logs; not given: none.
  struct outlast_str opc_client_request_id;
  // `--debug`: told a line per request and per decision worth one; NULL: nobody is.
  outlast_debug_fn debug_fn;
  // Given to `debug_fn`.
  void *debug_data;
  // Called with `debug_data` exactly once, after the last call of `debug_fn` or when the call fails; may be NULL.
  outlast_free_fn debug_free_fn;
} outlast_client_options;

// Takes an event. The event and its texts live until the function returns; do not clear it.
//
// Called on one thread of this library, without locks, never inside a call of the host, one event at a time. It may call
// any function of this library but should not block: no further event is told meanwhile. It must not unwind.
typedef void (*outlast_event_fn)(const struct outlast_event *event, void *user_data);

// A token.
typedef struct outlast_token {
  // Set it to `sizeof(outlast_token)` before the call.
  size_t size;
  // Bytes of the token, its NUL not counted.
  size_t len;
  // Its generation: name it in `outlast_session_reject` when a service answers 401.
  uint64_t generation;
  // When it ends, milliseconds since 1970 UTC; 0 if it does not.
  int64_t expires_unix_ms;
} outlast_token;

// A request that the host sends itself.
typedef struct outlast_request {
  // `sizeof(outlast_request)`
  size_t size;
  // `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
  struct outlast_str method;
  // The whole URL, encoded as it will be sent: what is signed is what must be sent.
  struct outlast_str url;
  // 1: the body is covered by the signature: POST, PATCH, and every PUT but those of objects and parts. 0: it is not.
  uint32_t sign_body;
  // Always 0.
  uint32_t reserved;
  // `content-type` of a covered body, exactly as it will be sent.
  struct outlast_str content_type;
  // The covered body; may be empty.
  struct outlast_str body;
} outlast_request;

// A look at a session. Moments are milliseconds since 1970 UTC, 0 where there is none or it is not known.
typedef struct outlast_session_status {
  // Set it to `sizeof(outlast_session_status)` before the call.
  size_t size;
  // `OUTLAST_SESSION_*`
  uint32_t state;
  // Always 0.
  uint32_t reserved;
  // The current generation; 0 before the first.
  uint64_t generation;
  // When the current credential was issued.
  int64_t issued_unix_ms;
  // When it ends.
  int64_t expires_unix_ms;
  // When the chain ends: beyond it only a person can extend the session.
  int64_t horizon_unix_ms;
  // Successful refreshes by this client.
  uint64_t refreshes;
} outlast_session_status;

// Which profile, and where to: the official command line's flags, with its defaults and its environment variables.
typedef struct outlast_oci_options {
  // `sizeof(outlast_oci_options)`
  size_t size;
  // `--config-file`; not given: `~/.oci/config`.
  struct outlast_str config_file;
  // `--profile`; not given: `DEFAULT`.
  struct outlast_str profile;
  // `--cli-rc-file`: defaults for what is not given here (profile, auth, region, endpoint, the two switches below); not
  // given: `$OCI_CLI_RC_FILE`, else `~/.oci/oci_cli_rc`.
  struct outlast_str cli_rc_file;
  // `--auth`: `security_token` or `api_key`; not given: what the profile is.
  struct outlast_str auth;
  // `--region`; not given: the profile's.
  struct outlast_str region;
  // `--endpoint`: base URL of Object Storage; not given: the region's.
  struct outlast_str endpoint;
  // `--auth-endpoint`: base URL of the auth service, where refresh goes; not given: the region's.
  struct outlast_str auth_endpoint;
  // `--namespace`, if it is known. A realm's own host begins with it: uploads to another namespace then need a session of
  // their own. Not given: that host without it. `outlast_session_namespace` gives it back and asks nobody.
  struct outlast_str namespace_name;
  // Passphrase of the private key, when the profile has none; a secret.
  struct outlast_str passphrase;
  // `--wait-for-login`: how long callers wait, parked, for somebody to sign in, milliseconds. 0: fail at once.
  uint64_t wait_for_login_ms;
  // 1: refresh even when nobody asks. An upload in progress and `outlast_session_hold` imply it.
  uint32_t timer;
  // 1: never rewrite the token file.
  uint32_t read_only;
  // `--mint-session`: with an API key, mint session tokens of so many minutes (5 to 60) and sign with them. 0: do not.
  uint32_t mint_session_minutes;
  // `--realm-specific-endpoint`: 1: Object Storage's host is the realm's own, where the realm has one. 0: what the file of
  // defaults and the environment say.
  uint32_t realm_specific_endpoint;
  // `--enable-dual-stack`: 1: Object Storage's host is the one with addresses of IPv4 and IPv6. 0: as above.
  uint32_t enable_dual_stack;
  // Always 0.
  uint32_t reserved;
  // Given back in the session's events.
  void *user_data;
} outlast_oci_options;

// Which session of the sessions file: OAuth 2.0, OpenID providers, FOLIO, credential programs and token files, as for
// `outlast token NAME`.
typedef struct outlast_defined_options {
  // `sizeof(outlast_defined_options)`
  size_t size;
  // Its section's name; needed.
  struct outlast_str name;
  // `--sessions-file`; not given: `$OUTLAST_SESSIONS`, else `~/.config/outlast/sessions.conf`.
  struct outlast_str sessions_file;
  // `--endpoint`: base URL of the Object Storage that uploads go to, if there are any; plain http to this machine only,
  // unless the client allows more. Not given: uploads fail.
  struct outlast_str endpoint;
  // `--wait-for-login`: how long callers wait, parked, for somebody to sign in, milliseconds. 0: fail at once.
  uint64_t wait_for_login_ms;
  // 1: refresh even when nobody asks; 0: what the file says. An upload in progress and `outlast_session_hold` imply it.
  uint32_t timer;
  // Always 0.
  uint32_t reserved;
  // Given back in the session's events.
  void *user_data;
} outlast_defined_options;

// A session whose credentials the host supplies.
typedef struct outlast_supplied_options {
  // `sizeof(outlast_supplied_options)`
  size_t size;
  // Base URL of Object Storage; needed.
  struct outlast_str endpoint;
  // Words for messages, for example `the token broker's session`.
  struct outlast_str title;
  // How long one wish for a credential stands before it counts as failed, milliseconds; 0: 60,000.
  uint64_t supply_timeout_ms;
  // How long callers wait, parked, for a credential after the host refused one, milliseconds. 0: fail at once.
  uint64_t wait_for_login_ms;
  // 1: ask for the next credential even when nobody needs one yet.
  uint32_t timer;
  // Always 0.
  uint32_t reserved;
  // Given back in the session's events.
  void *user_data;
} outlast_supplied_options;

// Which service takes over, on whose behalf, and where that is written down.
typedef struct outlast_service_options {
  // `sizeof(outlast_service_options)`
  size_t size;
  // The service's credential: a profile of the official tools, for example one with an API key. Endpoints and
  // `wait_for_login_ms` are the session's; those of the profile's options are not used. NULL: `name` says which.
  const struct outlast_oci_options *profile;
  // The service's credential: a section of the sessions file. Not given: `profile` says which.
  struct outlast_str name;
  // `--sessions-file`; not given: `$OUTLAST_SESSIONS`, else `~/.config/outlast/sessions.conf`.
  struct outlast_str sessions_file;
  // On whose behalf the service acts, for the record; needed.
  struct outlast_str principal;
  // The record, a path; needed. One JSON object a line is appended and made durable before the service acts. Made with mode
  // 0600.
  struct outlast_str audit_file;
} outlast_service_options;

// A credential: a session token with the key it is bound to, a bearer token, or an API key. Copied; wipe yours after the call.
typedef struct outlast_credential {
  // `sizeof(outlast_credential)`
  size_t size;
  // The session token (compact JWT, without `ST$`), whose `exp` and `sess_exp` are read; with `token_type` an access token.
  struct outlast_str token;
  // `Bearer`, or another word: `token` signs nothing and goes out as `authorization: <token_type> <token>`. No key then.
  struct outlast_str token_type;
  // Instead of a token: an API key's `<tenancy>/<user>/<fingerprint>`.
  struct outlast_str key_id;
  // The private key (PEM). Not given: the one of the credential before.
  struct outlast_str private_key;
  // The key's passphrase, if it is encrypted.
  struct outlast_str passphrase;
  // When the credential ends, milliseconds since 1970 UTC; 0: what the token says. An API key and a bearer token end only
  // if told here.
  int64_t expires_unix_ms;
  // When the chain ends: beyond it a person has to sign in; 0: what the token says.
  int64_t horizon_unix_ms;
} outlast_credential;

// Reads the next bytes of a source into `buffer`, 1 to `capacity` of them: how many, 0 at the end, below 0 for a failure,
// which ends the upload with `OUTLAST_E_SOURCE`.
//
// Called on one thread of this library, one call at a time. It may block; a call that never returns keeps that thread,
// not the client. It must not unwind.
typedef int64_t (*outlast_read_fn)(uint8_t *buffer, size_t capacity, void *user_data);

// A name and a value.
typedef struct outlast_pair {
  // Name.
  struct outlast_str name;
  // Value.
  struct outlast_str value;
} outlast_pair;

// One upload. Zero means default; names are those of the command line's flags where there is one.
typedef struct outlast_upload_options {
  // `sizeof(outlast_upload_options)`
  size_t size;
  // `--namespace`; needed. See `outlast_session_namespace`.
  struct outlast_str namespace_name;
  // `--bucket-name`; needed.
  struct outlast_str bucket_name;
  // `--name` of the object; not given: the last piece of `file`.
  struct outlast_str name;
  // `OUTLAST_SOURCE_*`; needed.
  uint32_t source;
  // The descriptor, for `OUTLAST_SOURCE_FD`.
  int32_t fd;
  // Path, for `OUTLAST_SOURCE_PATH`. For the other sources: their name in messages, by which an interrupted upload is
  // found again; the same name for the same bytes.
  struct outlast_str file;
  // The bytes, for `OUTLAST_SOURCE_BYTES`.
  struct outlast_str bytes;
  // The function, for `OUTLAST_SOURCE_READ`.
  outlast_read_fn read_fn;
  // Given to `read_fn`, and to `free_fn`.
  void *source_data;
  // Called with `source_data` exactly once, when `read_fn` or `bytes` will not be used any more, also when
  // `outlast_upload_start` fails; may be NULL.
  outlast_free_fn free_fn;
  // The writer, for `OUTLAST_SOURCE_WRITER`.
  struct outlast_writer *writer;
  // `--part-size`, but in bytes; 0: 128 MiB. Raised by itself when the source would need more than 10,000 parts.
  uint64_t part_size_bytes;
  // `--parallel-upload-count`, 1 to 1,000; 0: 10. `OUTLAST_PARALLEL_AUTO`: as many as the link turns out to use, at most 100.
  uint32_t parallel_upload_count;
  // `--no-multipart`: 1: one request whatever the size.
  uint32_t no_multipart;
  // `--integrity`: `OUTLAST_INTEGRITY_*`
  uint32_t integrity;
  // `--opc-checksum-algorithm`: `OUTLAST_CHECKSUM_*`; 0: that of the `opc_content_*` that is given, else CRC-32C.
  uint32_t opc_checksum_algorithm;
  // `--verify-checksum`: 1: MD5 of every part is compared as well, at the price of computing it.
  uint32_t verify_checksum;
  // `--no-overwrite`: 1: fail with `PRECONDITION` if the object exists.
  uint32_t no_overwrite;
  // `--abort-on-failure`, or not: `OUTLAST_ON_FAILURE_*`
  uint32_t on_failure;
  // `--max-retries` of one part or request before its failure is final; 0: 59. Refusals (401) do not count.
  uint32_t max_retries;
  // `--no-retry`: 1: send every request once; refused credentials are still replaced.
  uint32_t no_retry;
  // `--restart`: 1: abort what an earlier run left and begin anew.
  uint32_t restart;
  // Shortest time between progress events, milliseconds; 0: 250. `UINT32_MAX`: none are told.
  uint32_t progress_interval_ms;
  // Always 0.
  uint32_t reserved;
  // `--if-match`: fail with `PRECONDITION` unless the object has this etag.
  struct outlast_str if_match;
  // `--content-type`
  struct outlast_str content_type;
  // `--content-language`
  struct outlast_str content_language;
  // `--content-encoding`
  struct outlast_str content_encoding;
  // `--content-disposition`
  struct outlast_str content_disposition;
  // `--cache-control`
  struct outlast_str cache_control;
  // `--storage-tier`: `Standard`, `InfrequentAccess` or `Archive`; not given: the bucket's.
  struct outlast_str storage_tier;
  // `--opc-sse-kms-key-id`
  struct outlast_str opc_sse_kms_key_id;
  // What `--encryption-key-file` holds: base64 of a customer's 32 bytes; a secret.
  struct outlast_str encryption_key;
  // Base64 of that key's SHA-256.
  struct outlast_str encryption_key_sha256;
  // `--content-md5`: base64 of the MD5 that the object must have: the service stores nothing else, and the upload fails with
  // `INTEGRITY`. Goes with a single put only; an object that is sent in parts is refused with `INVALID`.
  struct outlast_str content_md5;
  // `--opc-content-crc32c`: the same of the CRC-32C, big-endian. At most one of these three is given, and of the algorithm
  // that `opc_checksum_algorithm` names, if it names one.
  struct outlast_str opc_content_crc32c;
  // `--opc-content-sha256`: the same of the SHA-256.
  struct outlast_str opc_content_sha256;
  // `--opc-content-sha384`: the same of the SHA-384.
  struct outlast_str opc_content_sha384;
  // `--metadata`: names without `opc-meta-`.
  const struct outlast_pair *metadata;
  // How many.
  size_t metadata_count;
  // A queue for the events of this upload and its session; NULL: the client's.
  struct outlast_queue *events;
  // Given back in the upload's events.
  void *user_data;
} outlast_upload_options;

// An object that was made. Texts are as the service sent them, empty where it sent none, and live as long as the upload.
typedef struct outlast_upload_result {
  // Set it to `sizeof(outlast_upload_result)` before the call.
  size_t size;
  // Bytes of the object.
  uint64_t object_bytes;
  // Its parts; 0 for a single request.
  uint32_t parts;
  // Of these, kept from an earlier run.
  uint32_t parts_reused;
  // Attempts beyond the first; refusals not counted.
  uint32_t retries;
  // Parts sent again because their credential was refused.
  uint32_t refusals;
  // 1: our checksums were compared with the object's.
  uint32_t verified;
  // Always 0.
  uint32_t reserved;
  // `etag`
  struct outlast_str etag;
  // The service's id of the multipart upload; empty for a single request.
  struct outlast_str upload_id;
  // `version-id`
  struct outlast_str version_id;
  // `last-modified`
  struct outlast_str last_modified;
  // `opc-content-md5`, base64; of a single request.
  struct outlast_str content_md5;
  // `opc-multipart-md5`
  struct outlast_str multipart_md5;
  // `opc-content-crc32c`, base64.
  struct outlast_str crc32c;
  // `opc-content-sha256`, base64.
  struct outlast_str sha256;
  // `opc-content-sha384`, base64.
  struct outlast_str sha384;
  // `opc-multipart-sha256`
  struct outlast_str multipart_sha256;
  // `opc-multipart-sha384`
  struct outlast_str multipart_sha384;
} outlast_upload_result;

// How far an upload is; at most a quarter of a second old.
typedef struct outlast_progress {
  // Set it to `sizeof(outlast_progress)` before the call.
  size_t size;
  // Bytes of the object; -1 while a stream goes on.
  int64_t total_bytes;
  // Bytes of stored parts.
  uint64_t stored_bytes;
  // Bytes sent but not acknowledged.
  uint64_t in_flight_bytes;
  // Parts planned so far.
  uint32_t parts_total;
  // Parts stored.
  uint32_t parts_stored;
  // Of these, kept from an earlier run.
  uint32_t parts_reused;
  // Parts being sent now.
  uint32_t parts_in_flight;
  // Attempts beyond the first.
  uint32_t retries;
  // Parts sent again because their credential was refused.
  uint32_t refusals;
  // 1: the session waits for somebody to sign in.
  uint32_t parked;
  // 1: the caller paused it.
  uint32_t paused;
  // Bytes per second over the last half minute or so; 0 while unknown.
  double bytes_per_second;
  // Milliseconds to the end at that rate; -1 while unknown.
  int64_t eta_ms;
} outlast_progress;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The ABI of the library that was loaded. Compare it with `OUTLAST_ABI_VERSION` before anything else.
//
// Threads: any. Errors: none.
uint32_t outlast_abi_version(void);

// The library's version, for example `0.1.0`; static text.
//
// Threads: any. Errors: none.
const char *outlast_version(void);

// Whether this library can do something: 1 or 0. Names that are not known are 0.
//
// Names: `session.oci`, `session.defined`, `session.service`, `session.supplied`, `session.sign`, `session.sign-digest`,
// `session.token`, `upload.path`, `upload.fd`, `upload.bytes`, `upload.read`, `upload.writer`, `upload.resume`,
// `upload.pause`, `events.queue`, `events.callback`.
// Threads: any. Errors: none.
int32_t outlast_has_feature(struct outlast_str name);

// A status code's stable lower-case name, for example `sign-in-needed`; `unknown` for other numbers. Static text.
//
// Threads: any. Errors: none.
const char *outlast_status_name(outlast_status status);

// The status code that the failing call returned; `OUTLAST_E_INVALID` for what is no error.
//
// Threads: any. Errors: none.
outlast_status outlast_error_code(const struct outlast_error *error);

// One line for people: what was attempted, on what, what happened, and what to do when that is known. No secrets.
//
// Ownership: lives as long as the error. Threads: any. Errors: empty for what is no error.
struct outlast_str outlast_error_message(const struct outlast_error *error);

// Whether trying again can help: `OUTLAST_RETRY_*`.
//
// Threads: any. Errors: `OUTLAST_RETRY_NEVER` for what is no error.
int32_t outlast_error_retry(const struct outlast_error *error);

// How long the service wants us to wait, milliseconds; -1 if it did not say.
//
// Threads: any. Errors: -1 for what is no error.
int64_t outlast_error_retry_after_ms(const struct outlast_error *error);

// The HTTP status that the service answered with; 0 if it did not answer.
//
// Threads: any. Errors: 0 for what is no error.
int32_t outlast_error_http_status(const struct outlast_error *error);

// The service's own error code, for example `NotAuthenticated`; empty if there is none.
//
// Ownership: lives as long as the error. Threads: any. Errors: empty for what is no error.
struct outlast_str outlast_error_service_code(const struct outlast_error *error);

// The service's request id, for a support ticket; empty if there is none.
//
// Ownership: lives as long as the error. Threads: any. Errors: empty for what is no error.
struct outlast_str outlast_error_request_id(const struct outlast_error *error);

// The number of the part in question, from 1; 0 if there is none.
//
// Threads: any. Errors: 0 for what is no error.
uint32_t outlast_error_part_number(const struct outlast_error *error);

// Frees an error and the texts taken from it. NULL, and what has been freed already, is left alone.
//
// Threads: any; the last call on it. Errors: none.
void outlast_error_free(struct outlast_error *error);

// Frees what an event from `outlast_queue_next` owns and sets it to zeros, its size kept. NULL, and an event that was
// cleared already, are left alone. Not for events of a callback.
//
// Threads: any, one at a time per event. Errors: none.
void outlast_event_clear(struct outlast_event *event);

// Makes a queue. Give it to `outlast_client_new` or to an upload's options; one queue may serve several of them.
//
// Ownership: free it with `outlast_queue_free`. Threads: any.
// Errors: `INVALID` (`out` is NULL), `INTERNAL` (no file descriptor left).
outlast_status outlast_queue_new(struct outlast_queue **out,
                                 struct outlast_error **err);

// A descriptor that is readable while events wait: for poll, epoll, select, asyncio, libuv. Level-triggered.
//
// Need not be read. A loop that cannot help reading what it watches may read a duplicate; it must then take events until
// `TIMEOUT` each time, since the descriptor becomes readable anew only after all had been taken.
// Ownership: the queue's; do not close it. It is closed on exec. Threads: any. Errors: -1 for what is no queue.
int32_t outlast_queue_fd(const struct outlast_queue *queue);

// Takes the next event, waiting for it at most `timeout_ms` (0: only if one waits; below 0: without limit).
//
// Ownership: clear the event with `outlast_event_clear`. Set its `size` before.
// Threads: one consumer at a time; more are safe, but each event goes to one of them.
// Errors: `TIMEOUT` (none came; not worth an error object: pass NULL as `err`), `CANCELLED` (the queue was freed),
// `INVALID` (no queue, or `event->size` is wrong).
outlast_status outlast_queue_next(struct outlast_queue *queue,
                                  int64_t timeout_ms,
                                  struct outlast_event *event,
                                  struct outlast_error **err);

// How many events were dropped because nobody took them: the last 65,536 are kept, and all that end something.
//
// Threads: any. Errors: 0 for what is no queue.
uint64_t outlast_queue_lost(const struct outlast_queue *queue);

// Frees a queue with all events that nobody took. Whoever waits in `outlast_queue_next` gets `CANCELLED`; clients and
// uploads that were given the queue go on without. NULL, and what has been freed already, is left alone. In a forked child
// nothing but the handle is freed; the descriptors stay open there until it ends or runs another program.
//
// Threads: any; the last call on it. Remove the descriptor from your poll set before. Errors: none.
void outlast_queue_free(struct outlast_queue *queue);

// Starts a client and its threads. They block all signals; no handler is installed, nothing is written to stdout.
//
// `options` may be NULL. `events` (may be NULL) is told everything that happens from now on; it can be freed before.
// Ownership: free the client with `outlast_client_free`, in any order with its sessions and uploads. Threads: any.
// Errors: `INVALID` (an option), `CONFIG` (certificate file), `INTERNAL` (no thread left), `FORKED` (the queue is).
outlast_status outlast_client_new(const struct outlast_client_options *options,
                                  struct outlast_queue *events,
                                  struct outlast_client **out,
                                  struct outlast_error **err);

// Puts all uploads to rest (kept for resuming), waits for what is under way, and ends the threads. The last events are
// queued when it returns, `OUTLAST_EVENT_CLOSED` as the last.
//
// `timeout_ms` below 0 is without limit. May be repeated, from several threads, and inside a callback (where the last
// events follow after the callback has returned). Calls made on the client, its sessions and uploads afterwards fail with
// `CANCELLED`; results that have come stay available.
// Errors: `TIMEOUT` (what was left is cut off), `INVALID`, `FORKED`.
outlast_status outlast_client_close(struct outlast_client *client,
                                    int64_t timeout_ms,
                                    struct outlast_error **err);

// Frees a client. Without `outlast_client_close` before, its uploads are cancelled (kept for resuming) and its threads end
// in the background; this call does not wait. NULL, and what has been freed already, is left alone. In a forked child
// nothing but the handle is freed.
//
// Threads: any; the last call on it. Errors: none.
void outlast_client_free(struct outlast_client *client);

// Gives a descriptor that holds the client: when it, and every copy of it, has been closed, the client ends as by
// `outlast_client_free`.
//
// For hosts whose threads can be ended from outside, so that nothing of theirs is left to call (worker threads of a JavaScript
// engine): what closes their descriptors puts their uploads to rest (kept for resuming) and ends the client's threads. Handles
// stay and cost some bytes each. Nothing is ever written to it; it is readable, at its end, once the client has ended.
// Ownership: yours, `close` it; it is closed on exec. Threads: any.
// Errors: `INTERNAL` (no descriptor or thread left), `INVALID`, `FORKED`.
outlast_status outlast_client_lifeline(struct outlast_client *client,
                                       int32_t *fd,
                                       struct outlast_error **err);

// Changes the rate limit over all uploads of a client, bytes per second; 0 is without limit. Takes effect at once.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_client_limit_rate(struct outlast_client *client,
                                         uint64_t bytes_per_second,
                                         struct outlast_error **err);

// Has all events of a client told to a function, in addition to its queue. A second call replaces the function, NULL
// removes it.
//
// Ownership: `free_fn` (may be NULL) is called with `user_data` exactly once, after the last call of `event_fn`: when the
// function was replaced or removed, the client was closed or freed, or this call failed. It may be called on any thread.
// Threads: any; see `outlast_event_fn` for those of the function. It may be called inside the function.
// Errors: `INVALID`, `FORKED`.
outlast_status outlast_client_on_event(struct outlast_client *client,
                                       outlast_event_fn event_fn,
                                       void *user_data,
                                       outlast_free_fn free_fn,
                                       struct outlast_error **err);

// The session's number in events; 0 for what is no session.
//
// Threads: any.
uint64_t outlast_session_number(const struct outlast_session *session);

// Copies the current token into `buffer`, NUL-terminated; refreshes it before if need be.
//
// A fresh token costs no trip to another thread. Otherwise the call waits at most `timeout_ms` (below 0: without limit)
// for a refresh or for somebody to sign in. Service limits: tokens are at most 64 KiB; 16 KiB is plenty.
// The token is the compact JWT without `ST$`; for an API key it is the key id, which is no secret.
// Ownership: the buffer is yours; wipe it after use. Threads: any, concurrently; cancelling is not possible, use a timeout.
// Errors: `BUFFER` (`token->len` is written and nothing else; call again), `TIMEOUT` (a refresh goes on),
// `SIGN_IN_NEEDED`, `AUTH`, `CONFIG`, `NETWORK`, `CANCELLED` (closed), `INVALID`, `FORKED`.
outlast_status outlast_session_token(struct outlast_session *session,
                                     int64_t timeout_ms,
                                     char *buffer,
                                     size_t capacity,
                                     struct outlast_token *token,
                                     struct outlast_error **err);

// Signs a request that the host sends itself, to any service that takes this credential; refreshes before if need be.
//
// `out` gets the headers to send besides your own: `date`, `host`, with a covered body `content-length` and
// `x-content-sha256`, and `authorization`.
// Ownership: free the headers with `outlast_headers_free`. Threads: any, concurrently. Cost: an RSA signature, about 1 ms.
// Errors: `INVALID` (method, URL, a covered body without type), otherwise as `outlast_session_token`.
outlast_status outlast_session_sign(struct outlast_session *session,
                                    const struct outlast_request *request,
                                    int64_t timeout_ms,
                                    struct outlast_headers **out,
                                    struct outlast_error **err);

// Signs a SHA-256 digest with the session's private key (RSA, PKCS#1 v1.5): for clients that build and sign their requests
// themselves and want a key for it. Whoever can should let `outlast_session_sign` do the whole.
//
// `digest` has `digest_len` bytes, which is 32. `buffer` gets the signature's bytes, without a NUL: as many as the key's
// modulus has, at most 512. `len` (may be NULL) gets their number, `generation` (may be NULL) that of the credential.
// Waits and refreshes as `outlast_session_token`, whose token belongs to this key. Threads: any, concurrently.
// Errors: `BUFFER` (`len` is written and nothing else), `INVALID` (length of the digest; a session with a bearer token),
// otherwise as `outlast_session_token`.
outlast_status outlast_session_sign_digest(struct outlast_session *session,
                                           const uint8_t *digest,
                                           size_t digest_len,
                                           int64_t timeout_ms,
                                           uint8_t *buffer,
                                           size_t capacity,
                                           size_t *len,
                                           uint64_t *generation,
                                           struct outlast_error **err);

// Tells that a service answered 401 to a request made with `generation`. One refresh follows, however many tell it; an
// old generation's late answer changes nothing. Two fresh credentials refused in a row end the session (`AUTH`).
//
// Returns at once; ask for the next token or headers and send again. Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_session_reject(struct outlast_session *session,
                                      uint64_t generation,
                                      struct outlast_error **err);

// Tells that a service answered something other than 401 to a request made with `generation`. Worth telling once per
// generation: it keeps a later 401 from looking like the refusal of a fresh credential.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_session_accept(struct outlast_session *session,
                                      uint64_t generation,
                                      struct outlast_error **err);

// Asks for the next credential now, whatever the windows say, and waits for it at most `timeout_ms`.
//
// Errors: why there is none; the current credential stays in use as long as it lives. `TIMEOUT`: the refresh goes on.
// Threads: any.
outlast_status outlast_session_refresh(struct outlast_session *session,
                                       int64_t timeout_ms,
                                       struct outlast_error **err);

// Looks at a session; loads and refreshes nothing.
//
// Threads: any. Errors: `CANCELLED` (closed), `INVALID`, `FORKED`.
outlast_status outlast_session_look(struct outlast_session *session,
                                    struct outlast_session_status *status,
                                    struct outlast_error **err);

// Keeps the session alive while nobody asks, until `outlast_session_release` has been called as often, or the session is
// freed. Uploads do so by themselves.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_session_hold(struct outlast_session *session,
                                    struct outlast_error **err);

// The opposite of `outlast_session_hold`.
//
// Threads: any. Errors: `INVALID` (also: it is not held), `FORKED`.
outlast_status outlast_session_release(struct outlast_session *session, struct outlast_error **err);

// Tells that somebody signed in or the source has changed: look now. Changed files are noticed without this. A host that
// said that only a person can supply a credential is asked again.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_session_touch(struct outlast_session *session,
                                     struct outlast_error **err);

// Asks the service for the tenancy's Object Storage namespace and copies it into `buffer`, NUL-terminated. Blocks for one
// request, its retries, and a refresh if need be; not at all when the session's options named one, which it then is.
//
// `len` (may be NULL) gets its bytes, the NUL not counted. 256 bytes are enough.
// Threads: any. Errors: of the request; `BUFFER`, `INVALID`, `FORKED`.
outlast_status outlast_session_namespace(struct outlast_session *session,
                                         char *buffer,
                                         size_t capacity,
                                         size_t *len,
                                         struct outlast_error **err);

// Frees a session. Uploads that use it keep it alive inside; otherwise nothing is refreshed any more. NULL, and what has
// been freed already, is left alone. Never blocks. In a forked child nothing but the handle is freed.
//
// Threads: any; the last call on it. Errors: none.
void outlast_session_free(struct outlast_session *session);

// Opens the session of an OCI profile: a signed-in session's token and key files, or an API key.
//
// The configuration is read now, the credential in the background: what is wrong with it is told by the first call that
// needs it. `options` may be NULL. Blocks for local files only.
// Ownership: free it with `outlast_session_free`. It keeps the client's threads alive. Threads: any.
// Errors: `CONFIG` (files, missing or malformed values), `INVALID` (endpoints, options), `CANCELLED` (closed), `FORKED`.
outlast_status outlast_session_open_oci(struct outlast_client *client,
                                        const struct outlast_oci_options *options,
                                        struct outlast_session **out,
                                        struct outlast_error **err);

// Opens a session of the sessions file by its name, as the command line does.
//
// Its tokens are for services of any kind: `outlast_session_token` gives the access token, `outlast_session_sign` the
// headers that carry it. What a person signs in to is signed in to by `outlast login NAME`; stored sign-ins are read and kept
// in the client's `state_dir`, and are refreshed once, however many programs use them.
// The file is read now, the credential in the background: what is wrong with it is told by the first call that needs it.
// Blocks for local files only. Ownership: free it with `outlast_session_free`. Threads: any.
// Errors: `CONFIG` (no such file or section, what is wrong in it, a secret in it that others can read), `INVALID` (name,
// endpoint, options), `CANCELLED` (closed), `FORKED`.
outlast_status outlast_session_open_defined(struct outlast_client *client,
                                            const struct outlast_defined_options *options,
                                            struct outlast_session **out,
                                            struct outlast_error **err);

// Opens a session whose credentials the host supplies: each time one is needed, `OUTLAST_EVENT_CREDENTIAL_WANTED` is told,
// and `outlast_session_supply` answers it. Somebody must listen to the client's queue or callback.
//
// Ownership: free it with `outlast_session_free`, which ends all waiting for credentials. Threads: any.
// Errors: `INVALID` (endpoint, options), `CANCELLED` (closed), `FORKED`.
outlast_status outlast_session_open_supplied(struct outlast_client *client,
                                             const struct outlast_supplied_options *options,
                                             struct outlast_session **out,
                                             struct outlast_error **err);

// Names a service's credential that takes over from a session when an upload would outlive it, or when it has ended.
//
// The session itself goes first. Before the service acts its credential is checked and the change is recorded;
// `OUTLAST_EVENT_HANDED_OVER` tells it. Callers wait meanwhile. There is no way back, and the service ends with the session.
// Blocks for local files only. Threads: any.
// Errors: `INVALID` (options; the session has a service already), `CONFIG` (files of the service), `STATE` (the record cannot
// be written), `CANCELLED` (closed), `FORKED`.
outlast_status outlast_session_service(struct outlast_session *session,
                                       const struct outlast_service_options *options,
                                       struct outlast_error **err);

// Supplies a credential: `request` is that of an `OUTLAST_EVENT_CREDENTIAL_WANTED`, or 0 to bring one unasked.
//
// Everything is copied before the call returns. Threads: any, also inside a callback.
// Errors: `INVALID` (nobody waits for `request` any more; not a supplied session), `CONFIG` (token or key cannot be read, or
// do not belong together; the wish stands, answer again), `FORKED`.
outlast_status outlast_session_supply(struct outlast_session *session,
                                      uint64_t request,
                                      const struct outlast_credential *credential,
                                      struct outlast_error **err);

// Tells that there is no credential for a wish. `sign_in_needed` 1: only a person can get one, the session is parked or ends;
// 0: passing trouble, it is asked for again later (not before `retry_after_ms`, if that is not 0).
//
// `message` says why, for people, without secrets. Threads: any, also inside a callback.
// Errors: `INVALID` (nobody waits for `request` any more; not a supplied session), `FORKED`.
outlast_status outlast_session_supply_failed(struct outlast_session *session,
                                             uint64_t request,
                                             uint32_t sign_in_needed,
                                             uint64_t retry_after_ms,
                                             struct outlast_str message,
                                             struct outlast_error **err);

// How many headers there are; 0 for what are no headers.
//
// Threads: any.
size_t outlast_headers_count(const struct outlast_headers *headers);

// A header's name, in lower case; empty when `index` is not below the count.
//
// Ownership: lives as long as the headers. Threads: any.
struct outlast_str outlast_headers_name(const struct outlast_headers *headers, size_t index);

// A header's value; empty when `index` is not below the count. That of `authorization` is a secret: do not print it.
//
// Ownership: lives as long as the headers, and is wiped with them. Threads: any.
struct outlast_str outlast_headers_value(const struct outlast_headers *headers,
                                         size_t index);

// The generation that signed: name it in `outlast_session_reject` when the service answers 401. 0 for what are no headers.
//
// Threads: any.
uint64_t outlast_headers_generation(const struct outlast_headers *headers);

// Frees headers and the texts taken from them. NULL, and what has been freed already, is left alone.
//
// Threads: any; the last call on them. Errors: none.
void outlast_headers_free(struct outlast_headers *headers);

// Starts uploading a source as one object and returns at once: only local files are looked at before.
//
// Resume: a journal in the client's state directory makes the same call (endpoint, target, name of the source) go on where
// an earlier one stopped, in this process or another. Streams cannot be resumed.
// Memory: three blocks of `io_buffer_bytes` per request in flight; for streams `parallel_upload_count` parts and one more.
// Ownership: free the upload with `outlast_upload_free`. All texts are copied; for `bytes`, `read_fn` and `free_fn` see the
// options. Threads: any.
// Errors: `INVALID` (options, target), `SOURCE` (cannot be read), `BUSY` (another process is at it), `STATE` (the journal
// cannot be used), `CANCELLED` (closed), `FORKED`. All else comes as the upload's result.
outlast_status outlast_upload_start(struct outlast_client *client,
                                    struct outlast_session *session,
                                    const struct outlast_upload_options *options,
                                    struct outlast_upload **out,
                                    struct outlast_error **err);

// Waits for the end, at most `timeout_ms` (0: only looks; below 0: without limit). May be repeated, by several threads.
//
// `result` (may be NULL) is filled on success; its texts live as long as the upload.
// Errors: `TIMEOUT` (it goes on; not worth an error object: pass NULL as `err`). Those of the upload: `INVALID`,
// `SIGN_IN_NEEDED`, `AUTH`, `CONFIG`, `PERMISSION`, `NOT_FOUND`, `PRECONDITION`, `INTEGRITY`, `SOURCE`, `SOURCE_CHANGED`,
// `NETWORK`, `SERVICE`, `PROTOCOL`, `STATE`, `CANCELLED`. `FORKED`. An upload that stalled for good ends with `TIMEOUT`, too:
// `OUTLAST_EVENT_FINISHED` and the `err` of a wait without limit tell the two apart.
outlast_status outlast_upload_wait(struct outlast_upload *upload,
                                   int64_t timeout_ms,
                                   struct outlast_upload_result *result,
                                   struct outlast_error **err);

// Looks how far an upload is. Never blocks.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_upload_progress(const struct outlast_upload *upload,
                                       struct outlast_progress *progress,
                                       struct outlast_error **err);

// Begins no further parts; those in flight are finished. The session is kept alive meanwhile.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_upload_pause(struct outlast_upload *upload, struct outlast_error **err);

// Goes on after a pause.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_upload_resume(struct outlast_upload *upload, struct outlast_error **err);

// Stops an upload and returns at once; its end still follows, usually `CANCELLED`. `on_failure` (`OUTLAST_ON_FAILURE_*`, 0:
// as its options say) says what becomes of what is stored. An upload that has ended is left as it is.
//
// Threads: any. Errors: `INVALID`, `FORKED`.
outlast_status outlast_upload_cancel(struct outlast_upload *upload,
                                     uint32_t on_failure_choice,
                                     struct outlast_error **err);

// Whether the same call, made again, goes on where this one stopped: 1 or 0. Meaningful once it has failed.
//
// Threads: any. Errors: 0 for what is no upload.
int32_t outlast_upload_is_resumable(const struct outlast_upload *upload);

// The upload's number in events; 0 for what is no upload.
//
// Threads: any.
uint64_t outlast_upload_number(const struct outlast_upload *upload);

// Frees an upload and the texts of its result. A running upload goes on until it ends or its client is closed or freed;
// its events still come. NULL, and what has been freed already, is left alone. Never blocks. In a forked child nothing but
// the handle is freed.
//
// Threads: any; the last call on it. Errors: none.
void outlast_upload_free(struct outlast_upload *upload);

// Makes a writer. Name it in an upload's options (`OUTLAST_SOURCE_WRITER`), start the upload, write, finish.
//
// Ownership: free it with `outlast_writer_free`. Threads: any. Errors: `INVALID` (`out` is NULL).
outlast_status outlast_writer_new(struct outlast_writer **out, struct outlast_error **err);

// Writes bytes, waiting at most `timeout_ms` (below 0: without limit) for the upload to take them. They are copied once,
// into the buffers that are sent from, and are yours again when the call returns.
//
// `written` (may be NULL) is set on success and on failure: after `TIMEOUT` go on from there.
// The upload keeps `parallel_upload_count` parts in memory and takes no more while these are under way.
// Threads: any; concurrent writes follow one another in no particular order. Do not call it on the thread that the upload's
// events need: it blocks.
// Errors: `TIMEOUT`, `CANCELLED` (the upload has ended: `outlast_upload_wait` says why), `INVALID`, `FORKED`.
outlast_status outlast_writer_write(struct outlast_writer *writer,
                                    const uint8_t *data,
                                    size_t len,
                                    int64_t timeout_ms,
                                    size_t *written,
                                    struct outlast_error **err);

// Tells that all bytes have been written: the upload can become an object. May be repeated.
//
// Threads: any. Errors: `INVALID` (also: it was abandoned), `FORKED`.
outlast_status outlast_writer_finish(struct outlast_writer *writer, struct outlast_error **err);

// Tells that the rest will not come: the upload fails with `SOURCE` and no object is made. May be repeated.
//
// Threads: any. Errors: `INVALID` (also: it was finished), `FORKED`.
outlast_status outlast_writer_abandon(struct outlast_writer *writer, struct outlast_error **err);

// Frees a writer; one that was not finished is abandoned. NULL, and what has been freed already, is left alone.
//
// Threads: any; the last call on it. Errors: none.
void outlast_writer_free(struct outlast_writer *writer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* A text from a NUL-terminated string; NULL is not given. */
static inline outlast_str outlast_text(const char *text)
{
  outlast_str view;
  view.data = text;
  view.len = text ? strlen(text) : 0;
  return view;
}

/* Declares a zeroed struct that knows its size:  OUTLAST_STRUCT(outlast_upload_options, options);  */
#define OUTLAST_STRUCT(type, name) \
  type name; \
  memset(&(name), 0, sizeof(name)); \
  (name).size = sizeof(name)

#endif /* OUTLAST_H */
