// Starts a worker that uploads, and lets it end in one way or another. Says what came of it.
'use strict';

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
worker.on('exit', (code) => {
  console.log('ended', code);
  // The library's threads of a terminated worker may still run: nothing may have been pulled away from under them.
  setTimeout(() => console.log('done'), 500);
});
