// Options as users write them, on their way into the structs of the ABI. What cannot be right is refused here, by name.
'use strict';

const { fileURLToPath } = require('node:url');
const { constants } = require('./abi.cjs');
const { Struct } = require('./memory.cjs');
const { invalid } = require('./errors.cjs');

const U32 = 2 ** 32 - 1;
const U64 = 2n ** 64n - 1n;

const shown = (value) => {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || typeof value !== 'object') return `${typeof value === 'bigint' ? `${value}n` : String(value)}`;
  return `an object of ${value.constructor?.name ?? 'no class'}`;
};

/** Words. */
function text(value, what) {
  if (typeof value !== 'string') throw invalid(`${what} is ${shown(value)}; it must be a string`);
  if (value.includes('\0')) throw invalid(`${what} contains a NUL`);
  if (!value.isWellFormed?.() && value.isWellFormed) throw invalid(`${what} is not well-formed Unicode`);
  return value;
}

/** Words or bytes that are never shown. */
function secret(value, what) {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'string') throw invalid(`${what} must be a string or bytes`);
  return value;
}

/** A file's or directory's name. */
function path(value, what) {
  if (value instanceof URL) {
    try {
      return fileURLToPath(value);
    } catch {
      throw invalid(`${what} is no file: URL`);
    }
  }
  if (typeof value !== 'string') throw invalid(`${what} is ${shown(value)}; it must be a path or a file: URL`);
  return text(value, what);
}

/** A number of things. */
function count(value, what) {
  if (typeof value === 'bigint') value = Number(value);
  if (!Number.isInteger(value) || value < 0 || value > U32) {
    throw invalid(`${what} is ${shown(value)}; it must be a whole number from 0 to ${U32}`);
  }
  return value;
}

/** A number of requests in flight, or `auto`. */
function parallel(value, what) {
  return value === 'auto' ? constants.PARALLEL_AUTO : count(value, what);
}

/** A number of bytes, or another 64-bit number. */
function size(value, what) {
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!whole || value < 0 || BigInt(value) > U64) {
    throw invalid(`${what} is ${shown(value)}; it must be a whole number from 0, a bigint beyond ${Number.MAX_SAFE_INTEGER}`);
  }
  return BigInt(value);
}

/** A time span in milliseconds; Infinity is without limit where that is allowed. */
function millis(value, what) {
  if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER) {
    throw invalid(`${what} is ${shown(value)}; it must be a number of milliseconds from 0`);
  }
  return Math.ceil(value);
}

function flag(value, what) {
  if (typeof value !== 'boolean') throw invalid(`${what} is ${shown(value)}; it must be true or false`);
  return Number(value);
}

function choice(choices) {
  return (value, what) => {
    if (typeof value !== 'string' || !Object.hasOwn(choices, value)) {
      throw invalid(`${what} is ${shown(value)}; it must be one of ${Object.keys(choices).join(', ')}`);
    }
    return choices[value];
  };
}

/** A moment: a Date, or milliseconds since 1970 UTC. */
function moment(value, what) {
  const at = value instanceof Date ? value.getTime() : value;
  if (!Number.isSafeInteger(at) || at < 0) {
    throw invalid(`${what} must be a Date, or whole milliseconds since 1970 UTC`);
  }
  return at;
}

/** The longest time that a call takes; none is without limit. */
function timeout(value, what = 'timeoutMs') {
  return value === undefined || value === null || value === Infinity ? Infinity : millis(value, what);
}

function signal(value) {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof AbortSignal)) throw invalid(`signal is ${shown(value)}; it must be an AbortSignal`);
  return value;
}

function callback(value, what) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'function') throw invalid(`${what} is ${shown(value)}; it must be a function`);
  return value;
}

/** The options that somebody gave: an object of those that are known. */
function object(given, known, what) {
  if (given === undefined || given === null) return {};
  if (typeof given !== 'object') throw invalid(`the ${what} are ${shown(given)}; they must be an object`);
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw invalid(`${what} have no ${JSON.stringify(name)}; there are ${known.join(', ')}`);
  }
  return given;
}

/** Fills a struct. `table`: option: [field, kind]. What was not given stays the default. */
function fill(kind, table, given) {
  const struct = new Struct(kind);
  for (const [name, [field, convert]] of Object.entries(table)) {
    const value = given[name];
    if (value !== undefined && value !== null) struct.set(field, convert(value, name));
  }
  return struct;
}

module.exports = {
  text, secret, path, count, parallel, size, millis, flag, choice, moment, timeout, signal, callback, object, fill, shown,
};
