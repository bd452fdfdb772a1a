// Uploads: started, watched, waited for, cancelled.
'use strict';

const { constants } = require('./abi.cjs');
const { functions } = require('./library.cjs');
const { Place, Struct, address, array } = require('./memory.cjs');
const { attempt, call, callOff } = require('./calls.cjs');
const { OutlastError, aborted, fromHandle, invalid, late } = require('./errors.cjs');
const { asyncDispose } = require('./client.cjs');
const { Bell } = require('./waiting.cjs');
const { describe } = require('./source.cjs');
const { Feed } = require('./feed.cjs');
const { resolvers } = require('./core.cjs');
const check = require('./options.cjs');

const FAILURE = { retain: constants.ON_FAILURE_RETAIN, abort: constants.ON_FAILURE_ABORT };
const INTEGRITY = { verify: constants.INTEGRITY_VERIFY, off: constants.INTEGRITY_OFF };
const CHECKSUMS = { CRC32C: constants.CHECKSUM_CRC32C, SHA256: constants.CHECKSUM_SHA256, SHA384: constants.CHECKSUM_SHA384 };
const OPTIONS = {
  bucketName: ['bucket_name', check.text],
  namespace: ['namespace_name', check.text],
  name: ['name', check.text],
  partSize: ['part_size_bytes', check.size],
  parallelUploadCount: ['parallel_upload_count', check.parallel],
  noMultipart: ['no_multipart', check.flag],
  integrity: ['integrity', check.choice(INTEGRITY)],
  opcChecksumAlgorithm: ['opc_checksum_algorithm', check.choice(CHECKSUMS)],
  verifyChecksum: ['verify_checksum', check.flag],
  noOverwrite: ['no_overwrite', check.flag],
  ifMatch: ['if_match', check.text],
  contentType: ['content_type', check.text],
  contentLanguage: ['content_language', check.text],
  contentEncoding: ['content_encoding', check.text],
  contentDisposition: ['content_disposition', check.text],
  cacheControl: ['cache_control', check.text],
  storageTier: ['storage_tier', check.text],
  opcSseKmsKeyId: ['opc_sse_kms_key_id', check.text],
  encryptionKey: ['encryption_key', check.secret],
  encryptionKeySha256: ['encryption_key_sha256', check.text],
  contentMd5: ['content_md5', check.text],
  opcContentCrc32c: ['opc_content_crc32c', check.text],
  opcContentSha256: ['opc_content_sha256', check.text],
  opcContentSha384: ['opc_content_sha384', check.text],
  onFailure: ['on_failure', check.choice(FAILURE)],
  maxRetries: ['max_retries', check.count],
  noRetry: ['no_retry', check.flag],
  restart: ['restart', check.flag],
  progressIntervalMs: ['progress_interval_ms', check.millis],
};
const KNOWN = [...Object.keys(OPTIONS), 'metadata', 'sourceName'];
const RESULT = {
  etag: 'etag',
  uploadId: 'upload_id',
  versionId: 'version_id',
  lastModified: 'last_modified',
  contentMd5: 'content_md5',
  multipartMd5: 'multipart_md5',
  crc32c: 'crc32c',
  sha256: 'sha256',
  sha384: 'sha384',
  multipartSha256: 'multipart_sha256',
  multipartSha384: 'multipart_sha384',
};
/** So many events are kept for whoever iterates over them; beyond that the oldest go. */
const MOST_KEPT = 1 << 14;
/** How long an interrupted wait gives the upload to write down what is stored. */
const PARTING_MS = 10_000;
/** Given to the constructor by this package only. */
const ours = Symbol('ours');

/** Starts an upload: `start(session, parts, source, options)`. */
let start;

class Upload {
  #core;
  #session;
  #sessionParts;
  #number;
  #handle = 0n;
  #native = 0;
  #feed = null;
  #feedFailure;
  #outcome = null;
  #ended = resolvers();
  #lastProgress = null;
  #events = [];
  #lost = 0;
  #bell = new Bell();
  #watchers = new Set();
  #watchSession = (event) => this.#told(event);

  constructor(key, session, parts) {
    if (key !== ours) throw invalid('uploads are started by an Uploader');
    this.#core = parts.core;
    this.#session = session;
    this.#sessionParts = parts;
    this.#number = this.#core.listen({ told: (event) => this.#told(event), ended: () => this.#cutOff() });
  }

  static async #start(session, parts, source, options) {
    const given = check.object(options, KNOWN, 'upload options');
    const { core, handle } = parts;
    const struct = check.fill('outlast_upload_options', OPTIONS, given);
    const pairs = metadata(given.metadata);
    const upload = new Upload(ours, session, parts);
    core.hold();
    try {
      if (given.sourceName != null) struct.set('file', check.text(given.sourceName, 'sourceName'));
      if (pairs) {
        struct.set('metadata', address(pairs.bytes));
        struct.set('metadata_count', pairs.items.length);
      }
      const pieces = await describe(source, struct);
      if (pieces) {
        upload.#feed = new Feed(pieces);
        struct.set('writer', upload.#feed.writer);
      }
      struct.set('user_data', upload.#number);
      const out = new Place();
      parts.watch(upload.#watchSession);
      await callOff('outlast_upload_start', core.handle, handle, struct, out);
      upload.#handle = out.take();
      upload.#native = Number(functions.outlast_upload_number(upload.#handle));
      // What ended before its handle was known is looked at now.
      if (upload.#events.some((event) => event.kind === 'finished' && event.upload === upload.#native)) upload.#finish();
    } catch (error) {
      upload.#forget();
      upload.#feed?.stop();
      core.unhold();
      throw error;
    } finally {
      struct.wipe();
      if (pairs) pairs.items.length = 0;
    }
    if (upload.#feed && !upload.#outcome) upload.#feed.run(upload.#bell).catch((error) => (upload.#feedFailure = error));
    return upload;
  }

  static {
    start = (...given) => Upload.#start(...given);
  }

  #forget() {
    this.#sessionParts.unwatch(this.#watchSession);
    this.#core.unlisten(this.#number);
  }

  #told(event) {
    delete event.request;
    if (this.#events.length >= MOST_KEPT) {
      this.#events.shift();
      this.#lost += 1;
    }
    const last = this.#events.at(-1);
    // Of several progress events in a row only the last says anything.
    if (event.kind === 'progress' && last?.kind === 'progress') this.#events.pop();
    this.#events.push(event);
    if (event.kind === 'finished' && event.upload === this.#native && this.#handle) this.#finish();
    for (const watcher of this.#watchers) watcher(event);
    this.#bell.ring();
  }

  /** The result is there: take it, and let the handle go. */
  #finish() {
    const raw = new Struct('outlast_upload_result');
    try {
      this.#lastProgress = this.#look();
      call('outlast_upload_wait', this.#handle, 0, raw);
      const texts = Object.entries(RESULT).map(([name, field]) => [name, raw.get(field)]);
      this.#outcome = {
        result: {
          size: raw.get('object_bytes'),
          parts: raw.get('parts'),
          partsReused: raw.get('parts_reused'),
          retries: raw.get('retries'),
          refusals: raw.get('refusals'),
          verified: Boolean(raw.get('verified')),
          ...Object.fromEntries(texts),
        },
      };
    } catch (error) {
      error.resumable = Boolean(functions.outlast_upload_is_resumable(this.#handle));
      this.#outcome = { error };
    }
    functions.outlast_upload_free(this.#handle);
    this.#handle = 0n;
    this.#end();
  }

  /** The client ended and did not say what became of this upload. */
  #cutOff() {
    if (this.#outcome) return;
    if (this.#handle) {
      this.#finish();
    } else {
      this.#outcome = { error: new OutlastError('cancelled', 'the client was closed') };
      this.#end();
    }
    this.#bell.ring();
  }

  #end() {
    this.#forget();
    this.#feed?.stop();
    this.#core.unhold();
    this.#ended.resolve();
  }

  get number() {
    return this.#native;
  }

  get session() {
    return this.#session;
  }

  get lostEvents() {
    return this.#lost;
  }

  get progress() {
    return this.#handle ? this.#look() : this.#lastProgress;
  }

  #look() {
    const raw = new Struct('outlast_progress');
    call('outlast_upload_progress', this.#handle, raw);
    const total = raw.get('total_bytes');
    const eta = Number(raw.get('eta_ms'));
    const stored = raw.get('stored_bytes');
    const inFlight = raw.get('in_flight_bytes');
    return {
      total: total >= 0n ? total : null,
      stored,
      inFlight,
      sent: stored + inFlight,
      partsTotal: raw.get('parts_total'),
      partsStored: raw.get('parts_stored'),
      partsReused: raw.get('parts_reused'),
      partsInFlight: raw.get('parts_in_flight'),
      retries: raw.get('retries'),
      refusals: raw.get('refusals'),
      parked: Boolean(raw.get('parked')),
      paused: Boolean(raw.get('paused')),
      bytesPerSecond: raw.get('bytes_per_second'),
      etaMs: eta >= 0 ? eta : null,
    };
  }

  pause() {
    if (this.#handle) call('outlast_upload_pause', this.#handle);
  }

  resume() {
    if (this.#handle) call('outlast_upload_resume', this.#handle);
  }

  cancel(options) {
    const { onFailure } = check.object(options, ['onFailure'], 'options');
    const choice = onFailure == null ? 0 : check.choice(FAILURE)(onFailure, 'onFailure');
    if (this.#handle) call('outlast_upload_cancel', this.#handle, choice);
  }

  async wait(options) {
    const given = check.object(options, ['signal', 'onProgress', 'timeoutMs'], 'options');
    const signal = check.signal(given.signal);
    const onProgress = check.callback(given.onProgress, 'onProgress');
    const timeoutMs = check.timeout(given.timeoutMs);
    const interrupted = resolvers();
    const stop = (error) => interrupted.resolve(error);
    const tell = () => {
      try {
        const answer = onProgress(this.progress);
        if (typeof answer?.then === 'function') answer.then(undefined, (failure) => stop({ failure }));
      } catch (failure) {
        stop({ failure });
      }
    };
    const watcher = ({ kind }) => {
      if (onProgress && !this.#outcome && (kind === 'progress' || kind === 'parked' || kind === 'resumed')) tell();
    };
    const abort = () => stop({ abort: true });
    let timer;
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    if (timeoutMs !== Infinity) timer = setTimeout(() => stop({ late: true }), Math.min(timeoutMs, 2 ** 31 - 1));
    this.#watchers.add(watcher);
    let why;
    try {
      why = await Promise.race([this.#ended.promise, interrupted.promise]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.#watchers.delete(watcher);
    }
    if (why?.late) throw late("the upload's end", timeoutMs);
    if (why) {
      await this.#stop();
      if (why.abort) throw aborted(signal, { resumable: this.#outcome?.error?.resumable ?? false });
      throw why.failure;
    }
    if (onProgress && this.#lastProgress) {
      tell();
      // An upload that has ended cannot be cancelled, but a failure is not swallowed.
      const failed = await Promise.race([interrupted.promise, null]);
      if (failed) throw failed.failure;
    }
    if (this.#outcome.error) throw this.#failure();
    return this.#outcome.result;
  }

  #failure() {
    const { error } = this.#outcome;
    // What the source threw is the cause; the upload only noticed.
    if (this.#feedFailure !== undefined && error.cause === undefined) {
      Object.defineProperty(error, 'cause', { value: this.#feedFailure, configurable: true, writable: true });
    }
    return error;
  }

  /** Cancels, and waits until what is stored has been written down. */
  async #stop() {
    this.cancel();
    let timer;
    const patience = new Promise((resolve) => (timer = setTimeout(resolve, PARTING_MS)));
    await Promise.race([this.#ended.promise, patience]);
    clearTimeout(timer);
  }

  async *events() {
    for (;;) {
      const { count } = this.#bell;
      const event = this.#events.shift();
      if (event) {
        yield event;
      } else if (this.#outcome) {
        return;
      } else {
        await this.#bell.wait(count, 2 ** 31 - 1);
      }
    }
  }

  async [asyncDispose]() {
    if (!this.#outcome) await this.#stop();
  }
}

/** The structs for metadata; undefined if there is none. */
function metadata(given) {
  if (given === undefined || given === null) return undefined;
  if (typeof given !== 'object') throw invalid(`metadata is ${check.shown(given)}; it must be an object of strings`);
  const entries = Object.entries(given);
  const pairs = array('outlast_pair', entries.length);
  entries.forEach(([name, value], index) => {
    pairs.items[index].set('name', check.text(name, 'a name in metadata'));
    pairs.items[index].set('value', check.text(value, `metadata.${name}`));
  });
  return pairs;
}

module.exports = { Upload, start, UPLOAD_OPTIONS: KNOWN };
