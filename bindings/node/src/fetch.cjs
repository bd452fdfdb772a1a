// `fetch` whose requests are signed with a fresh credential; one that is refused with 401 is sent once more, newly signed.
'use strict';

const { invalid } = require('./errors.cjs');

/** What of a Request goes on to the one that is sent. */
const CARRIED = ['cache', 'credentials', 'integrity', 'keepalive', 'mode', 'redirect', 'referrer', 'referrerPolicy'];

// The bytes of objects and parts stand outside the signature: PutObject and UploadPart.
const BYTES = /\/n\/[^/]+\/b\/[^/]+\/[ou]\/./;

/** Whether the service wants the body of such a request signed. */
function coversBody(method, url) {
  if (method === 'PUT') return !BYTES.test(new URL(url).pathname);
  return method === 'POST' || method === 'PATCH';
}

/** Whether a body can be given twice. */
function replayable(body) {
  return body === undefined || body === null || typeof body === 'string' || ArrayBuffer.isView(body) || body instanceof ArrayBuffer
    || body instanceof Blob || body instanceof URLSearchParams;
}

function outlastFetch(session, fetch = globalThis.fetch) {
  // Required late: the session knows this file, too.
  if (!require('./session.cjs').isSession(session)) throw invalid('outlastFetch needs a Session');
  // A pause between two requests may be longer than a token lives.
  session.hold();
  return async (input, init = {}) => {
    const request = new Request(input, withDuplex(init));
    const { method, signal } = request;
    const url = request.url.split('#', 1)[0];
    const headers = new Headers(request.headers);
    const covered = coversBody(method, url);
    let { body } = request;
    if (covered) {
      body = new Uint8Array(await request.arrayBuffer());
      if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    } else if (init.body !== undefined && replayable(init.body)) {
      body = init.body;
    }
    const same = Object.fromEntries(CARRIED.map((name) => [name, request[name]]));
    const again = covered || replayable(body);
    return sendSigned(session, fetch, url, { ...init, ...same, method, headers, body, signal }, { covered, again });
  };
}

/** Sends a request with a fresh signature; after a 401 once more with the next credential, if it can be sent `again`. */
async function sendSigned(session, fetch, url, init, { covered, again }) {
  const { method, signal } = init;
  const cover = covered ? { body: init.body, contentType: init.headers.get('content-type') } : {};
  for (let left = again ? 2 : 1; ; left -= 1) {
    const signed = await session.sign(method, url, { ...cover, signal: signal ?? undefined });
    const headers = new Headers(init.headers);
    // `fetch` sends these two by itself, and as they were signed.
    for (const [name, value] of Object.entries(signed.headers)) {
      if (name !== 'host' && name !== 'content-length') headers.set(name, value);
    }
    const response = await fetch(url, withDuplex({ ...init, headers }));
    if (response.status !== 401) {
      session.accept(signed.generation);
      return response;
    }
    session.reject(signed.generation);
    if (left === 1) return response;
    await response.body?.cancel();
  }
}

/** A stream as body must be called one. */
function withDuplex(init) {
  return init.body && !replayable(init.body) ? { duplex: 'half', ...init } : init;
}

module.exports = { outlastFetch, sendSigned, coversBody, replayable };
