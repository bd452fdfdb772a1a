// Calls of the library: on the loop where they return at once, elsewhere where they may wait.
'use strict';

const { functions } = require('./library.cjs');
const { Place } = require('./memory.cjs');
const { fromHandle, OK } = require('./errors.cjs');

/** So many calls may be on their way to Node's thread pool; more wait here (koffi refuses them beyond 256). */
const MOST = 64;

const slot = new Place();
const pass = (argument) => argument?.bytes ?? argument;

/** Calls a function whose last parameter is the error slot, and throws what it says. */
function call(name, ...given) {
  const status = functions[name](...given.map(pass), slot.bytes);
  if (status !== OK) throw fromHandle(status, slot.take());
}

/** Calls it and tells the status; the failures in `expected` are not thrown. */
function attempt(expected, name, ...given) {
  const status = functions[name](...given.map(pass), slot.bytes);
  return judge(status, slot, expected);
}

function judge(status, error, expected) {
  if (status === OK) return status;
  if (!expected.includes(status)) throw fromHandle(status, error.take());
  if (error.value) functions.outlast_error_free(error.take());
  return status;
}

let running = 0;
const queue = [];

/** The same on a thread of Node's pool. What is passed stays alive, and must stay as it is, until the call has returned. */
async function attemptOff(expected, name, ...given) {
  if (running >= MOST) await new Promise((resolve) => queue.push(resolve));
  else running += 1;
  const error = new Place();
  try {
    const status = await new Promise((resolve, reject) => {
      functions[name].async(...given.map(pass), error.bytes, (failure, result) => (failure ? reject(failure) : resolve(result)));
    });
    return judge(status, error, expected);
  } finally {
    const next = queue.shift();
    if (next) next();
    else running -= 1;
    // Until here, and not only until the promise was made, somebody refers to the memory.
    given.length = 0;
  }
}

const callOff = (name, ...given) => attemptOff([], name, ...given);

module.exports = { call, attempt, callOff, attemptOff };
