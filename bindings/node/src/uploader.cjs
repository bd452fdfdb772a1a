// The uploader: a session and where its objects go.
'use strict';

const { Session, isSession, partsOf } = require('./session.cjs');
const { start, UPLOAD_OPTIONS } = require('./upload.cjs');
const { aborted, invalid } = require('./errors.cjs');
const { asyncDispose } = require('./client.cjs');
const check = require('./options.cjs');

const WAIT = ['signal', 'onProgress'];

class Uploader {
  #session;
  #ownsSession;
  #namespace = null;

  constructor(options) {
    this.#ownsSession = !isSession(options);
    this.#session = this.#ownsSession ? new Session(options) : options;
  }

  get session() {
    return this.#session;
  }

  async start(source, options) {
    const { signal: given, ...rest } = check.object(options, [...UPLOAD_OPTIONS, 'signal'], 'upload options');
    const signal = check.signal(given);
    const upload = await this.#begin(source, rest, signal);
    if (signal) {
      const abort = () => upload.cancel();
      signal.addEventListener('abort', abort, { once: true });
      upload.wait().catch(() => {}).finally(() => signal.removeEventListener('abort', abort));
      if (signal.aborted) abort();
    }
    return upload;
  }

  async upload(source, options) {
    const { signal, onProgress, ...rest } = check.object(options, [...UPLOAD_OPTIONS, ...WAIT], 'upload options');
    check.signal(signal);
    check.callback(onProgress, 'onProgress');
    const upload = await this.#begin(source, rest, signal);
    return upload.wait({ signal, onProgress });
  }

  async #begin(source, options, signal) {
    if (options.bucketName === undefined || options.bucketName === null) throw invalid('bucketName is missing: the name of the bucket to upload to');
    if (signal?.aborted) throw aborted(signal);
    const namespace = options.namespace ?? (await this.#askedNamespace(signal));
    // An upload is not begun for somebody who has gone.
    if (signal?.aborted) throw aborted(signal);
    return start(this.#session, partsOf(this.#session), source, { ...options, namespace });
  }

  /** Asked of the service once. */
  async #askedNamespace(signal) {
    this.#namespace ??= await this.#session.namespace({ signal });
    return this.#namespace;
  }

  async close(options) {
    if (this.#ownsSession) await this.#session.close(options);
  }

  [asyncDispose]() {
    return this.close();
  }
}

module.exports = { Uploader };
