// What is behind a client: its handle, the queue of its events, and the watch on that queue's descriptor.
//
// The descriptor is a socket to Node (a duplicate, for Node reads what it watches and closes it in the end), so events cost
// neither a thread nor a timer, and a worker thread can be terminated at any moment. koffi's own `poll` would not survive that.
// The socket keeps the process alive exactly while something is under way.
'use strict';

const net = require('node:net');
const { constants } = require('./abi.cjs');
const { duplicate, functions } = require('./library.cjs');
const { Place, Struct } = require('./memory.cjs');
const { convert } = require('./events.cjs');
const { attempt, call } = require('./calls.cjs');
const { late } = require('./errors.cjs');

const open = new Set();
// A call that waits on a thread of Node's pool would hold up the end of the process.
process.on('exit', () => {
  for (const core of open) core.letGo();
});

class Core {
  #handle;
  #queue;
  #watch;
  // Closed with the worker thread that it was made on, however that ends: then the library ends the client.
  #line;
  #pending = 0;
  #listeners = new Map();
  #next = 1;
  #closing = null;
  #closed = Promise.withResolvers ? Promise.withResolvers() : resolvers();

  constructor(options) {
    const out = new Place();
    call('outlast_queue_new', out);
    this.#queue = out.take();
    try {
      call('outlast_client_new', options, this.#queue, out);
    } catch (error) {
      functions.outlast_queue_free(this.#queue);
      throw error;
    }
    this.#handle = out.take();
    this.#watch = new net.Socket({ fd: duplicate(functions.outlast_queue_fd(this.#queue)), readable: true, writable: false });
    this.#watch.on('data', () => this.#drain());
    this.#watch.on('error', () => {});
    this.#watch.unref();
    call('outlast_client_lifeline', this.#handle, out);
    this.#line = new net.Socket({ fd: Number(out.take()), readable: true, writable: false });
    this.#line.on('error', () => {}).resume().unref();
    open.add(this);
  }

  /** The client's handle; 0, which every function refuses, once it was let go. */
  get handle() {
    return this.#handle;
  }

  get isClosing() {
    return this.#closing !== null;
  }

  /** A number by which events name `listener`, an object with `told(event)` and `ended()`. */
  listen(listener) {
    const number = this.#next++;
    this.#listeners.set(BigInt(number), listener);
    return number;
  }

  unlisten(number) {
    this.#listeners.delete(BigInt(number));
  }

  /** Something is under way that the process must not end before; as many times `unhold`. */
  hold() {
    if (this.#pending++ === 0) this.#watch?.ref();
  }

  unhold() {
    if (--this.#pending === 0) this.#watch?.unref();
  }

  /** Takes all events: only then the descriptor becomes readable anew. */
  #drain() {
    const event = new Struct('outlast_event');
    while (this.#queue) {
      if (attempt([constants.E_TIMEOUT], 'outlast_queue_next', this.#queue, 0, event) !== 0) return;
      let copy;
      let listener;
      try {
        copy = convert(event);
        listener = event.get('user_data');
        copy.request = event.get('request');
      } finally {
        functions.outlast_event_clear(event.bytes);
      }
      if (copy.kind === 'closed') this.#end();
      else this.#listeners.get(listener)?.told(copy);
    }
  }

  #end() {
    open.delete(this);
    this.letGo();
    this.#watch.destroy();
    this.#watch = null;
    this.#line.destroy();
    functions.outlast_queue_free(this.#queue);
    this.#queue = 0n;
    for (const listener of [...this.#listeners.values()]) listener.ended();
    this.#listeners.clear();
    this.#closed.resolve();
  }

  /** Puts uploads to rest and ends the threads; they tell when they are done, nobody waits for them on a thread. */
  close(timeoutMs) {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs) {
    if (!this.#queue) return;
    this.hold();
    this.letGo();
    let timer;
    const tooLong = new Promise((resolve) => {
      if (timeoutMs !== Infinity) timer = setTimeout(resolve, Math.min(timeoutMs, 2 ** 31 - 1), true);
    });
    const wasLate = await Promise.race([this.#closed.promise, tooLong]);
    clearTimeout(timer);
    if (wasLate) {
      this.#end();
      throw late("the client's end", timeoutMs);
    }
  }

  /** Lets the client end by itself. Never waits. */
  letGo() {
    functions.outlast_client_free(this.#handle);
    this.#handle = 0n;
  }
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

module.exports = { Core, resolvers };
