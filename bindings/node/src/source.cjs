// What can be uploaded, and how its bytes get to the library.
'use strict';

const { constants } = require('./abi.cjs');
const { free, freeAddress, malloc, memcpy } = require('./library.cjs');
const { OutlastError, invalid } = require('./errors.cjs');
const check = require('./options.cjs');

/** So much is copied before others on the loop have their turn. */
const TURN = 8 * 1024 * 1024;

/**
 * Sets the source's fields of upload options. Returns what is to be fed into a writer, if the bytes come bit by bit.
 *
 * A path or an open file is read by the library. Bytes are copied first, into memory that the library frees: JavaScript may
 * take an ArrayBuffer away from whoever reads it (transfer, resize), and nothing could prevent that.
 */
async function describe(source, options) {
  if (typeof source === 'string' || source instanceof URL) {
    options.set('source', constants.SOURCE_PATH);
    options.set('file', check.path(source, 'the source'));
    return null;
  }
  const bytes = view(source);
  if (bytes) {
    options.set('source', constants.SOURCE_BYTES);
    await copy(bytes, options);
    return null;
  }
  if (isFileHandle(source)) {
    options.set('source', constants.SOURCE_FD);
    options.set('fd', source.fd);
    return null;
  }
  const feed = iterator(source);
  if (!feed) throw invalid(`${check.shown(source)} cannot be uploaded; give a path, bytes, a file, a stream or an iterable of bytes`);
  options.set('source', constants.SOURCE_WRITER);
  return feed;
}

/** Bytes as they lie in memory; undefined for what are none. Those of a buffer that was given away are refused, not empty. */
function view(value) {
  const whole = value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
  if (!whole && !ArrayBuffer.isView(value)) return undefined;
  const buffer = whole ? value : value.buffer;
  try {
    return whole ? new Uint8Array(buffer) : new Uint8Array(buffer, value.byteOffset, value.byteLength);
  } catch {
    throw invalid('the bytes are not there any more: their ArrayBuffer was transferred or shrunk');
  }
}

async function copy(bytes, options) {
  const total = bytes.byteLength;
  if (total === 0) return;
  const memory = malloc(total);
  if (!memory) throw new OutlastError('source', `there is no memory for ${total} bytes`);
  try {
    for (let at = 0; at < total; at += TURN) {
      if (at > 0) await new Promise(setImmediate);
      if (bytes.byteLength !== total) throw new OutlastError('source-changed', 'the bytes were taken away while they were copied');
      const piece = bytes.subarray(at, Math.min(at + TURN, total));
      memcpy(memory + BigInt(at), piece, piece.byteLength);
    }
  } catch (error) {
    free(memory);
    throw error;
  }
  options.point('bytes', memory, total);
  options.set('source_data', memory);
  options.set('free_fn', freeAddress);
}

/** What `fs.promises.open` gives. */
function isFileHandle(value) {
  return typeof value === 'object' && value !== null && Number.isInteger(value.fd) && typeof value.stat === 'function'
    && typeof value.createReadStream === 'function';
}

/** An iterator over pieces, and how to stop the source for good. */
function iterator(source) {
  if (typeof source !== 'object' || source === null) return null;
  if (source instanceof Blob) return iterator(source.stream());
  const begin = source[Symbol.asyncIterator] ?? source[Symbol.iterator];
  if (typeof begin !== 'function') return null;
  if (source.destroyed || source.readableEnded || source.locked) throw invalid('the stream has been read, or is being read');
  const items = begin.call(source);
  const stop = () => {
    // A stream may be waiting for bytes that never come; only this ends it. For others their own way is all there is.
    if (typeof source.destroy === 'function') source.destroy();
    else Promise.resolve(items.return?.()).catch(() => {});
  };
  return { items, stop };
}

module.exports = { describe, view };
