// The one error class, and where its facts come from.
'use strict';

const { constants } = require('./abi.cjs');
const { functions } = require('./library.cjs');
const { read } = require('./memory.cjs');

const RETRIES = ['never', 'later', 'after-sign-in', 'exhausted'];

/** A failure: what was attempted, on what, what happened, and what to do when that is known. */
class OutlastError extends Error {
  constructor(code, message, facts = {}) {
    const { cause, ...rest } = facts;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retry = 'never';
    this.retryAfterMs = null;
    this.httpStatus = null;
    this.serviceCode = null;
    this.requestId = null;
    this.partNumber = null;
    this.resumable = false;
    Object.assign(this, rest);
  }
}
// On the prototype: the stack's first line takes it from there, and own properties stay the facts.
Object.defineProperty(OutlastError.prototype, 'name', { value: 'OutlastError', configurable: true, writable: true });

/** An argument that cannot be used. */
function invalid(message) {
  return new OutlastError('invalid-input', message);
}

/** What a call whose signal was aborted is rejected with: an AbortError to those who ask for its name. */
function aborted(signal, facts = {}) {
  const error = new OutlastError('cancelled', 'the call was aborted', { ...facts, cause: signal.reason });
  Object.defineProperty(error, 'name', { value: 'AbortError', configurable: true });
  return error;
}

/** What a call that came too late is rejected with. */
function late(what, timeoutMs) {
  return new OutlastError('timeout', `${what} did not come within ${Math.ceil(timeoutMs)} ms`, { retry: 'later' });
}

/** A status code's stable name. */
function statusName(status) {
  return functions.outlast_status_name(status);
}

/** The error for a failed call; takes the error object, if there is one. */
function fromHandle(status, handle) {
  const code = statusName(status);
  if (!handle) return new OutlastError(code, code);
  try {
    return describe(status, handle);
  } finally {
    functions.outlast_error_free(handle);
  }
}

/** The same for an error object that stays its owner's. */
function describe(status, handle) {
  const text = (view) => read(view.data, Number(view.len));
  const after = Number(functions.outlast_error_retry_after_ms(handle));
  const code = statusName(status);
  return new OutlastError(code, text(functions.outlast_error_message(handle)) ?? code, {
    retry: RETRIES[functions.outlast_error_retry(handle)] ?? 'never',
    retryAfterMs: after >= 0 ? after : null,
    httpStatus: functions.outlast_error_http_status(handle) || null,
    serviceCode: text(functions.outlast_error_service_code(handle)),
    requestId: text(functions.outlast_error_request_id(handle)),
    partNumber: functions.outlast_error_part_number(handle) || null,
  });
}

module.exports = { OutlastError, invalid, aborted, late, fromHandle, describe, OK: constants.OK };
