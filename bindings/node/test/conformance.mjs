// Plays the scenarios of tests/scenarios from Node; what they mean is told there.
//
// node conformance.mjs [NAME…]       OUTLAST_CLOUD is the cloud's program, OUTLAST_REPORT a file that takes a line per scenario

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Client, OutlastError, Session, Uploader, hasFeature } from 'outlast';
import { Cloud } from './cloud.mjs';

/** No step waits longer, milliseconds. */
const LIMIT = 120_000;
const PIECE = 70_001;
const OPTIONS = {
  part_size_bytes: 'partSize', parallel_upload_count: 'parallelUploadCount', no_multipart: 'noMultipart', no_overwrite: 'noOverwrite',
  if_match: 'ifMatch', on_failure: 'onFailure',
};
const RESULT = { bytes: 'size', parts: 'parts', parts_reused: 'partsReused', retries: 'retries', refusals: 'refusals', verified: 'verified' };

/** The scenario cannot be played here; says why. */
class Skipped extends Error {}

function content({ seed, bytes }) {
  const data = Buffer.allocUnsafe(bytes);
  for (let i = 0; i < bytes; i += 1) data[i] = (seed + i + 7 * (i >> 8) + 13 * (i >> 16)) & 255;
  return data;
}

function* pieces(data) {
  for (let at = 0; at < data.length; at += PIECE) yield data.subarray(at, at + PIECE);
}

function compare(what, found, wanted) {
  if (typeof found === 'bigint') found = Number(found);
  let good = found === wanted;
  if (typeof wanted === 'object' && wanted !== null) {
    only(wanted, ['at_least', 'at_most'], what);
    good = (wanted.at_least ?? found) <= found && found <= (wanted.at_most ?? found);
  }
  assert.ok(good, `${what} is ${found}, expected ${JSON.stringify(wanted)}`);
}

function only(given, known, what) {
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  assert.deepEqual(unknown, [], `${what}: unknown keys ${unknown}`);
  return given;
}

/** One scenario's cloud, directory and client, and what a runner has to remember. */
class Stage {
  session = null;
  supplied = 0;
  generation = 0;

  static async set(about) {
    only(about, ['settings', 'faults', 'login', 'clock'], 'cloud');
    const stage = new Stage();
    stage.cloud = await Cloud.start();
    stage.client = new Client({ stateDir: path.join(stage.cloud.dir, 'state') });
    await stage.cloud.control('settings', about.settings ?? {});
    for (const fault of about.faults ?? []) await stage.cloud.control('fault', fault);
    await stage.login(about.login ?? {});
    await stage.cloud.control('clock', about.clock ?? {});
    return stage;
  }

  async close() {
    try {
      await this.session?.close();
      await this.client.close({ timeoutMs: 30_000 });
    } finally {
      await this.cloud.stop();
    }
  }

  // Each of the following is one kind of step.

  async login({ kind, ...login }) {
    const how = kind === 'api_key' ? 'api_key' : 'login';
    if (how === 'login' && kind !== undefined) login.kind = kind;
    this.profile = await this.cloud.control(how, { profile: 'LAB', dir: path.join(this.cloud.dir, 'oci'), ...login });
  }

  async open(step) {
    const { kind, profile = 'LAB', name, sessions, wait_for_login_ms: waitForLoginMs = 0, supply, expect = { status: 'ok' } } =
      only(step, ['kind', 'profile', 'name', 'sessions', 'wait_for_login_ms', 'supply', 'expect'], 'open');
    await this.session?.close();
    const options = { client: this.client, endpoint: this.cloud.endpoint, waitForLoginMs };
    if (kind === 'supplied') {
      this.supply({ answer: supply });
      options.supply = () => this.give();
    } else if (kind === 'defined') {
      const sessionsFile = path.join(this.cloud.dir, 'sessions.conf');
      if (sessions) writeFileSync(sessionsFile, sessions.replaceAll('{endpoint}', this.cloud.endpoint), { mode: 0o600 });
      Object.assign(options, { name, sessionsFile });
    } else {
      assert.equal(kind, 'profile', `unknown kind ${kind}`);
      Object.assign(options, { profile, configFile: this.profile.config_file, authEndpoint: this.cloud.endpoint });
    }
    let status = 'ok';
    try {
      this.session = new Session(options);
    } catch (error) {
      if (!(error instanceof OutlastError)) throw error;
      status = error.code;
    }
    compare('status', status, only(expect, ['status'], 'open.expect').status);
  }

  supply({ answer }) {
    assert.ok(['fresh', 'sign-in-needed'].includes(answer), `unknown supply ${answer}`);
    this.answer = answer;
  }

  async give() {
    if (this.answer === 'sign-in-needed') throw new OutlastError('sign-in-needed', 'nobody is signed in');
    await this.cloud.control('refresh', { profile: 'LAB' });
    this.supplied += 1;
    const { token } = await this.cloud.control('token?profile=LAB');
    return { token, privateKey: readFileSync(this.profile.key_file) };
  }

  async start(step) {
    const { object, bucket = this.cloud.bucket, source, options } = only(step, ['object', 'bucket', 'source', 'options'], 'start');
    only(options, Object.keys(OPTIONS), 'options');
    const chosen = Object.fromEntries(Object.entries(options).map(([name, value]) => [OPTIONS[name], value]));
    Object.assign(chosen, { bucketName: bucket, namespace: this.cloud.namespace, name: object });
    const data = content(only(source, ['kind', 'bytes', 'seed'], 'source'));
    const file = path.join(this.cloud.dir, `source-${source.seed}-${source.bytes}`);
    if (['path', 'fd'].includes(source.kind) && !existsSync(file)) writeFileSync(file, data);
    const uploader = new Uploader(this.session);
    this.began = performance.now();
    this.events = new Map();
    this.failure = null;
    try {
      this.upload = await this.begin(uploader, source.kind, file, data, chosen);
      this.told = this.upload.events();
    } catch (error) {
      if (!(error instanceof OutlastError)) throw error;
      this.failure = error;
    }
  }

  async begin(uploader, kind, file, data, chosen) {
    switch (kind) {
      case 'path':
        return uploader.start(file, chosen);
      case 'fd': {
        const handle = await open(file);
        try {
          return await uploader.start(handle, chosen);
        } finally {
          // The library has a descriptor of its own.
          await handle.close();
        }
      }
      case 'bytes':
        return uploader.start(data, chosen);
      case 'stream':
        return uploader.start(Readable.from(pieces(data)), chosen);
      case 'writer': {
        // What is pushed: a PassThrough is Node's pushing end.
        const end = new PassThrough();
        const upload = await uploader.start(end, chosen);
        for (const piece of pieces(data)) if (!end.write(piece)) await new Promise((resolve) => end.once('drain', resolve));
        end.end();
        return upload;
      }
      default:
        throw new assert.AssertionError({ message: `unknown source ${kind}` });
    }
  }

  count(kind) {
    return this.events.get(kind) ?? 0;
  }

  async await({ event, count }) {
    if (this.failure) return;
    while (event === undefined || this.count(event) < count) {
      const { done, value } = await this.told.next();
      if (done) {
        assert.equal(event, undefined, `the upload ended before ${count} of ${event}`);
        return;
      }
      this.events.set(value.kind, this.count(value.kind) + 1);
    }
  }

  async wait({ expect }) {
    await this.await({});
    const found = { status: 'ok', took_ms: performance.now() - this.began };
    try {
      if (this.failure) throw this.failure;
      const result = await this.upload.wait();
      for (const [name, field] of Object.entries(RESULT)) found[name] = result[field];
    } catch (error) {
      if (!(error instanceof OutlastError)) throw error;
      const { code, retry, resumable, httpStatus, message } = error;
      Object.assign(found, { status: code, retry, resumable, http_status: httpStatus, said: message });
    }
    for (const [name, wanted] of Object.entries(expect)) {
      if (name === 'events') {
        for (const [kind, number] of Object.entries(wanted)) compare(`events ${kind}`, this.count(kind), number);
      } else {
        assert.ok(name in found, `${name} cannot be compared: ${found.status} ${found.said ?? ''}`);
        compare(`${name}${found.said ? ` (${found.said})` : ''}`, found[name], wanted);
      }
    }
  }

  async sign(step) {
    const { method, target, content_type: contentType, body, status, newer = false } =
      only(step, ['method', 'target', 'content_type', 'body', 'status', 'newer'], 'sign');
    const url = this.cloud.endpoint + target;
    const options = body === undefined ? {} : { body, contentType };
    const { headers: { host, 'content-length': length, ...headers }, generation } = await this.session.sign(method, url, options);
    // A bearer token's headers say nothing of the request.
    if (host !== undefined) assert.equal(host, new URL(url).host);
    assert.equal(length, body === undefined ? undefined : String(body.length));
    assert.ok(!newer || generation > this.generation, `still generation ${generation}`);
    this.generation = generation;
    if (contentType) headers['content-type'] = contentType;
    const answer = await fetch(url, { method, headers, body });
    await answer.arrayBuffer();
    if (answer.status !== 401) this.session.accept(generation);
    compare('status', answer.status, status);
  }

  async token() {
    const token = await this.session.token();
    assert.equal(token.value, (await this.cloud.control('token?profile=LAB')).token, 'not the newest token');
    assert.ok(token.generation >= this.generation);
  }

  async check(wanted) {
    only(wanted, ['objects', 'uploads', 'stats', 'supplied'], 'check');
    if ('objects' in wanted) {
      const found = {};
      for (const { bucket, name } of await this.cloud.control('objects')) {
        const bytes = await this.cloud.control(`bytes?bucket=${bucket}&name=${encodeURIComponent(name)}`);
        found[name] = createHash('sha256').update(bytes).digest('hex');
      }
      assert.deepEqual(found, wanted.objects);
    }
    if ('uploads' in wanted) compare('uploads', (await this.cloud.control('uploads')).length, wanted.uploads);
    if ('supplied' in wanted) compare('supplied', this.supplied, wanted.supplied);
    if ('stats' in wanted) {
      const stats = await this.cloud.control('stats');
      for (const [name, number] of Object.entries(wanted.stats)) compare(`stats ${name}`, stats[name], number);
    }
  }

  async step({ do: act, ...keys }) {
    const acts = {
      open: () => this.open(keys),
      start: () => this.start(keys),
      await: () => this.await(only(keys, ['event', 'count'], act)),
      wait: () => this.wait(only(keys, ['expect'], act)),
      sign: () => this.sign(keys),
      token: () => this.token(only(keys, [], act)),
      check: () => this.check(keys),
      login: () => this.login(keys),
      control: () => this.cloud.control(only(keys, ['path', 'body'], act).path, keys.body),
      supply: () => this.supply(only(keys, ['answer'], act)),
      cancel: () => this.upload.cancel({ onFailure: only(keys, ['on_failure'], act).on_failure }),
      pause: () => this.upload.pause(),
      resume: () => this.upload.resume(),
      touch: () => this.session.touch(),
      reject: () => this.session.reject(this.generation),
    };
    assert.ok(Object.hasOwn(acts, act), `unknown step ${act}`);
    assert.ok(this.session || ['open', 'login', 'control', 'check'].includes(act), 'no session');
    await acts[act]();
  }
}

/** What a step says, or that it took too long. */
async function inTime(step) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing happened for ${LIMIT / 1000} s`)), LIMIT);
  });
  try {
    return await Promise.race([step, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function play(scenario) {
  only(scenario, ['name', 'about', 'needs', 'cloud', 'steps'], 'scenario');
  for (const feature of scenario.needs) if (!hasFeature(feature)) throw new Skipped(`this library has no ${feature}`);
  const stage = await Stage.set(scenario.cloud ?? {});
  try {
    for (const [index, step] of scenario.steps.entries()) {
      try {
        await inTime(stage.step(step));
      } catch (error) {
        throw new Error(`step ${index + 1}: ${step.do} ${error.message}`, { cause: error });
      }
    }
  } finally {
    await stage.close();
  }
}

const directory = process.env.OUTLAST_SCENARIOS ?? fileURLToPath(new URL('../../../tests/scenarios', import.meta.url));
const names = process.argv.slice(2);
for (const file of readdirSync(directory).filter((name) => name.endsWith('.json')).sort()) {
  const name = path.basename(file, '.json');
  if (names.length > 0 && !names.includes(name)) continue;
  const began = performance.now();
  let line;
  try {
    await play(JSON.parse(readFileSync(path.join(directory, file), 'utf8')));
    line = `played ${name} ${((performance.now() - began) / 1000).toFixed(1)}`;
  } catch (error) {
    if (error instanceof Skipped) {
      line = `skipped ${name} ${error.message}`;
    } else {
      line = `failed ${name} ${error.message.replaceAll('\n', ' ')}`;
      process.exitCode = 1;
      if (!(error.cause instanceof assert.AssertionError)) console.error(error);
    }
  }
  console.log(line);
  if (process.env.OUTLAST_REPORT) appendFileSync(process.env.OUTLAST_REPORT, `${line}\n`);
}
