// Input that cannot be right: a typed error that names it, never a crash, never a default instead.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, OutlastError, Session, Upload, Uploader } from 'outlast';
import { Cloud } from './cloud.mjs';

let cloud;
let options;
let uploader;
before(async () => {
  cloud = await Cloud.start();
  options = await cloud.login();
  uploader = new Uploader(options);
});
after(async () => {
  await uploader.close();
  await cloud.stop();
});

function invalid(named) {
  return (error) => {
    assert.ok(error instanceof OutlastError, `${error?.stack}`);
    assert.equal(error.code, 'invalid-input', error.message);
    assert.ok(error.message.includes(named), `${error.message} does not name ${named}`);
    assert.ok(!error.message.includes('\n'));
    return true;
  };
}

const uploads = [
  // option, values that it must not have
  ['bucketName', ['', undefined, null, 7, {}, 'a\0b']],
  ['namespace', ['', 7, Symbol('s')]],
  ['name', ['', 7, 'a\0b']],
  ['partSize', [-1, 1.5, NaN, Infinity, -1n, 2n ** 64n, '5', 2 ** 60]],
  ['parallelUploadCount', [-1, 1001, 0.5, 2 ** 40, '3', 'Auto', NaN]],
  ['maxRetries', [-1, 2 ** 32, 'x']],
  ['noRetry', [0]],
  ['verifyChecksum', ['yes']],
  ['noMultipart', [1, 'yes']],
  ['noOverwrite', [0]],
  ['restart', ['false']],
  ['integrity', ['maybe', 1, 'toString']],
  ['opcChecksumAlgorithm', ['MD4', 'crc32c', {}]],
  ['onFailure', ['panic']],
  ['storageTier', ['Attic', 5]],
  ['contentType', [5, 'a\0b']],
  ['metadata', ['x', { a: 1 }, { a: 'b\0' }, 5]],
  ['progressIntervalMs', [-1, '1', NaN]],
  ['sourceName', [5]],
  ['signal', [{}, 'now']],
  ['onProgress', [5, {}]],
  ['encryptionKey', [5]],
  ['contentMd5', [5, 'a\0b', 'nonsense']],
  ['opcContentCrc32c', [5, 'AAAA']],
  ['opcContentSha256', [5, 'AAAA']],
  ['opcContentSha384', [5, 'AAAA']],
  ['bucket', ['b']],
];
// What the library itself calls these.
const theirs = {
  contentMd5: 'content', opcContentCrc32c: 'ontent', opcContentSha256: 'ontent', opcContentSha384: 'ontent',
  bucketName: 'bucket', namespace: 'namespace', name: 'name', parallelUploadCount: 'parallel', storageTier: 'storage', contentType: 'content', metadata: 'metadata',
};

for (const [option, values] of uploads) {
  test(`upload option ${option}`, async () => {
    for (const value of values) {
      const given = { bucketName: cloud.bucket, name: 'bad', [option]: value };
      const named = theirs[option] ?? option;
      await assert.rejects(uploader.upload(Buffer.from('x'), given), invalid(named), `${option}: ${String(value)}`);
    }
  });
}

test('sources', async () => {
  for (const source of [7, null, undefined, {}, true, 5n, Symbol('s'), () => {}, new Date(), new URL('http://example.invalid/')]) {
    await assert.rejects(uploader.upload(source, { bucketName: cloud.bucket, name: 'bad' }), invalid(''), String(source));
  }
  await assert.rejects(uploader.upload('no-such-file', { bucketName: cloud.bucket }), { code: 'source' });
  await assert.rejects(uploader.upload('', { bucketName: cloud.bucket, name: 'bad' }), OutlastError);
  await assert.rejects(uploader.upload('.', { bucketName: cloud.bucket, name: 'bad' }), { code: 'source' });
  const read = new Blob(['x']).stream();
  read.getReader();
  await assert.rejects(uploader.upload(read, { bucketName: cloud.bucket, name: 'bad' }), invalid('stream'));
  for (const missing of [undefined, null, 'x', 5]) await assert.rejects(uploader.upload(Buffer.from('x'), missing), invalid(''));
  assert.deepEqual(await cloud.names(), []);
});

test('bytes that are taken away while they are copied, or change afterwards', async () => {
  const bytes = new Uint8Array(20 << 20).fill(1);
  const upload = uploader.upload(bytes, { bucketName: cloud.bucket, name: 'moved', namespace: cloud.namespace });
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  await assert.rejects(upload, { code: 'source-changed' });
  for (const gone of [bytes, bytes.buffer, [bytes]]) {
    await assert.rejects(uploader.upload(gone, { bucketName: cloud.bucket, name: 'moved' }), ({ code, cause }) => [code, cause?.code].includes('invalid-input'));
  }
  assert.ok(!(await cloud.names()).includes('moved'));
  const small = Buffer.from(new ArrayBuffer(1 << 20)).fill(1);
  const started = await uploader.start(small, { bucketName: cloud.bucket, name: 'scribbled' });
  small.fill(2);
  await started.wait();
  assert.ok((await cloud.stored('scribbled')).every((byte) => byte === 1));
});

test('clients', () => {
  for (const [given, named] of [
    [{ workers: 257 }, 'workers'], [{ workers: -1 }, 'workers'], [{ allowHttp: 1 }, 'allowHttp'], [{ limitRate: -5 }, 'limitRate'],
    [{ ioBufferBytes: 2n ** 40n }, 'io_buffer'], [{ stateDir: 5 }, 'stateDir'], [{ stateDir: new URL('http://x/') }, 'stateDir'],
    [{ readTimeoutMs: NaN }, 'readTimeoutMs'], [{ colour: 'blue' }, 'colour'], ['fast', 'client options'], [{ proxy: 5 }, 'proxy'],
  ]) assert.throws(() => new Client(given), invalid(named));
  assert.throws(() => new Client({ certBundle: '/no/such/file' }), { code: 'config' });
});

test('sessions', async () => {
  for (const [given, named] of [
    [{ profile: 5 }, 'profile'], [{ colour: 'blue' }, 'colour'], [{ client: {} }, 'client'], [{ supply: 5 }, 'supply'],
    [{ supply: () => {}, profile: 'LAB' }, 'profile'], [{ supply: () => {} }, 'endpoint'], ['LAB', 'session options'],
    [{ ...options, waitForLoginMs: -1 }, 'waitForLoginMs'], [{ ...options, endpoint: 'not a url' }, 'endpoint'],
    [{ ...options, realmSpecificEndpoint: 1 }, 'realmSpecificEndpoint'], [{ ...options, enableDualStack: 'yes' }, 'enableDualStack'],
    [{ ...options, cliRcFile: 5 }, 'cliRcFile'], [{ ...options, namespace: 5 }, 'namespace'],
    [{ ...options, mintSessionMinutes: 3 }, 'mint'], [{ ...options, timer: 'yes' }, 'timer'],
  ]) assert.throws(() => new Session(given), invalid(named), JSON.stringify(given));
  assert.throws(() => new Session({ ...options, profile: 'NOBODY' }), { code: 'config', message: /NOBODY/ });
  assert.throws(() => new Session({ ...options, configFile: '/no/such/config' }), { code: 'config' });
  assert.throws(() => new Session({ ...options, cliRcFile: '/no/such/rc' }), {
    code: 'config', message: /the file of defaults \/no\/such\/rc does not exist/,
  });
});

test('calls of a session', async () => {
  const { session } = uploader;
  const url = `${cloud.endpoint}/n/`;
  for (const [call, named] of [
    [() => session.token({ timeoutMs: -1 }), 'timeoutMs'], [() => session.token({ timeoutMs: '5' }), 'timeoutMs'],
    [() => session.token({ patience: 5 }), 'patience'], [() => session.token(5), 'options'], [() => session.token({ signal: 5 }), 'signal'],
    [() => session.sign('BREW', url), 'method'], [() => session.sign(5, url), 'method'], [() => session.sign('GET', 5), 'url'],
    [() => session.sign('GET', 'nowhere'), ''], [() => session.sign('POST', url, { body: {} }), 'body'],
    [() => session.sign('POST', url, { body: 'x' }), 'content'], [async () => session.reject(-1), 'generation'],
    [async () => session.accept('x'), 'generation'], [() => session.refresh({ timeoutMs: NaN }), 'timeoutMs'],
  ]) await assert.rejects(call, invalid(named), String(call));
});

test('credentials that a supplier returns', async () => {
  for (const given of [undefined, 5, 'token', {}, { token: 5 }, { token: 'no.jwt', privateKey: 'no key' }, { tokn: 'x' }, { token: 'a', expiresAt: 'soon' }]) {
    const session = new Session({ endpoint: cloud.endpoint, supply: () => given });
    await assert.rejects(session.token({ timeoutMs: 300 }), OutlastError);
    await session.close();
  }
});

test('uploads are made by uploaders, and what ended stays ended', async () => {
  assert.throws(() => new Upload(), { code: 'invalid-input' });
  assert.throws(() => new Upload(Symbol('ours'), uploader.session, {}), { code: 'invalid-input' });
  const upload = await uploader.start(Buffer.from('x'), { bucketName: cloud.bucket, name: 'ended' });
  const result = await upload.wait();
  for (const call of [() => upload.pause(), () => upload.resume(), () => upload.cancel(), () => upload.cancel({ onFailure: 'abort' })]) call();
  assert.throws(() => upload.cancel({ onFailure: 'explode' }), { code: 'invalid-input' });
  await assert.rejects(upload.wait({ onProgress: 5 }), { code: 'invalid-input' });
  assert.deepEqual(await upload.wait({ timeoutMs: 0 }), result);
  assert.equal(upload.progress.stored, 1n);
});
