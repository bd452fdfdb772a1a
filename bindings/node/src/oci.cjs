// The official SDK's two places for somebody else's signatures: its HTTP client, and its provider of keys.
'use strict';

const { invalid } = require('./errors.cjs');
const { isSession } = require('./session.cjs');
const { coversBody, replayable, sendSigned } = require('./fetch.cjs');

/**
 * Signs each request in the library, so that the private key never enters JavaScript; one that is refused with 401 is sent
 * once more, newly signed, if its body can be.
 */
class SessionHttpClient {
  #session;
  #fetch;

  constructor(session, fetch = globalThis.fetch) {
    if (!isSession(session)) throw invalid('SessionHttpClient needs a Session');
    this.#session = session;
    this.#fetch = fetch;
    // A pause between two requests may be longer than a token lives.
    session.hold();
  }

  /** What the SDK calls for each request; `forceExcludeBody` says that the body stands outside the signature. */
  async send(request, forceExcludeBody = false) {
    const { href } = new URL(request.uri);
    const headers = new Headers(request.headers);
    const covered = !forceExcludeBody && coversBody(request.method, href);
    let { body } = request;
    if (covered) {
      body = await whole(body);
      if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    }
    const again = covered || replayable(body);
    return sendSigned(this.#session, this.#fetch, href, { method: request.method, headers, body }, { covered, again });
  }
}

async function whole(body) {
  if (body === undefined || body === null) return new Uint8Array();
  if (typeof body === 'string') return Buffer.from(body);
  return new Uint8Array(await new Response(body).arrayBuffer());
}

/**
 * Gives the SDK's own signer the session's token of the moment, and the profile's key, which the SDK reads. For those who need
 * a provider; it cannot know when a token was refused, so `SessionHttpClient` is the better one of the two.
 */
class SessionAuthenticationDetailsProvider {
  #session;
  #read;
  #profile;
  #generation = null;

  constructor(session, options = {}) {
    if (!isSession(session)) throw invalid('SessionAuthenticationDetailsProvider needs a Session');
    const common = require('oci-common');
    this.#session = session;
    this.#read = () => new common.ConfigFileAuthenticationDetailsProvider(options.configFile, options.profile);
    this.#profile = this.#read();
    session.hold();
  }

  /** Asked for each request, before the key is. */
  async getKeyId() {
    const { value, generation } = await this.#session.token();
    // Whoever signed in anew has a new key.
    if (this.#generation !== null && generation !== this.#generation) this.#profile = this.#read();
    this.#generation = generation;
    return value.includes('/') ? value : `ST$${value}`;
  }

  getPrivateKey() {
    return this.#profile.getPrivateKey();
  }

  getPassphrase() {
    return this.#profile.getPassphrase();
  }

  getRegion() {
    return this.#profile.getRegion();
  }
}

module.exports = { SessionHttpClient, SessionAuthenticationDetailsProvider };
