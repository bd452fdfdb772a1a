// The client: sessions and uploads that share threads, connections and a rate limit.
'use strict';

const { Core } = require('./core.cjs');
const { call } = require('./calls.cjs');
const { OutlastError } = require('./errors.cjs');
const check = require('./options.cjs');

const OPTIONS = {
  workers: ['workers', check.count],
  allowHttp: ['allow_http', check.flag],
  connectionTimeoutMs: ['connection_timeout_ms', check.millis],
  readTimeoutMs: ['read_timeout_ms', check.millis],
  limitRate: ['limit_rate', check.size],
  ioBufferBytes: ['io_buffer_bytes', check.size],
  stateDir: ['state_dir', check.path],
  certBundle: ['cert_bundle', check.path],
  proxy: ['proxy', check.text],
  opcClientRequestId: ['opc_client_request_id', check.text],
};
const KNOWN = Object.keys(OPTIONS);
/** How long a client may take to put its uploads to rest. */
const CLOSING_MS = 10_000;
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

// Who forgets to close leaves nothing behind.
const forgotten = new FinalizationRegistry((core) => core.close(CLOSING_MS).catch(() => {}));

// For the rest of this package.
let rawCore;
let isClient;

class Client {
  #core;

  constructor(options) {
    this.#core = new Core(check.fill('outlast_client_options', OPTIONS, check.object(options, KNOWN, 'client options')));
    forgotten.register(this, this.#core, this.#core);
  }

  limitRate(bytesPerSecond) {
    const core = coreOf(this);
    call('outlast_client_limit_rate', core.handle, bytesPerSecond === null ? 0n : check.size(bytesPerSecond, 'bytesPerSecond'));
  }

  async close(options) {
    const { timeoutMs = CLOSING_MS } = check.object(options, ['timeoutMs'], 'options');
    const limit = check.timeout(timeoutMs);
    forgotten.unregister(this.#core);
    await this.#core.close(limit);
  }

  [asyncDispose]() {
    return this.close();
  }

  static {
    rawCore = (client) => client.#core;
    isClient = (value) => typeof value === 'object' && value !== null && #core in value;
  }
}

/** The core of a client that is open. */
function coreOf(client) {
  const core = rawCore(client);
  if (core.isClosing) throw new OutlastError('cancelled', 'the client is closed');
  return core;
}

module.exports = { Client, coreOf, rawCore, isClient, asyncDispose, CLOSING_MS };
