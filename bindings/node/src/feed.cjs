// Feeds a stream into an upload at the upload's pace.
'use strict';

const { constants } = require('./abi.cjs');
const { functions } = require('./library.cjs');
const { Place, address, block } = require('./memory.cjs');
const { attemptOff, call } = require('./calls.cjs');
const { invalid } = require('./errors.cjs');
const { view } = require('./source.cjs');
const { shown } = require('./options.cjs');

/** Pieces are gathered into blocks of this size: one trip to another thread each, and none of the caller's memory is lent. */
const BLOCK = 1024 * 1024;
/** How long a write may occupy a thread of Node's pool. Room comes when parts are stored, and that is told by an event. */
const SLICE_MS = 20;
const PAUSE_MS = 250;

class Feed {
  #writer;
  #source;
  #block = block(BLOCK);
  #filled = 0;
  #stopped = false;
  #exhausted = false;

  constructor(source) {
    const out = new Place();
    call('outlast_writer_new', out);
    this.#writer = out.take();
    this.#source = source;
  }

  get writer() {
    return this.#writer;
  }

  /** The upload wants no more, or there is none. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    // One that has given everything is its owner's again.
    if (!this.#exhausted) this.#source.stop();
    // Unfinished, so no object is made of what was written.
    functions.outlast_writer_free(this.#writer);
  }

  /** Writes until the source ends. `bell` rings with each event of the upload. Throws what the source throws. */
  async run(bell) {
    const { items } = this.#source;
    try {
      for (;;) {
        // When the upload ends first, `stop` ends the source, too; whether it answers does not matter then.
        const { done, value } = await items.next();
        if (this.#stopped) return;
        if (done) {
          this.#exhausted = true;
          break;
        }
        await this.#take(await value, bell);
        if (this.#stopped) return;
      }
      await this.#flush(bell);
      if (!this.#stopped) call('outlast_writer_finish', this.#writer);
    } catch (error) {
      if (this.#stopped) return;
      call('outlast_writer_abandon', this.#writer);
      if (!this.#exhausted) this.#source.stop();
      throw error;
    }
  }

  async #take(piece, bell) {
    const bytes = view(piece);
    if (!bytes) throw invalid(`the source gave ${shown(piece)}; it must give bytes`);
    for (let at = 0; at < bytes.byteLength && !this.#stopped; ) {
      const taken = Math.min(BLOCK - this.#filled, bytes.byteLength - at);
      this.#block.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === BLOCK) await this.#flush(bell);
    }
  }

  async #flush(bell) {
    const start = address(this.#block);
    const written = new Place();
    for (let at = 0; at < this.#filled && !this.#stopped; ) {
      const { count } = bell;
      const status = await attemptOff(
        [constants.E_TIMEOUT, constants.E_CANCELLED, constants.E_INVALID],
        'outlast_writer_write', this.#writer, start + BigInt(at), this.#filled - at, SLICE_MS, written,
      );
      at += Number(written.take());
      if (status === constants.E_TIMEOUT) await bell.wait(count, PAUSE_MS);
      // The upload has ended: it knows why.
      else if (status !== constants.OK) return;
    }
    this.#filled = 0;
  }
}

module.exports = { Feed };
