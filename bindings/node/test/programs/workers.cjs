// Starts a worker that uploads, and lets it end in one way or another. Says what came of it.
'use strict';

const { existsSync, readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const workerData = { ...JSON.parse(process.env.OPTIONS), name: process.argv[2], then: process.argv[2] };
const worker = new Worker(path.join(__dirname, 'worker.cjs'), { workerData });
worker.on('error', (error) => { throw error; });
worker.on('message', (message) => {
  if (message === 'running') {
    if (process.argv[2] === 'terminate') worker.terminate();
    if (process.argv[2] === 'terminate-later') setTimeout(() => worker.terminate(), 120);
  } else {
    console.log('size', message.size);
  }
});
const isOurs = (task) => {
  try {
    return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('outlast-');
  } catch {
    return false; // it has just ended
  }
};
worker.on('exit', async (code) => {
  console.log('ended', code);
  // The library's threads of a terminated worker still run: nothing may have been pulled away from under them. They end by
  // themselves, which is seen where threads have names.
  const deadline = Date.now() + 60_000;
  while (existsSync('/proc/self/task') && readdirSync('/proc/self/task').some(isOurs)) {
    if (Date.now() > deadline) throw new Error('threads of the library are left');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.log('done');
});
