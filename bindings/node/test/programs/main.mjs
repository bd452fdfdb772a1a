// A program of its own, for what only a process can show: argv[2] says what it does, OPTIONS what with.

import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Client, Session, Uploader } from 'outlast';

const { session: options, bucket, limitRate } = JSON.parse(process.env.OPTIONS);
const client = new Client({ limitRate });
const uploader = new Uploader(new Session({ client, ...options }));
const start = () => uploader.start(randomBytes(1 << 20), { bucketName: bucket, name: process.argv[2], partSize: 1 << 18, parallelUploadCount: 1 });

async function running() {
  const upload = await start();
  for await (const event of upload.events()) if (event.kind === 'part-started') return upload;
  throw new Error('it ended at once');
}

const acts = {
  // Nothing is under way: the process ends by itself, though nothing was closed.
  idle: async () => { await uploader.session.token(); uploader.session.hold(); },
  // Nobody waits, but the upload is under way.
  running: async () => { await start(); },
  exit: async () => { await running(); process.exit(7); },
  throw: async () => { await running(); setImmediate(() => { throw new Error('a defect of the host'); }); await new Promise(() => {}); },
  // Exits inside the upload's own callback.
  'exit-in-progress': () => uploader.upload(randomBytes(1 << 20), { bucketName: bucket, name: 'x', partSize: 1 << 18, onProgress: () => process.exit(7) }),
  // A call waits on a thread of the pool, another for a sign-in.
  'exit-waiting': async () => {
    uploader.session.refresh().catch(() => {});
    uploader.session.namespace().catch(() => {});
    uploader.session.token().catch(() => {});
    setTimeout(() => process.exit(7), 300);
  },
  forgotten: async () => {
    // Clients that nobody refers to any more end by themselves.
    for (let index = 0; index < 8; index += 1) new Uploader(options);
    const before = threads();
    for (let round = 0; round < 100 && threads() > before - 12; round += 1) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (threads() > before - 12) throw new Error(`${threads()} threads, ${before} before`);
    console.log('collected');
  },
};

function threads() {
  return readdirSync('/proc/self/task').length;
}

await acts[process.argv[2]]();
console.log('done');
