/// <reference types="node" />

/** Stable names of failures; the same in every language. */
export type ErrorCode =
  | 'invalid-input'
  | 'config'
  | 'sign-in-needed'
  | 'auth'
  | 'permission'
  | 'not-found'
  | 'precondition'
  | 'integrity'
  | 'source-changed'
  | 'source'
  | 'network'
  | 'service'
  | 'timeout'
  | 'state'
  | 'busy'
  | 'cancelled'
  | 'protocol'
  | 'internal'
  | 'panic'
  | 'forked';

/** What a failure is known to be, besides its words. */
export interface ErrorFacts {
  /** Whether trying again can help. */
  retry?: 'never' | 'later' | 'after-sign-in' | 'exhausted';
  /** How long the service wants us to wait, if it said so. */
  retryAfterMs?: number | null;
  httpStatus?: number | null;
  serviceCode?: string | null;
  requestId?: string | null;
  partNumber?: number | null;
  resumable?: boolean;
  cause?: unknown;
}

/**
 * A failure: what was attempted, on what, what happened, and what to do when that is known.
 *
 * An aborted call is rejected with one whose `code` is `cancelled`, whose `name` is `AbortError` and whose `cause` is the
 * signal's reason.
 */
export class OutlastError extends Error {
  /** A supplier of credentials throws `new OutlastError('sign-in-needed', …)` when only a person can help. */
  constructor(code: ErrorCode, message: string, facts?: ErrorFacts);
  readonly code: ErrorCode;
  /** Whether trying again can help. */
  retry: 'never' | 'later' | 'after-sign-in' | 'exhausted';
  /** How long the service wants us to wait, if it said so. */
  retryAfterMs: number | null;
  /** HTTP status of the service's answer, if it answered. */
  httpStatus: number | null;
  /** The service's own error code, for example `NotAuthenticated`. */
  serviceCode: string | null;
  /** The service's request id, for a support ticket. */
  requestId: string | null;
  /** The part in question, from 1. */
  partNumber: number | null;
  /** Whether the same upload, made again, goes on where this one stopped. */
  resumable: boolean;
}

/** How long a call may take. What it waits for goes on regardless. */
export interface WaitOptions {
  /** Rejects with a `timeout` after so many milliseconds; none is without limit. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface ClientOptions {
  /** Threads that sign, encrypt and send; 2 unless told otherwise. */
  workers?: number;
  /** Plain http to other machines; to this machine it is always allowed. */
  allowHttp?: boolean;
  /** Longest time for one connection attempt; 10,000 unless told otherwise. */
  connectionTimeoutMs?: number;
  /** Longest time without a byte in either direction; 60,000 unless told otherwise. */
  readTimeoutMs?: number;
  /** Bytes per second over all uploads; 0 is without limit. */
  limitRate?: number | bigint;
  /** Block in which sources are read, bytes; 262,144 unless told otherwise. */
  ioBufferBytes?: number | bigint;
  /** Directory of upload journals; `$XDG_STATE_HOME/outlast`, else `~/.local/state/outlast`. */
  stateDir?: string | URL;
  /** Further certificate authorities: a PEM file. */
  certBundle?: string | URL;
  proxy?: string;
  /** Sent with every request, for finding them in the service's logs. */
  opcClientRequestId?: string;
}

/** Sessions and uploads that share threads, connections and a rate limit. */
export class Client {
  /** Starts the threads; reads certificate files. */
  constructor(options?: ClientOptions);
  /** Changes the rate limit, bytes per second; null is without limit. Takes effect at once. */
  limitRate(bytesPerSecond: number | bigint | null): void;
  /** Puts all uploads to rest (kept for resuming) and ends the threads, within 10 s unless told otherwise. May be repeated. */
  close(options?: { timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A token. Printing it does not show its text. */
export interface Token {
  readonly value: string;
  /** Name it in `reject` when a service answers 401. */
  readonly generation: number;
  /** null if it does not end. */
  readonly expiresAt: Date | null;
}

/** What to send besides your own headers. Printing it does not show it. */
export interface Signed {
  /** By name, in lower case: `date`, `host`, with a covered body `content-length` and `x-content-sha256`, `authorization`. */
  readonly headers: Record<string, string>;
  /** Name it in `reject` when a service answers 401. */
  readonly generation: number;
}

/** A look at a session. */
export interface SessionStatus {
  state: 'empty' | 'fresh' | 'advisory' | 'mandatory' | 'parked' | 'dead' | 'unknown';
  generation: number;
  issuedAt: Date | null;
  expiresAt: Date | null;
  /** Beyond it only a person can extend the session. */
  horizon: Date | null;
  /** Successful refreshes by this client. */
  refreshes: number;
}

interface CommonSessionOptions {
  /** A client to share; otherwise the session makes one and closes it. */
  client?: Client;
  /** Base URL of Object Storage. */
  endpoint?: string;
  /** How long callers wait, parked, for somebody to sign in; 0: fail at once. */
  waitForLoginMs?: number;
  /** Refresh even when nobody asks. An upload in progress and `hold` imply it. */
  timer?: boolean;
}

/** The session of an OCI profile, found as the official tools find it. */
export interface ProfileOptions extends CommonSessionOptions {
  supply?: never;
  name?: never;
  sessionsFile?: never;
  /** `DEFAULT` unless told otherwise. */
  profile?: string;
  /** `~/.oci/config` unless told otherwise. */
  configFile?: string | URL;
  /** Defaults for what is not given here; `$OCI_CLI_RC_FILE`, else `~/.oci/oci_cli_rc`, unless told otherwise. */
  cliRcFile?: string | URL;
  /** `security_token` or `api_key`; what the profile is unless told otherwise. */
  auth?: string;
  region?: string;
  /** Base URL of the auth service, where refresh goes. */
  authEndpoint?: string;
  /** Object Storage's host is the realm's own, where the realm has one. It begins with `namespace`. */
  realmSpecificEndpoint?: boolean;
  /** Object Storage's host is the one with addresses of IPv4 and IPv6. */
  enableDualStack?: boolean;
  /** If it is known; `Session.namespace` then asks nobody. */
  namespace?: string;
  /** Of the private key, when the profile has none. */
  passphrase?: string | Uint8Array;
  /** Never rewrite the token file. */
  readOnly?: boolean;
  /** With an API key: mint session tokens of so many minutes (5 to 60) and sign with them. */
  mintSessionMinutes?: number;
}

/** A session of the sessions file: OAuth 2.0, OpenID providers, FOLIO, credential programs, token files. */
export interface DefinedOptions extends CommonSessionOptions {
  supply?: never;
  profile?: never;
  /** Its section, as for `outlast token NAME`. */
  name: string;
  /** `$OUTLAST_SESSIONS`, else `~/.config/outlast/sessions.conf`, unless told otherwise. */
  sessionsFile?: string | URL;
}

/** A service's credential that takes over: an OCI profile's, or a session of the sessions file. */
export type ServiceOptions = (
  | {
      profile: string;
      configFile?: string | URL;
      cliRcFile?: string | URL;
      passphrase?: string | Uint8Array;
      name?: never;
      sessionsFile?: never;
    }
  | { name: string; sessionsFile?: string | URL; profile?: never; configFile?: never; cliRcFile?: never; passphrase?: never }
) & {
  /** On whose behalf it acts, for the record. */
  principal: string;
  /** The record: a line of JSON is appended and made durable before the service acts. */
  auditFile: string | URL;
};

/** What a supplier returns: a session token, or an API key's id, and the private key; or a bearer token. */
export interface Credential {
  /** The compact JWT, without `ST$`; with `tokenType` an access token. */
  token?: string | Uint8Array;
  /** `Bearer`, or another word: the token signs nothing and is sent as it is. No key then. */
  tokenType?: string;
  /** Instead of a token: `<tenancy>/<user>/<fingerprint>`. */
  keyId?: string;
  /** PEM; may be left out when it is the same as before. */
  privateKey?: string | Uint8Array;
  passphrase?: string | Uint8Array;
  /** A Date or milliseconds since 1970 UTC; what the token says unless told otherwise. */
  expiresAt?: Date | number;
  /** Beyond it a person has to sign in. */
  horizon?: Date | number;
}

/** A session whose credentials the host supplies. */
export interface SuppliedOptions extends CommonSessionOptions {
  profile?: never;
  configFile?: never;
  name?: never;
  sessionsFile?: never;
  endpoint: string;
  /**
   * Called each time a credential is needed. What it throws, or is rejected with, is passing trouble, asked again later; an
   * `OutlastError` with code `sign-in-needed` says that only a person can help.
   */
  supply: () => Credential | Promise<Credential>;
  /** Words for messages, for example `the token broker's session`. */
  title?: string;
  /** How long one call of `supply` may take before it counts as failed; 60,000 unless told otherwise. */
  supplyTimeoutMs?: number;
}

export type SessionOptions = ProfileOptions | DefinedOptions | SuppliedOptions;

export interface SignOptions extends WaitOptions {
  /** Covered by the signature: for POST, PATCH, and every PUT but those of objects and parts. May be empty. */
  body?: string | Uint8Array;
  /** `content-type` of a covered body, exactly as it will be sent. */
  contentType?: string;
}

/** A credential that is kept alive. */
export class Session {
  /** Reads the configuration; the credential itself is read in the background, and what is wrong with it is told later. */
  constructor(options?: SessionOptions);
  readonly client: Client;
  /** The current token, refreshed before if need be. A fresh one comes from memory. */
  token(options?: WaitOptions): Promise<Token>;
  /** Headers for a request that you send yourself, exactly as given here. */
  sign(method: string, url: string | URL, options?: SignOptions): Promise<Signed>;
  /** A request made with `generation` was answered with 401: get the next credential and send again. */
  reject(generation: number | bigint): void;
  /** A request made with `generation` was answered with something other than 401. */
  accept(generation: number | bigint): void;
  /** Asks for the next credential now, whatever the windows say. */
  refresh(options?: WaitOptions): Promise<void>;
  /** Somebody signed in: look now. Changed files are noticed without this. */
  touch(): void;
  /** Keeps the session alive while nobody asks, until `release` or the session's end. Uploads do so by themselves. */
  hold(): void;
  release(): void;
  /**
   * Names a service's credential that takes over when an upload would outlive the session, or it has ended; the event
   * `handed-over` tells it. There is no way back.
   */
  service(options: ServiceOptions): void;
  /** The tenancy's Object Storage namespace: the one the session was opened with, else asked of the service. */
  namespace(options?: WaitOptions): Promise<string>;
  /** A look; loads and refreshes nothing. */
  readonly status: SessionStatus;
  /** `outlastFetch(this)`. */
  readonly fetch: typeof globalThis.fetch;
  /** Ends the session, and its client if it was made with it. */
  close(options?: { timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How far an upload is. */
export interface Progress {
  /** Bytes of the object; null while a stream goes on. */
  total: bigint | null;
  /** Bytes of stored parts. */
  stored: bigint;
  /** Bytes sent but not acknowledged. */
  inFlight: bigint;
  /** Bytes stored or sent: what a progress bar shows. */
  sent: bigint;
  partsTotal: number;
  partsStored: number;
  partsReused: number;
  partsInFlight: number;
  retries: number;
  /** Parts sent again because their credential was refused. */
  refusals: number;
  /** The session waits for somebody to sign in. */
  parked: boolean;
  paused: boolean;
  /** Over the last half minute or so; 0 while unknown. */
  bytesPerSecond: number;
  /** null while unknown. */
  etaMs: number | null;
}

/** An object that was made. Texts are as the service sent them, null where it sent none. */
export interface Result {
  /** Bytes of the object. */
  size: bigint;
  /** 0 for a single request. */
  parts: number;
  partsReused: number;
  retries: number;
  refusals: number;
  /** Our checksums were compared with the object's. */
  verified: boolean;
  etag: string | null;
  uploadId: string | null;
  versionId: string | null;
  lastModified: string | null;
  contentMd5: string | null;
  multipartMd5: string | null;
  crc32c: string | null;
  sha256: string | null;
  sha384: string | null;
  multipartSha256: string | null;
  multipartSha384: string | null;
}

export type EventKind =
  | 'refreshed'
  | 'rejected'
  | 'refresh-failed'
  | 'horizon-learned'
  | 'expiring'
  | 'will-outlive-session'
  | 'parked'
  | 'resumed'
  | 'clock-skew'
  | 'credential-wanted'
  | 'chain-ended'
  | 'handed-over'
  | 'started'
  | 'part-started'
  | 'part-stored'
  | 'retrying'
  | 'part-held'
  | 'remark'
  | 'paused'
  | 'unpaused'
  | 'progress'
  | 'finished'
  | `unknown-${number}`;

/** Something that happened to an upload or its session. Which fields mean something is said at each OUTLAST_EVENT_* of outlast.h. */
export interface UploadEvent {
  kind: EventKind;
  time: Date;
  session: number;
  upload: number;
  generation: number;
  /** Bytes of a part, or stored and sent so far (`progress`). */
  bytes: bigint;
  total: bigint;
  part: number;
  count: number;
  moment: Date | null;
  horizon: Date | null;
  delayMs: number;
  /** `part-stored`: stored by an earlier run, not sent again. */
  reused: boolean;
  /** `finished`: the same call, made again, goes on where this one stopped. */
  resumable: boolean;
  /** `refreshed`: by this client; otherwise somebody else put it where it was read. */
  exchanged: boolean;
  text: string | null;
  /** `handed-over`: on whose behalf. */
  principal: string | null;
  error: OutlastError | null;
}

/**
 * What can be uploaded. A path or an open file (`fs.promises.open`) is read by the library, and a path can be resumed. Bytes
 * are copied when the upload starts. Streams and iterables are read once, at the pace of the network, and hold at most
 * `parallelUploadCount` parts in memory.
 */
export type Source =
  | string
  | URL
  | ArrayBufferView
  | ArrayBuffer
  | SharedArrayBuffer
  | Blob
  | import('node:fs').promises.FileHandle
  | NodeJS.ReadableStream
  | import('node:stream/web').ReadableStream<Uint8Array>
  | globalThis.ReadableStream<Uint8Array>
  | AsyncIterable<ArrayBufferView | ArrayBuffer>
  | Iterable<ArrayBufferView | ArrayBuffer>;

/** Named as the command line's flags are. */
export interface UploadOptions {
  bucketName: string;
  /** Asked of the service, once, unless told. */
  namespace?: string;
  /** The last piece of the path unless told otherwise. */
  name?: string;
  /** Bytes; 128 MiB unless told otherwise. Raised by itself when there would be more than 10,000 parts. */
  partSize?: number | bigint;
  /** 1 to 1,000; 10 unless told otherwise. `auto`: as many as the link turns out to use, at most 100. */
  parallelUploadCount?: number | 'auto';
  /** One request whatever the size. */
  noMultipart?: boolean;
  /** `verify`, the default: our checksums are compared with the service's. */
  integrity?: 'verify' | 'off';
  opcChecksumAlgorithm?: 'CRC32C' | 'SHA256' | 'SHA384';
  /** MD5 of every part is compared as well, at the price of computing it. */
  verifyChecksum?: boolean;
  /** Fail with `precondition` if the object exists. */
  noOverwrite?: boolean;
  /** Fail with `precondition` unless the object has this etag. */
  ifMatch?: string;
  contentType?: string;
  contentLanguage?: string;
  contentEncoding?: string;
  contentDisposition?: string;
  cacheControl?: string;
  /** `Standard`, `InfrequentAccess` or `Archive`; the bucket's unless told otherwise. */
  storageTier?: string;
  opcSseKmsKeyId?: string;
  /** What `--encryption-key-file` holds: base64 of a customer's 32 bytes, and of their SHA-256. */
  encryptionKey?: string | Uint8Array;
  encryptionKeySha256?: string;
  /**
   * Base64 of the MD5 that the object must have: the service stores nothing else, and the upload fails with `integrity`. Goes
   * with a single put only; an object that is sent in parts is refused with `invalid-input`.
   */
  contentMd5?: string;
  /** The same of the CRC-32C, SHA-256 or SHA-384; at most one of these three. */
  opcContentCrc32c?: string;
  opcContentSha256?: string;
  opcContentSha384?: string;
  /** Names without `opc-meta-`. */
  metadata?: Record<string, string>;
  /** What becomes of what is stored when the upload fails or is cancelled; `retain` is the default. */
  onFailure?: 'retain' | 'abort';
  /** Retries of one part or request before its failure is final; 59 unless told otherwise. */
  maxRetries?: number;
  /** Send every request once; refused credentials are still replaced. */
  noRetry?: boolean;
  /** Abort what an earlier run left and begin anew. */
  restart?: boolean;
  /** What to call a source that has no path: in messages, and to find an interrupted upload again. */
  sourceName?: string;
  /** Shortest time between progress events; 250 unless told otherwise. */
  progressIntervalMs?: number;
  /** Cancels the upload (see `onFailure`). */
  signal?: AbortSignal;
}

export interface Watch {
  /** Cancels the upload; the promise is rejected once what is stored has been written down. */
  signal?: AbortSignal;
  /** What it throws, or is rejected with, cancels the upload and rejects the promise. */
  onProgress?: (progress: Progress) => unknown;
}

/** A running or ended upload. A running one keeps the process alive. */
export class Upload {
  private constructor();
  /** Its number in events. */
  readonly number: number;
  readonly session: Session;
  /** How far it is; at most a quarter of a second old. null only for one that ended before it began. */
  readonly progress: Progress | null;
  /** Events that were dropped because nobody took them: the last 16,384 are kept. */
  readonly lostEvents: number;
  /** Begins no further parts; those in flight are finished. */
  pause(): void;
  resume(): void;
  /** Stops it; its end still follows. What becomes of what is stored: as the upload's own `onFailure` says unless told. */
  cancel(options?: { onFailure?: 'retain' | 'abort' }): void;
  /** The result. A timeout leaves the upload alone. */
  wait(options?: Watch & { timeoutMs?: number }): Promise<Result>;
  /** All events to the last, those of its session too. One consumer at a time. */
  events(): AsyncGenerator<UploadEvent, void, undefined>;
  /** Cancels it if it runs. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Uploads under one session, which it makes of its options unless one is given. */
export class Uploader {
  constructor(options?: Session | SessionOptions);
  readonly session: Session;
  /** Starts an upload. A path that was interrupted goes on where it stopped. */
  start(source: Source, options: UploadOptions): Promise<Upload>;
  /** Uploads and waits for the result. */
  upload(source: Source, options: UploadOptions & Watch): Promise<Result>;
  /** Ends the session if it was made here, and with it whatever is running (kept for resuming). */
  close(options?: { timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * `fetch` whose requests are signed with the session's credential of the moment. A request that is refused with 401 is sent
 * once more, newly signed, unless its body is a stream. The session is kept alive from now on.
 */
export function outlastFetch(session: Session, fetch?: typeof globalThis.fetch): typeof globalThis.fetch;

/** The version of the library that was loaded, for example `0.1.0`. */
export const version: string;
/** The library that was loaded. */
export const libraryFile: string;
/** Whether the library can do something: `upload.resume`, `session.sign`, … (see `outlast_has_feature` in outlast.h). */
export function hasFeature(name: string): boolean;
