// A worker thread that uploads. The main thread has not loaded the package.
'use strict';

const { parentPort, workerData } = require('node:worker_threads');
const { Client, Session, Uploader } = require('outlast');

(async () => {
  const { session, bucket, name, limitRate, then } = workerData;
  const client = new Client({ limitRate });
  const uploader = new Uploader(new Session({ client, ...session }));
  const upload = await uploader.start(Buffer.alloc(1 << 20, name), { bucketName: bucket, name, partSize: 1 << 18, parallelUploadCount: 1 });
  for await (const event of upload.events()) if (event.kind === 'part-started') break;
  parentPort.postMessage('running');
  if (then === 'exit') process.exit(7);
  const result = await upload.wait();
  if (then !== 'leave') await client.close();
  parentPort.postMessage({ size: result.size });
})();
