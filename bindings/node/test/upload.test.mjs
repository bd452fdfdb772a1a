// Whole uploads.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { after, before, test } from 'node:test';
import { Client, OutlastError, Session, Uploader } from 'outlast';
import { Cloud, MIB } from './cloud.mjs';

let cloud;
let uploader;
before(async () => {
  cloud = await Cloud.start();
  uploader = new Uploader(await cloud.login());
});
after(async () => {
  await uploader.close();
  await cloud.stop();
});

/** An uploader with a rate limit of its own. */
async function slow(bytesPerSecond, lifeSeconds) {
  const client = new Client({ limitRate: bytesPerSecond });
  return { client, uploader: new Uploader(new Session({ client, ...(await cloud.login(lifeSeconds)) })) };
}

async function* pieces(data, size = 100_003) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

test('every source becomes its object', async () => {
  const file = cloud.file('sources', 3 * MIB + 7);
  const data = cloud.read(file);
  const handle = await open(file);
  const shared = new SharedArrayBuffer(data.length);
  new Uint8Array(shared).set(data);
  const sources = {
    path: file,
    url: pathToFileURL(file),
    buffer: data,
    bytes: new Uint8Array(data),
    words: new DataView(new Uint8Array(data).buffer),
    memory: new Uint8Array(data).buffer,
    shared,
    'file-handle': handle,
    readable: createReadStream(file),
    small: Readable.from(pieces(data, 999)),
    generator: pieces(data),
    list: [data.subarray(0, 5), data.subarray(5)],
    blob: new Blob([data]),
    web: new Blob([data]).stream(),
    empty: Buffer.alloc(0),
    'empty-stream': Readable.from([]),
  };
  for (const [name, source] of Object.entries(sources)) {
    const options = { parallelUploadCount: 'auto', verifyChecksum: true, maxRetries: 9 };
    const result = await uploader.upload(source, { bucketName: cloud.bucket, name, partSize: MIB, ...options });
    const wanted = name.startsWith('empty') ? Buffer.alloc(0) : data;
    assert.ok((await cloud.stored(name)).equals(wanted), name);
    assert.equal(result.size, BigInt(wanted.length), name);
    assert.ok(result.verified && result.etag, name);
  }
  await handle.close();
});

test('five token lifetimes with progress', async () => {
  const file = cloud.file('five-lives', 5 * MIB);
  // 5 MiB at 256 KiB a second under tokens of four seconds.
  const { client, uploader } = await slow(MIB / 4, 4);
  const seen = [];
  const result = await uploader.upload(file, {
    bucketName: cloud.bucket,
    partSize: BigInt(MIB / 2),
    parallelUploadCount: 2,
    onProgress: (now) => seen.push(now),
  });
  assert.equal(result.parts, 10);
  assert.ok(result.verified);
  assert.ok(uploader.session.status.refreshes >= 4, `${uploader.session.status.refreshes} refreshes`);
  await client.close();
  assert.ok((await cloud.stored('five-lives')).equals(cloud.read(file)));
  const sent = seen.map((now) => now.sent);
  assert.deepEqual(sent, [...sent].sort((left, right) => Number(left - right)));
  assert.equal(seen.at(-1).stored, BigInt(5 * MIB));
  assert.ok(seen.length > 10, `${seen.length} times`);
});

test('an aborted upload is cleanly over, and goes on later', async () => {
  const file = cloud.file('again', 4 * MIB);
  const { client, uploader } = await slow(MIB / 2);
  const abort = new AbortController();
  const options = { bucketName: cloud.bucket, partSize: MIB, parallelUploadCount: 1 };
  const reason = new Error('lunch');
  await assert.rejects(
    uploader.upload(file, {
      ...options,
      signal: abort.signal,
      onProgress: (now) => now.partsStored >= 1 && abort.abort(reason),
    }),
    (error) => {
      assert.ok(error instanceof OutlastError);
      assert.deepEqual([error.name, error.code, error.resumable, error.cause], ['AbortError', 'cancelled', true, reason]);
      return true;
    },
  );
  client.limitRate(null);
  const result = await uploader.upload(file, options);
  assert.ok(result.partsReused >= 1);
  assert.ok((await cloud.stored('again')).equals(cloud.read(file)));
  await client.close();
});

test('a signal given to start cancels, one that was aborted before begins nothing', async () => {
  const { client, uploader } = await slow(MIB / 4);
  const abort = new AbortController();
  const upload = await uploader.start(randomBytes(2 * MIB), {
    bucketName: cloud.bucket, name: 'signalled', partSize: MIB, signal: abort.signal, onFailure: 'abort',
  });
  abort.abort();
  await assert.rejects(upload.wait(), { code: 'cancelled', resumable: false });
  await assert.rejects(
    uploader.upload(randomBytes(9), { bucketName: cloud.bucket, name: 'never', signal: AbortSignal.abort() }),
    { name: 'AbortError', code: 'cancelled' },
  );
  assert.ok(!(await cloud.names()).includes('never'));
  await client.close();
});

for (const [kind, fail] of [['throws', (error) => { throw error; }], ['rejects', (error) => Promise.reject(error)]]) {
  test(`progress that ${kind} cancels the upload`, async () => {
    const { client, uploader } = await slow(MIB / 2);
    const enough = new Error('enough');
    await assert.rejects(
      uploader.upload(randomBytes(3 * MIB), {
        bucketName: cloud.bucket,
        name: `enough-${kind}`,
        partSize: MIB,
        onFailure: 'abort',
        onProgress: (now) => (now.sent ? fail(enough) : undefined),
      }),
      enough,
    );
    assert.ok(!(await cloud.names()).includes(`enough-${kind}`));
    await client.close();
  });
}

test('events tell the whole story, for two uploads at once', async () => {
  const one = async (name) => {
    const upload = await uploader.start(randomBytes(MIB), { bucketName: cloud.bucket, name, partSize: MIB / 4 });
    const kinds = [];
    for await (const event of upload.events()) {
      kinds.push(event.kind);
      if (event.kind === 'part-stored') assert.equal(event.bytes, BigInt(MIB / 4));
    }
    assert.equal((await upload.wait()).size, BigInt(MIB));
    return kinds;
  };
  for (const kinds of await Promise.all([one('left'), one('right')])) {
    assert.equal(kinds.filter((kind) => kind === 'started').length, 1);
    assert.equal(kinds.filter((kind) => kind === 'part-stored').length, 4);
    assert.equal(kinds.at(-1), 'finished');
  }
});

test('a timeout leaves the upload alone; pause and resume', async () => {
  const { client, uploader } = await slow(MIB / 2);
  const upload = await uploader.start(randomBytes(2 * MIB), { bucketName: cloud.bucket, name: 'patience', partSize: MIB });
  await assert.rejects(upload.wait({ timeoutMs: 50 }), { code: 'timeout', retry: 'later' });
  upload.pause();
  for await (const event of upload.events()) if (event.kind === 'paused') break;
  upload.resume();
  for await (const event of upload.events()) if (event.kind === 'unpaused') break;
  client.limitRate(0n);
  assert.equal((await upload.wait({ timeoutMs: 60_000 })).size, BigInt(2 * MIB));
  await client.close();
});

test('the loop stays free, and a stream is read at the pace of the network', async () => {
  const { client, uploader } = await slow(3 * MIB);
  let ticks = 0;
  const ticking = setInterval(() => (ticks += 1), 10);
  let given = 0;
  let ahead = 0n;
  async function* source() {
    for (let index = 0; index < 80; index += 1) {
      given += MIB / 8;
      yield randomBytes(MIB / 8);
    }
  }
  const result = await uploader.upload(source(), {
    bucketName: cloud.bucket, name: 'paced', partSize: MIB / 2, parallelUploadCount: 2, progressIntervalMs: 50,
    onProgress: (now) => { if (BigInt(given) - now.sent > ahead) ahead = BigInt(given) - now.sent; },
  });
  clearInterval(ticking);
  assert.equal(result.size, BigInt(10 * MIB));
  // Parallel parts, one more, and what is gathered here (2.6 MiB), and what was sent since progress was told: never the whole.
  assert.ok(ahead <= BigInt(6 * MIB), `${ahead} bytes ahead`);
  assert.ok(ticks > 50, `${ticks} ticks`);
  await client.close();
});

test('what a source throws is the cause', async () => {
  const torn = new Error('the tape is torn');
  async function* tape() {
    yield Buffer.alloc(MIB);
    throw torn;
  }
  await assert.rejects(
    uploader.upload(tape(), { bucketName: cloud.bucket, name: 'torn', partSize: MIB }),
    (error) => error.code === 'source' && error.cause === torn,
  );
  await assert.rejects(
    uploader.upload(['text'], { bucketName: cloud.bucket, name: 'torn', partSize: MIB }),
    (error) => error.code === 'source' && error.cause.code === 'invalid-input',
  );
  assert.ok(!(await cloud.names()).includes('torn'));
});

test('a stream that says nothing more is ended with its upload', async () => {
  const silent = new Readable({ read() {} });
  silent.push(Buffer.alloc(10));
  const abort = new AbortController();
  const upload = await uploader.start(silent, { bucketName: cloud.bucket, name: 'silent' });
  const closed = once(silent, 'close');
  const waiting = upload.wait({ signal: abort.signal });
  abort.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  await closed;
});

test('errors say what the service said', async () => {
  await assert.rejects(uploader.upload(Buffer.from('x'), { bucketName: 'no-such-bucket', name: 'x' }), (error) => {
    assert.deepEqual([error.code, error.retry, error.httpStatus, error.serviceCode], ['not-found', 'never', 404, 'BucketNotFound']);
    assert.ok(error.requestId);
    return true;
  });
  await uploader.upload(Buffer.from('x'), { bucketName: cloud.bucket, name: 'once' });
  await assert.rejects(uploader.upload(Buffer.from('y'), { bucketName: cloud.bucket, name: 'once', noOverwrite: true }), {
    code: 'precondition',
  });
});

test('bytes without the checksum that was vouched for are not stored', async () => {
  const base64 = (algorithm, data) => createHash(algorithm).update(data).digest('base64');
  for (const [option, right, wrong] of [
    ['contentMd5', base64('md5', 'hello world'), base64('md5', '')],
    ['opcContentCrc32c', 'yZRlqg==', 'AAAAAA=='],
    ['opcContentSha256', base64('sha256', 'hello world'), base64('sha256', '')],
    ['opcContentSha384', base64('sha384', 'hello world'), base64('sha384', '')],
  ]) {
    const upload = (more) => uploader.upload(Buffer.from('hello world'), { bucketName: cloud.bucket, name: option, ...more });
    await assert.rejects(upload({ [option]: wrong }), { code: 'integrity', message: /the bytes do not have the/ });
    assert.ok(!(await cloud.names()).includes(option));
    await upload({ [option]: right });
    assert.equal((await cloud.stored(option)).toString(), 'hello world');
    await assert.rejects(upload({ [option]: right, partSize: 4 }), { code: 'invalid-input', message: /is sent in parts/ });
  }
});

test('metadata and headers arrive', async () => {
  await uploader.upload(Buffer.from('x'), {
    bucketName: cloud.bucket, name: 'described', contentType: 'text/plain', metadata: { colour: 'blue', mood: 'calm' },
  });
  const head = await uploader.session.fetch(`${cloud.endpoint}/n/${cloud.namespace}/b/${cloud.bucket}/o/described`, { method: 'HEAD' });
  assert.equal(head.headers.get('content-type'), 'text/plain');
  assert.equal(head.headers.get('opc-meta-colour'), 'blue');
  assert.equal(head.headers.get('opc-meta-mood'), 'calm');
});

test('closing puts an upload to rest', async () => {
  const { client, uploader } = await slow(MIB / 4);
  const upload = await uploader.start(cloud.file('rest', 3 * MIB), { bucketName: cloud.bucket, partSize: MIB / 4, parallelUploadCount: 1 });
  for await (const event of upload.events()) if (event.kind === 'part-stored') break;
  await client.close();
  await client.close();
  await assert.rejects(upload.wait(), { code: 'cancelled', resumable: true });
  await assert.rejects(uploader.upload(Buffer.from('x'), { bucketName: cloud.bucket, name: 'x' }), { code: 'cancelled' });
});

test('leaving a block disposes of what was made in it', async () => {
  const dispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
  const { client, uploader } = await slow(MIB / 4);
  const upload = await uploader.start(randomBytes(2 * MIB), { bucketName: cloud.bucket, name: 'left-behind', partSize: MIB });
  await upload[dispose]();
  await assert.rejects(upload.wait(), { code: 'cancelled' });
  await uploader[dispose]();
  await uploader.session[dispose]();
  await client[dispose]();
});
