// Sessions alone.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { after, before, test } from 'node:test';
import { Client, OutlastError, Session, Uploader, outlastFetch } from 'outlast';
import { Cloud, nextSecond } from './cloud.mjs';

let cloud;
before(async () => { cloud = await Cloud.start(); });
after(() => cloud.stop());

/** Runs `body` with a session that is closed afterwards. */
async function within(options, body) {
  const session = new Session(options);
  try {
    return await body(session);
  } finally {
    await session.close();
  }
}

test('tokens and headers', async () => {
  await within(await cloud.login(600), async (session) => {
    const token = await session.token();
    assert.equal(token.value.split('.').length, 3);
    assert.ok(!inspect(token, { showHidden: true }).includes(token.value) && !JSON.stringify(token).includes(token.value));
    assert.ok(Math.abs(token.expiresAt - Date.now() - 600_000) < 5000);
    const signed = await session.sign('GET', `${cloud.endpoint}/n/`);
    assert.equal(signed.generation, token.generation);
    assert.ok(!inspect(signed, { showHidden: true }).includes('Signature'));
    const { host, ...headers } = signed.headers;
    assert.equal(host, new URL(cloud.endpoint).host);
    const answer = await fetch(`${cloud.endpoint}/n/`, { headers });
    assert.equal(await answer.json(), cloud.namespace);
    assert.equal(await session.namespace(), cloud.namespace);
    assert.equal(session.status.state, 'fresh');
    assert.equal(session.status.expiresAt.getTime(), token.expiresAt.getTime());
    const post = await session.sign('POST', new URL(`${cloud.endpoint}/n/`), { body: '{}', contentType: 'application/json' });
    assert.equal(post.headers['content-length'], '2');
    assert.ok(post.headers['x-content-sha256']);
  });
});

test('a refused generation is replaced once', async () => {
  await within(await cloud.login(), async (session) => {
    const first = await session.token();
    session.accept(first.generation);
    await nextSecond();
    for (let index = 0; index < 5; index += 1) session.reject(first.generation);
    const second = await session.token({ timeoutMs: 10_000 });
    assert.equal(second.generation, first.generation + 1);
    assert.notEqual(second.value, first.value);
    session.reject(BigInt(first.generation));
    assert.equal((await session.token()).generation, second.generation);
    await nextSecond();
    await session.refresh();
    assert.equal(session.status.generation, second.generation + 1);
  });
});

test('an ended session asks for a person', async () => {
  const options = await cloud.login(1);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await within(options, async (session) => {
    await assert.rejects(session.token({ timeoutMs: 10_000 }), { code: 'sign-in-needed', retry: 'after-sign-in' });
  });
});

test('whoever waits for a sign-in can stop waiting, and the sign-in ends the wait', async () => {
  const options = await cloud.login(1);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await within({ ...options, waitForLoginMs: 60_000 }, async (session) => {
    await assert.rejects(session.token({ timeoutMs: 100 }), { code: 'timeout', retry: 'later' });
    await assert.rejects(session.token({ signal: AbortSignal.timeout(100) }), { name: 'AbortError', code: 'cancelled' });
    const waiting = session.sign('GET', `${cloud.endpoint}/n/`, { timeoutMs: 30_000 });
    await cloud.signIn(options.profile);
    assert.ok((await waiting).headers.authorization);
  });
});

test('64 calls at once share one credential, one refresh and one failure', async () => {
  await within(await cloud.login(), async (session) => {
    const first = await session.token();
    session.accept(first.generation);
    await nextSecond();
    session.reject(first.generation);
    const calls = Array.from({ length: 64 }, (_, index) => (index % 2 ? session.token() : session.sign('GET', `${cloud.endpoint}/n/`)));
    const generations = new Set((await Promise.all(calls)).map((found) => found.generation));
    assert.deepEqual([...generations], [first.generation + 1]);
    assert.equal(session.status.refreshes, 1);
  });
  await within({ endpoint: cloud.endpoint, supply: () => { throw new OutlastError('sign-in-needed', 'nobody'); } }, async (session) => {
    const failed = await Promise.allSettled(Array.from({ length: 64 }, () => session.token()));
    assert.deepEqual([...new Set(failed.map(({ reason }) => reason.code))], ['sign-in-needed']);
  });
});

test('credentials from the host', async () => {
  await cloud.login();
  const { files } = cloud;
  let asked = 0;
  const supply = async () => {
    asked += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { token: cloud.read(files.token), privateKey: cloud.read(files.key) };
  };
  await within({ supply, endpoint: cloud.endpoint, title: "the test's session" }, async (session) => {
    const uploader = new Uploader(session);
    const result = await uploader.upload(Buffer.from('supplied'), { bucketName: cloud.bucket, name: 'supplied' });
    assert.equal(result.size, 8n);
  });
  assert.equal(asked, 1);
  assert.equal(String(await cloud.stored('supplied')), 'supplied');
});

test('a supplier that fails is asked again, or says that a person is needed', async () => {
  await cloud.login();
  const { files } = cloud;
  let asked = 0;
  const flaky = () => {
    asked += 1;
    if (asked === 1) throw new Error('the broker is restarting');
    return { token: String(cloud.read(files.token)), privateKey: String(cloud.read(files.key)) };
  };
  await within({ supply: flaky, endpoint: cloud.endpoint }, async (session) => {
    assert.ok((await session.token({ timeoutMs: 20_000 })).value);
    assert.equal(asked, 2);
  });
  const refuse = () => { throw new OutlastError('sign-in-needed', 'nobody is at home'); };
  await within({ supply: refuse, endpoint: cloud.endpoint }, async (session) => {
    await assert.rejects(session.token({ timeoutMs: 10_000 }), { code: 'sign-in-needed', message: /nobody is at home/ });
  });
});

test('a bearer token from the host signs nothing and is sent as it is', async () => {
  const supply = () => ({ token: 'abc.def', tokenType: 'bearer', expiresAt: Date.now() + 600_000 });
  await within({ supply, endpoint: cloud.endpoint }, async (session) => {
    assert.equal((await session.token()).value, 'abc.def');
    const { headers } = await session.sign('PATCH', `${cloud.endpoint}/any`);
    assert.deepEqual(headers, { authorization: 'Bearer abc.def' });
  });
});

test('a PATCH is signed with its body', async () => {
  await within(await cloud.login(), async (session) => {
    const { headers } = await session.sign('PATCH', `${cloud.endpoint}/n/`, { body: '{}', contentType: 'application/json' });
    assert.equal(headers['content-length'], '2');
    assert.match(headers.authorization, /x-content-sha256/);
    await assert.rejects(session.sign('TRACE', `${cloud.endpoint}/n/`), { code: 'invalid-input', message: /PATCH/ });
  });
});

test('defaults come from the file that is named, and a namespace that is told is not asked for', async () => {
  const { profile, ...options } = await cloud.login();
  const cliRcFile = path.join(cloud.dir, 'rc');
  writeFileSync(cliRcFile, `[OCI_CLI_SETTINGS]\ndefault_profile=${profile}\n`);
  const session = new Session({ ...options, cliRcFile });
  assert.equal(await session.namespace(), cloud.namespace);
  await session.close();
  const told = new Session({ ...options, cliRcFile, namespace: 'told', realmSpecificEndpoint: true, enableDualStack: true });
  assert.equal(await told.namespace(), 'told');
  await told.close();
});

test('a session of the sessions file is opened by its name', async () => {
  const sessionsFile = path.join(cloud.dir, 'sessions.conf');
  writeFileSync(path.join(cloud.dir, 'a-token'), 'from-a-file');
  writeFileSync(sessionsFile, '[pod]\nfile = a-token\n');
  await within({ name: 'pod', sessionsFile }, async (session) => {
    assert.equal((await session.token()).value, 'from-a-file');
  });
  assert.throws(() => new Session({ name: 'none', sessionsFile }), { code: 'config', message: /the file has pod/ });
  assert.throws(() => new Session({ name: 'pod', profile: 'LAB' }), { code: 'invalid-input', message: /profile/ });
});

test('a service takes over from a session that has ended, on record', async () => {
  const options = await cloud.login(1);
  const service = await cloud.control('api_key', { profile: 'SERVICE', dir: cloud.dir });
  await nextSecond();
  await nextSecond();
  const auditFile = path.join(cloud.dir, 'audit.ndjson');
  await within(options, async (session) => {
    const by = { profile: 'SERVICE', configFile: service.config_file, principal: 'ann', auditFile };
    session.service(by);
    assert.equal((await session.token({ timeoutMs: 20_000 })).value, service.key_id);
    assert.throws(() => session.service(by), { code: 'invalid-input' });
  });
  assert.match(readFileSync(auditFile, 'utf8'), /"ann"/);
});

test('fetch signs, and sends a refused request once more', async () => {
  await within(await cloud.login(), async (session) => {
    const base = `${cloud.endpoint}/n/${cloud.namespace}/b/${cloud.bucket}`;
    assert.equal(await (await session.fetch(`${cloud.endpoint}/n/`)).json(), cloud.namespace);
    const json = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const made = await session.fetch(`${base}/u`, { ...json, body: JSON.stringify({ object: 'o' }) });
    assert.equal(made.status, 200);
    assert.ok((await made.json()).uploadId);
    const put = (body, init) => session.fetch(`${base}/o/by%20fetch`, { method: 'PUT', body, ...init });
    for (const body of ['words', Buffer.from('bytes'), new Blob(['blob'])]) assert.equal((await put(body)).status, 200);
    assert.equal(String(await cloud.stored('by fetch')), 'blob');
    assert.equal((await session.fetch(new Request(`${base}/o/none`, { method: 'GET' }))).status, 404);

    for (const [operation, send] of [
      ['get_namespace', () => session.fetch(new URL(`${cloud.endpoint}/n/`))],
      ['put_object', () => put('again')],
      ['create_upload', () => session.fetch(new Request(`${base}/u`, { ...json, body: '{"object":"p"}' }))],
    ]) {
      session.accept((await session.token()).generation);
      await nextSecond();
      const { generation } = session.status;
      await cloud.refuse(operation);
      assert.equal((await send()).status, 200, operation);
      assert.equal(session.status.generation, generation + 1, operation);
    }

    // A stream cannot be sent twice: the caller sees the 401, and the next request has the next credential.
    session.accept((await session.token()).generation);
    await nextSecond();
    const { generation } = session.status;
    await cloud.refuse('put_object');
    const stream = () => new Blob(['stream']).stream();
    const length = { headers: { 'content-length': '6' } };
    assert.equal((await put(stream(), length)).status, 401);
    assert.equal((await put(stream(), length)).status, 200);
    assert.equal(session.status.generation, generation + 1);
    await assert.rejects(session.fetch(`${cloud.endpoint}/n/`, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });
  assert.throws(() => outlastFetch({}), { code: 'invalid-input' });
});

test('closing twice, and using what is closed', async () => {
  const session = new Session(await cloud.login());
  const waiting = assert.rejects(new Session({ endpoint: cloud.endpoint, supply: () => new Promise(() => {}), client: session.client }).token(), {
    code: 'cancelled',
  });
  await session.close();
  await session.close();
  await waiting;
  await assert.rejects(session.token(), { code: 'cancelled' });
  await assert.rejects(session.sign('GET', cloud.endpoint), { code: 'cancelled' });
  assert.throws(() => session.reject(1), { code: 'cancelled' });
  assert.throws(() => session.status, { code: 'cancelled' });
});

test('a session that is closed leaves its client to others', async () => {
  const client = new Client();
  const [one, other] = [await cloud.login(), await cloud.login()].map((options) => new Session({ client, ...options }));
  await one.close();
  assert.ok((await other.token()).value);
  other.hold();
  other.release();
  assert.throws(() => other.release(), { code: 'invalid-input' });
  other.touch();
  await client.close();
});
