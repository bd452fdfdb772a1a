//! The long texts of `--help` and the man pages.
//!
//! Form of the `_AFTER` texts: a line at column 0 that ends with `:` is a heading; a line indented by two is a paragraph
//! or a table row (term, two spaces or more, description); a line indented by four is shown as it is.

pub(crate) const MAIN: &str = "\
Uploads that outlive their tokens.

Outlast moves a big file to OCI Object Storage in parallel parts while it keeps the session token behind it alive: it \
refreshes the token before it ends, picks up one that somebody else wrote, repeats only the parts that a refused token \
cost, waits when nobody but a person can help, and goes on where it stopped when the same command is run again.";

pub(crate) const MAIN_AFTER: &str = "\
Examples:
    outlast put --auth security_token -bn backups --file db.tar --parallel-upload-count 15
    outlast session keep --profile LAB --for 8h
    outlast login work; outlast token work --format header
    outlast uploads list -bn backups
    outlast demo

Exit codes:
  0    done
  1    the service, the network or this machine failed
  2    the command line, the configuration or a file it names cannot be used
  75   parked: somebody has to sign in; then the same command goes on
  130  interrupted; the same command goes on

Environment:
  OCI_CLI_*        what the official command line reads; before the configuration file's values
  HTTPS_PROXY      a proxy, with NO_PROXY; loopback is never asked of one
  REQUESTS_CA_BUNDLE  certificate authorities (PEM)
  XDG_STATE_HOME   where upload journals are kept, in outlast/
  NO_COLOR         no colours

Files:
  ~/.oci/config                 profiles
  ~/.oci/sessions/PROFILE/      session key and token, rewritten by a refresh
  ~/.local/state/outlast/       journals of unfinished uploads, without secrets; stored sign-ins, sealed
  ~/.config/outlast/            sessions.conf for `outlast login` and `token`; the vault's key";

pub(crate) const PUT: &str = "\
Uploads a file as one object.

The flags are those of `oci os object put`, with the same names, defaults and meaning, so a script changes in one place: \
`oci os object put` becomes `outlast put` (`outlast os object put` is understood, too). The result on stdout is the same \
JSON. What differs is what happens in between:

The session token is refreshed in time and the new one is used at once, also when another process refreshed it. A part \
that was refused for its token is sent again under the next one and costs no retry. If the session ends for good, the \
upload is parked: sign in again within --wait-for-login and it goes on; later, run the same command and it goes on from the \
parts that are stored. The same holds after Ctrl-C, a crash or kill -9.

Checksums are computed here while sending and compared with what the service reports of each part and of the object; an \
object that is not your bytes is never called a success.";

pub(crate) const PUT_AFTER: &str = "\
If the object exists:
  Without --force the object is looked for first. If it exists, a terminal is asked (the default is no); without a terminal the command says so and exits 1. --no-overwrite leaves it alone and exits 0, --force replaces it without looking. An object that appears in the meantime is never replaced unasked: the upload carries if-none-match.

Resuming:
  Run the same command again: same file, same bucket and name, same state directory. The part size is remembered. Parts that are stored are compared with the file before they are kept; a file that changed is refused (--restart begins anew). Uploads from stdin cannot be resumed and are aborted on failure.

Interrupting:
  The first Ctrl-C (or SIGTERM) stops sending, writes down what is stored and exits 130; the second exits at once. Both leave the upload resumable, unless --abort-on-failure.

Examples:
    outlast put -bn backups --file db.tar
        uploads db.tar as db.tar, in parts of 128 MiB, ten at a time
    outlast put --auth security_token -ns mytenancy -bn backups --file /backup/db.tar --storage-tier Archive \\
        --no-overwrite --part-size 128 --parallel-upload-count 15 --verify-checksum --wait-for-login 2h
        the nightly backup: hours under 60-minute tokens, and time to sign in again when the session ends
    tar c /data | outlast put -bn backups --file - --name data.tar
        a stream; memory is part size x requests in flight
    outlast put --auth api_key --mint-session 60 -bn backups --file db.tar
        no person at hand: short sessions minted from an API key
    outlast put -bn backups --file db.tar --query etag --raw-output
        prints nothing but the etag

Output:
  stdout holds the result alone: those present of etag, last-modified, opc-content-crc32c, opc-content-md5, opc-content-sha256, opc-content-sha384, opc-multipart-md5, opc-multipart-sha256, opc-multipart-sha384. Progress goes to stderr: a bar on a terminal, otherwise a line now and then. A failure is one line on stderr that begins with outlast:.

Events:
  --events FILE appends one JSON object per line for everything that happens, flushed at once; every object has `event` and `time_ms` (milliseconds since 1970). The names and fields are listed in bindings/cli/EVENTS.md and do not change within a major version. With --events - they go to stderr in place of the progress lines.

Exit codes:
  0    done; also: the object exists and --no-overwrite was given
  1    the service or the network failed for longer than retries last, the prompt was declined, or the object is wrong
  2    a flag, a value, the configuration or a file cannot be used; nothing was sent
  75   parked: somebody has to sign in; then the same command goes on
  130  interrupted; the same command goes on";

pub(crate) const SESSION: &str = "\
Looks at a session, refreshes it once, or keeps it alive for other programs.

With a NAME it is a session of the sessions file (`outlast login`); without, the OCI session of a profile.

A session is what `oci session authenticate` made: a token that ends after minutes, a key it is bound to, and a horizon \
beyond which only a person can extend it. The profile is read as for `outlast put --auth security_token`.";

pub(crate) const SESSION_AFTER: &str = "\
Examples:
    outlast session show --profile LAB --output json
    outlast session refresh --profile LAB
    outlast session keep --profile LAB --for 8h &
        programs that read the token file now and then need nothing else
    outlast session keep work --write-token /run/user/1000/work.token
        the same for a session of the sessions file

Exit codes:
  0    done; show: the session is usable
  1    the service or the network failed
  2    the command line or the configuration cannot be used
  75   the session has ended; somebody has to sign in
  130  interrupted";

pub(crate) const LOGIN: &str = "\
Signs in to a session of the sessions file and stores the result, sealed.

A browser of this machine is sent to the identity provider and comes back to a port of loopback (PKCE, state and issuer are \
checked). With --device any browser anywhere does. Afterwards the session refreshes itself; `outlast token` prints its \
tokens, `outlast session keep` keeps it alive while nobody asks.";

pub(crate) const LOGIN_AFTER: &str = "\
Examples:
    outlast login work
    outlast login work --device
        on a machine without a browser
    outlast login work --refresh-token-file - < token.txt
        a refresh token from elsewhere; it is used at once, and logout will not revoke what others may use
    outlast login library --username diku_admin --password-file ~/.secrets/folio

Sessions file:
    [work]
    provider  = keycloak
    issuer    = https://sso.example.com/realms/R
    client_id = uploader
    scope     = openid offline_access
  All keys, providers and the rules for secrets are in bindings/cli/SESSIONS.md.

Files:
  ~/.config/outlast/sessions.conf       sessions
  ~/.config/outlast/vault.key           the key that seals stored sign-ins, made when it is needed (vault_key says otherwise)
  ~/.local/state/outlast/vault/         stored sign-ins, one sealed file each

Exit codes:
  0    signed in
  1    the identity provider or the network failed, or nobody came in time
  2    the command line or the sessions file cannot be used
  75   the sign-in was refused
  130  given up";

pub(crate) const LOGOUT: &str = "\
Revokes a stored sign-in at its identity provider and forgets it.

Only this machine's own chain is revoked: a refresh token that was brought along (--refresh-token-file) belongs to others as \
well and is only forgotten. FOLIO's logout ends this session and no other. If the identity provider cannot be told, the \
sign-in is kept.";

pub(crate) const LOGOUT_AFTER: &str = "\
Examples:
    outlast logout work
    outlast logout work --local

Exit codes:
  0    signed out; also when nobody was signed in
  1    the identity provider could not be told; nothing was forgotten
  2    the command line or the sessions file cannot be used";

pub(crate) const TOKEN: &str = "\
Prints a token that is good now, refreshed if need be.

Any number of scripts may ask at once: one of them refreshes, the others get the same token. Without --format the token \
alone is printed.";

pub(crate) const TOKEN_AFTER: &str = "\
Examples:
    curl -H \"Authorization: Bearer $(outlast token work)\" https://api.example.com/
    outlast token work --format header | curl -H @- https://api.example.com/
    outlast token work --format json
    outlast token work || [ $? -ne 75 ] || notify-send 'sign in: outlast login work'

Exit codes:
  0    the token is on stdout
  1    the identity provider or the network failed
  2    the command line or the sessions file cannot be used
  75   somebody has to sign in (outlast login)";

pub(crate) const UPLOADS: &str = "\
Lists or aborts uploads that were begun and not finished.

An unfinished upload has a journal on this machine and parts at the service, which are kept, and billed, until the \
upload is committed or aborted.";

pub(crate) const UPLOADS_AFTER: &str = "\
Examples:
    outlast uploads list
        the journals kept here; asks no service
    outlast uploads list -bn backups --output table
    outlast uploads abort -bn backups --name db.tar
    outlast uploads abort --all-of-ours --force

Exit codes:
  0    done
  1    the service failed, or the prompt was declined
  2    the command line or the configuration cannot be used
  75   somebody has to sign in";

pub(crate) const CLOUD: &str = "\
Runs a loopback cloud: object storage, session refresh and token minting on this machine, stricter than the real one.

It verifies every signature, ends tokens after as many seconds as you say, and misbehaves on demand. It writes a profile \
that the official command line and `outlast put` both take.";

pub(crate) const CLOUD_AFTER: &str = "\
Examples:
    outlast cloud --login LAB --dir ./lab/.oci --token-life 30s --stay
        tokens of 30 seconds; prints one line of JSON that says where it listens and what it wrote
    outlast put --config-file ./lab/.oci/config --profile LAB --endpoint URL --auth-endpoint URL -bn mybucket --file f
        with the URLs of that line

Files:
  ./lab/.oci/config             the profile, as the official tools read it
  ./lab/.oci/sessions/LAB/      key and token";

pub(crate) const DEMO: &str = "\
Shows the whole story on this machine: no account, no network, no arguments.

It starts the loopback cloud with tokens that live a few seconds, makes a file, and uploads it with `outlast put` slowed \
down to outlast several of them. On the way one token is revoked before its time, and the uploading process is killed \
with SIGKILL and run again. In the end the stored object is compared with the file, and the run is drawn as a picture.";

pub(crate) const DEMO_AFTER: &str = "\
Examples:
    outlast demo
    outlast demo --size 1024 --seconds 60 --svg run.svg
    outlast demo --keep
        keeps file, object, events and profile to look at

Exit codes:
  0    the object is the file, byte for byte
  1    it is not, or the run could not be made
  130  interrupted";

pub(crate) const COMPLETIONS_AFTER: &str = "\
Examples:
    outlast completions bash > ~/.local/share/bash-completion/completions/outlast
    outlast completions zsh > ~/.zfunc/_outlast
    outlast completions fish > ~/.config/fish/completions/outlast.fish";
