// Waiting with a deadline and a signal.
'use strict';

const { aborted, late } = require('./errors.cjs');

/** Longest delay of a timer. */
const FOREVER = 2 ** 31 - 1;

/** `promise`, but not longer than `timeoutMs`, and not when `signal` is aborted. What it stands for goes on regardless. */
async function within(promise, what, { timeoutMs = Infinity, signal } = {}) {
  if (signal?.aborted) {
    promise.catch(() => {});
    throw aborted(signal);
  }
  if (timeoutMs === Infinity && !signal) return promise;
  let timer;
  let abort;
  const limit = new Promise((_, reject) => {
    if (timeoutMs !== Infinity) timer = setTimeout(() => reject(late(what, timeoutMs)), Math.min(timeoutMs, FOREVER));
    abort = () => reject(aborted(signal));
    signal?.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** Something that those who wait are told of. */
class Bell {
  /** How often it was rung. */
  count = 0;
  #waiting = new Set();

  ring() {
    this.count += 1;
    for (const wake of this.#waiting) wake();
  }

  /** Ends once it was rung more than `since` times, or after `ms`. */
  wait(since, ms) {
    if (this.count !== since) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }
}

module.exports = { within, Bell };
