// A session: a credential that is kept alive.
'use strict';

const { constants } = require('./abi.cjs');
const { functions } = require('./library.cjs');
const { Place, Struct, address, block, read } = require('./memory.cjs');
const { attempt, attemptOff, call, callOff } = require('./calls.cjs');
const { OutlastError, invalid } = require('./errors.cjs');
const { Client, asyncDispose, coreOf, isClient, rawCore } = require('./client.cjs');
const { Bell, within } = require('./waiting.cjs');
const { Supplier } = require('./supplier.cjs');
const { outlastFetch } = require('./fetch.cjs');
const check = require('./options.cjs');

const COMMON = {
  endpoint: ['endpoint', check.text],
  waitForLoginMs: ['wait_for_login_ms', check.millis],
  timer: ['timer', check.flag],
};
const PROFILE = {
  ...COMMON,
  profile: ['profile', check.text],
  configFile: ['config_file', check.path],
  cliRcFile: ['cli_rc_file', check.path],
  auth: ['auth', check.text],
  region: ['region', check.text],
  authEndpoint: ['auth_endpoint', check.text],
  realmSpecificEndpoint: ['realm_specific_endpoint', check.flag],
  enableDualStack: ['enable_dual_stack', check.flag],
  namespace: ['namespace_name', check.text],
  passphrase: ['passphrase', check.secret],
  readOnly: ['read_only', check.flag],
  mintSessionMinutes: ['mint_session_minutes', check.count],
};
const DEFINED = {
  ...COMMON,
  name: ['name', check.text],
  sessionsFile: ['sessions_file', check.path],
};
const SUPPLIED = {
  ...COMMON,
  title: ['title', check.text],
  supplyTimeoutMs: ['supply_timeout_ms', check.millis],
};
const REQUEST = {
  method: ['method', check.text],
  url: ['url', check.text],
  contentType: ['content_type', check.text],
};
/** A service's credential: that of a profile, or a session of the sessions file. */
const SERVICE_PROFILE = {
  profile: ['profile', check.text],
  configFile: ['config_file', check.path],
  cliRcFile: ['cli_rc_file', check.path],
  passphrase: ['passphrase', check.secret],
};
const SERVICE = {
  name: ['name', check.text],
  sessionsFile: ['sessions_file', check.path],
  principal: ['principal', check.text],
  auditFile: ['audit_file', check.path],
};
const STATES = ['empty', 'fresh', 'advisory', 'mandatory', 'parked', 'dead'];
/** How long a call may occupy a thread of Node's pool while it waits for a credential. In between events are waited for. */
const SLICE_MS = 20;
/** Not every end of a wait is told by an event: look again so often. */
const PAUSE_MS = 250;
/** How long a refresh may take that somebody asked for. */
const REFRESH_MS = 60_000;

const forgotten = new FinalizationRegistry((free) => free());
const buffer = block(16 * 1024);
const facts = new Struct('outlast_token');

/** A token. It does not show its text unasked. */
class Token {
  #value;

  constructor(value, generation, expiresAt) {
    this.#value = value;
    this.generation = generation;
    this.expiresAt = expiresAt;
    Object.freeze(this);
  }

  get value() {
    return this.#value;
  }
}

// For the rest of this package: what an upload needs of a session.
let partsOf;
let isSession;

class Session {
  #client;
  #ownsClient;
  #handle = 0n;
  #number;
  #supplier = null;
  #bell = new Bell();
  #watchers = new Set();
  #lease = null;
  #interested = 0;
  #refreshing = null;
  #closed = false;
  #fetch = null;

  constructor(options) {
    const has = (option) => typeof options === 'object' && options !== null && options[option] !== undefined;
    const supplied = has('supply');
    const [kind, table, what] = kindOf(supplied, has('name') || has('sessionsFile'));
    const extra = supplied ? ['supply', 'client'] : ['client'];
    const given = check.object(options, [...Object.keys(table), ...extra], what);
    if (given.client != null && !isClient(given.client)) throw invalid('client is no Client');
    if (supplied && typeof given.supply !== 'function') throw invalid('supply must be a function');
    const struct = check.fill(`outlast_${kind}_options`, table, given);
    this.#client = given.client ?? new Client();
    this.#ownsClient = given.client == null;
    const core = coreOf(this.#client);
    // Weakly: a session that everybody has forgotten ends, although its client goes on.
    const self = new WeakRef(this);
    this.#number = core.listen({
      told: (event) => self.deref()?.#told(event),
      ended: () => self.deref()?.#told(null),
    });
    struct.set('user_data', this.#number);
    const out = new Place();
    try {
      call(`outlast_session_open_${kind}`, core.handle, struct, out);
    } catch (error) {
      core.unlisten(this.#number);
      if (this.#ownsClient) this.#client.close().catch(() => {});
      throw error;
    } finally {
      struct.wipe();
    }
    const handle = out.take();
    this.#handle = handle;
    const number = this.#number;
    forgotten.register(this, () => (functions.outlast_session_free(handle), core.unlisten(number)), this);
    if (supplied) this.#supplier = new Supplier(handle, given.supply);
  }

  get client() {
    return this.#client;
  }

  #told(event) {
    this.#bell.ring();
    if (event === null) return;
    if (event.kind === 'credential-wanted') this.#supplier?.answer(event.request);
    delete event.request;
    for (const watcher of this.#watchers) watcher(event);
  }

  #core() {
    if (this.#closed) throw new OutlastError('cancelled', 'the session is closed');
    return coreOf(this.#client);
  }

  async token(options) {
    const limits = waitOptions(options);
    this.#core();
    return this.#fresh() ?? this.#leased(limits);
  }

  /** The token if it is fresh: from memory, no other thread is asked. */
  #fresh(timeoutMs = 0) {
    const status = attempt([constants.E_TIMEOUT, constants.E_BUFFER], 'outlast_session_token', this.#handle, timeoutMs, buffer, buffer.length, facts);
    return status === constants.OK ? takeToken(buffer, facts) : null;
  }

  /** A token, waited for. Whoever asks while somebody waits shares that wait and its outcome, the failure too. */
  async #leased(limits) {
    const core = this.#core();
    core.hold();
    this.#interested += 1;
    try {
      this.#lease ??= this.#waitForToken(core).finally(() => (this.#lease = null));
      return await within(this.#lease, 'a credential', limits);
    } finally {
      core.unhold();
      this.#interested -= 1;
      if (this.#interested === 0) this.#bell.ring();
    }
  }

  async #waitForToken(core) {
    let place = block(16 * 1024);
    const about = new Struct('outlast_token');
    while (this.#interested > 0 && !this.#closed && !core.isClosing) {
      const { count } = this.#bell;
      const status = await attemptOff(
        [constants.E_TIMEOUT, constants.E_BUFFER],
        'outlast_session_token', this.#handle, SLICE_MS, place, place.length, about,
      );
      if (status === constants.OK) return takeToken(place, about);
      if (status === constants.E_BUFFER) place = block(Number(about.get('len')) + 1);
      else await this.#bell.wait(count, PAUSE_MS);
    }
    throw new OutlastError('cancelled', 'the session was closed while a credential was waited for');
  }

  async sign(method, url, options) {
    const given = check.object(options, ['body', 'contentType', 'timeoutMs', 'signal'], 'options');
    const limits = waitOptions(given, ['body', 'contentType', 'timeoutMs', 'signal']);
    const href = url instanceof URL ? url.href : url;
    const request = check.fill('outlast_request', REQUEST, { method, url: href, contentType: given.contentType });
    if (given.body !== undefined && given.body !== null) {
      const body = given.body;
      if (typeof body !== 'string' && !(body instanceof Uint8Array)) throw invalid('body must be a string or bytes');
      request.set('sign_body', 1);
      request.set('body', body);
    }
    const deadline = limits.timeoutMs === Infinity ? Infinity : performance.now() + limits.timeoutMs;
    for (;;) {
      const core = this.#core();
      const left = { ...limits, timeoutMs: Math.max(0, deadline - performance.now()) };
      if (this.#fresh() === null) await this.#leased(left);
      const out = new Place();
      core.hold();
      try {
        const signing = attemptOff([constants.E_TIMEOUT], 'outlast_session_sign', this.#handle, request, SLICE_MS, out);
        const signed = await within(signing.then(() => takeSigned(out)), 'a signature', left);
        if (signed) return signed;
      } finally {
        core.unhold();
      }
    }
  }

  reject(generation) {
    this.#core();
    call('outlast_session_reject', this.#handle, check.size(generation, 'generation'));
  }

  accept(generation) {
    this.#core();
    call('outlast_session_accept', this.#handle, check.size(generation, 'generation'));
  }

  async refresh(options) {
    const limits = waitOptions(options);
    const core = this.#core();
    core.hold();
    try {
      this.#refreshing ??= callOff('outlast_session_refresh', this.#handle, REFRESH_MS).finally(() => (this.#refreshing = null));
      await within(this.#refreshing, 'the refresh', limits);
    } finally {
      core.unhold();
    }
  }

  touch() {
    this.#core();
    call('outlast_session_touch', this.#handle);
  }

  hold() {
    this.#core();
    call('outlast_session_hold', this.#handle);
  }

  release() {
    this.#core();
    call('outlast_session_release', this.#handle);
  }

  service(options) {
    this.#core();
    const given = check.object(options, [...Object.keys(SERVICE_PROFILE), ...Object.keys(SERVICE)], 'options of a service');
    const struct = check.fill('outlast_service_options', SERVICE, given);
    const profile = check.fill('outlast_oci_options', SERVICE_PROFILE, given);
    profile.set('read_only', 1);
    if (given.profile !== undefined && given.profile !== null) struct.set('profile', address(profile.bytes));
    try {
      call('outlast_session_service', this.#handle, struct);
    } finally {
      profile.wipe();
    }
  }

  async namespace(options) {
    const limits = waitOptions(options);
    const core = this.#core();
    const place = block(1024);
    const length = new Place();
    core.hold();
    try {
      await within(callOff('outlast_session_namespace', this.#handle, place, place.length, length), 'the namespace', limits);
    } finally {
      core.unhold();
    }
    return place.toString('utf8', 0, Number(length.value));
  }

  get status() {
    this.#core();
    const raw = new Struct('outlast_session_status');
    call('outlast_session_look', this.#handle, raw);
    const date = (field) => (raw.get(field) ? new Date(Number(raw.get(field))) : null);
    return {
      state: STATES[raw.get('state')] ?? 'unknown',
      generation: Number(raw.get('generation')),
      issuedAt: date('issued_unix_ms'),
      expiresAt: date('expires_unix_ms'),
      horizon: date('horizon_unix_ms'),
      refreshes: Number(raw.get('refreshes')),
    };
  }

  get fetch() {
    this.#fetch ??= outlastFetch(this);
    return this.#fetch;
  }

  async close(options) {
    if (this.#closed) return this.#ownsClient ? this.#client.close(options) : undefined;
    this.#closed = true;
    this.#bell.ring();
    try {
      if (this.#ownsClient) await this.#client.close(options);
    } finally {
      forgotten.unregister(this);
      functions.outlast_session_free(this.#handle);
      rawCore(this.#client).unlisten(this.#number);
    }
  }

  [asyncDispose]() {
    return this.close();
  }

  static {
    partsOf = (session) => ({
      core: session.#core(),
      handle: session.#handle,
      watch: (watcher) => session.#watchers.add(watcher),
      unwatch: (watcher) => session.#watchers.delete(watcher),
    });
    isSession = (value) => typeof value === 'object' && value !== null && #handle in value;
  }
}

/** How a session is opened: what the library calls that, the options there are, and words for them. */
function kindOf(supplied, defined) {
  if (supplied) return ['supplied', SUPPLIED, 'options of a supplied session'];
  return defined ? ['defined', DEFINED, 'options of a session of the sessions file'] : ['oci', PROFILE, 'session options'];
}

function waitOptions(options, known = ['timeoutMs', 'signal']) {
  const given = check.object(options, known, 'options');
  return { timeoutMs: check.timeout(given.timeoutMs), signal: check.signal(given.signal) };
}

/** The token in a buffer, which is wiped. */
function takeToken(from, about) {
  const length = Number(about.get('len'));
  const value = from.latin1Slice(0, length);
  from.fill(0, 0, length);
  const end = Number(about.get('expires_unix_ms'));
  return new Token(value, Number(about.get('generation')), end ? new Date(end) : null);
}

/** What is behind a handle, which is freed; null if there is none. */
function takeSigned(out) {
  const handle = out.take();
  if (!handle) return null;
  try {
    const headers = {};
    const total = Number(functions.outlast_headers_count(handle));
    const text = (view) => read(view.data, Number(view.len)) ?? '';
    for (let index = 0; index < total; index += 1) {
      headers[text(functions.outlast_headers_name(handle, index))] = text(functions.outlast_headers_value(handle, index));
    }
    return new Signed(headers, Number(functions.outlast_headers_generation(handle)));
  } finally {
    functions.outlast_headers_free(handle);
  }
}

/** Headers for one request. It does not show them unasked. */
class Signed {
  #headers;

  constructor(headers, generation) {
    this.#headers = headers;
    this.generation = generation;
    Object.freeze(this);
  }

  get headers() {
    return this.#headers;
  }
}

module.exports = { Session, partsOf, isSession };
