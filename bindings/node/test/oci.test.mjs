// Where users already are: the official SDK for TypeScript and JavaScript.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Session } from 'outlast';
import { SessionAuthenticationDetailsProvider, SessionHttpClient } from 'outlast/oci';
import { Cloud, MIB, nextSecond } from './cloud.mjs';

// The SDK is CommonJS.
const require = createRequire(import.meta.url);
const common = require('oci-common');
const { ObjectStorageClient, UploadManager } = require('oci-objectstorage');

let cloud;
before(async () => { cloud = await Cloud.start(); });
after(() => cloud.stop());

function sdk(parameters) {
  const client = new ObjectStorageClient(parameters, { retryConfiguration: common.NoRetryConfigurationDetails });
  client.endpoint = cloud.endpoint;
  return client;
}

/** 5 MiB through the SDK's own upload manager, at 256 KiB a second: five lifetimes of a token of four seconds. */
async function send(client, objectName) {
  const file = cloud.file(objectName, 5 * MIB);
  await cloud.control('settings', { bandwidth_bytes_per_s: MIB / 4 });
  try {
    const manager = new UploadManager(client, { partSize: MIB / 2, maxConcurrentUploads: 2, enforceMD5: true });
    const requestDetails = { namespaceName: cloud.namespace, bucketName: cloud.bucket, objectName };
    const answer = await manager.upload({ content: { filePath: file }, requestDetails });
    assert.ok(answer.eTag);
  } finally {
    await cloud.control('settings', { bandwidth_bytes_per_s: null });
  }
  assert.ok((await cloud.stored(objectName)).equals(cloud.read(file)));
}

test("the SDK's upload manager outlives tokens with our HTTP client", async () => {
  const session = new Session(await cloud.login(4));
  await send(sdk({ httpClient: new SessionHttpClient(session) }), 'by-http-client');
  assert.ok(session.status.refreshes >= 3, `${session.status.refreshes} refreshes`);
  await session.close();
});

test("the SDK's upload manager outlives tokens with our provider", async () => {
  const options = await cloud.login(4);
  const session = new Session(options);
  const provider = new SessionAuthenticationDetailsProvider(session, options);
  assert.equal(provider.getRegion().regionId, 'us-phoenix-1');
  await send(sdk({ authenticationDetailsProvider: provider }), 'by-provider');
  assert.ok(session.status.refreshes >= 3, `${session.status.refreshes} refreshes`);
  await session.close();
});

test("the SDK's upload manager dies without them", async () => {
  const { configFile, profile } = await cloud.login(4);
  const provider = new common.SessionAuthDetailProvider(configFile, profile);
  await assert.rejects(send(sdk({ authenticationDetailsProvider: provider }), 'never'));
  assert.ok(!(await cloud.names()).includes('never'));
});

test('a request that is refused early is sent once more', async () => {
  const session = new Session(await cloud.login());
  const client = sdk({ httpClient: new SessionHttpClient(session) });
  const where = { namespaceName: cloud.namespace, bucketName: cloud.bucket };
  for (const [operation, call] of [
    ['get_namespace', () => client.getNamespace({})],
    ['create_upload', () => client.createMultipartUpload({ ...where, createMultipartUploadDetails: { object: 'twice' } })],
    ['put_object', () => client.putObject({ ...where, objectName: 'twice', putObjectBody: 'words', contentLength: 5 })],
  ]) {
    session.accept((await session.token()).generation);
    await nextSecond();
    const { generation } = session.status;
    await cloud.refuse(operation);
    await call();
    assert.equal(session.status.generation, generation + 1, operation);
  }
  assert.equal(String(await cloud.stored('twice')), 'words');
  await assert.rejects(client.getObject({ ...where, objectName: 'none' }), { statusCode: 404 });
  await session.close();
});

test('whoever signs in anew brings a new key', async () => {
  const options = await cloud.login(2);
  const session = new Session({ ...options, waitForLoginMs: 30_000 });
  const provider = new SessionAuthenticationDetailsProvider(session, options);
  const client = sdk({ authenticationDetailsProvider: provider });
  await client.getNamespace({});
  const key = provider.getPrivateKey();
  await cloud.control('settings', { refresh: 'refuse' });
  await new Promise((resolve) => setTimeout(resolve, 2200));
  await cloud.control('settings', { refresh: 'extend' });
  await cloud.signIn(options.profile);
  assert.equal((await client.getNamespace({})).value, cloud.namespace);
  assert.notEqual(provider.getPrivateKey(), key);
  await session.close();
});

test('what is no session is refused', () => {
  assert.throws(() => new SessionHttpClient({}), { code: 'invalid-input' });
  assert.throws(() => new SessionAuthenticationDetailsProvider(null), { code: 'invalid-input' });
});
