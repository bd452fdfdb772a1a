// How processes and worker threads end while something is open or under way.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import * as imported from 'outlast';
import { Cloud, MIB } from './cloud.mjs';

let cloud;
before(async () => { cloud = await Cloud.start(); });
after(() => cloud.stop());

/** Runs a program to its end: exit code or signal, what it printed, and how long it took. */
async function run(program, act, { limitRate = 0, options, flags = [] } = {}) {
  const file = fileURLToPath(new URL(`programs/${program}`, import.meta.url));
  const given = { session: options ?? (await cloud.login()), bucket: cloud.bucket, limitRate };
  const began = performance.now();
  return new Promise((resolve) => {
    execFile(process.execPath, [...flags, file, act], { env: { ...process.env, OPTIONS: JSON.stringify(given) }, timeout: 90_000 },
      (error, stdout, stderr) => resolve({
        code: error?.signal ?? error?.code ?? 0, stdout, stderr, ms: performance.now() - began,
      }));
  });
}

test('an open uploader that is idle does not keep the process', async () => {
  const { code, stdout, stderr, ms } = await run('main.mjs', 'idle');
  assert.deepEqual([code, stdout], [0, 'done\n'], stderr);
  assert.ok(ms < 60_000, `${ms} ms`);
});

test('an upload under way keeps it, even if nobody waits', async () => {
  const { code, stdout, stderr } = await run('main.mjs', 'running', { limitRate: MIB });
  assert.deepEqual([code, stdout], [0, 'done\n'], stderr);
  assert.equal((await cloud.stored('running')).length, MIB);
});

for (const act of ['exit', 'exit-in-progress', 'throw']) {
  test(`the process ends during an upload: ${act}`, async () => {
    const { code, stderr, ms } = await run('main.mjs', act, { limitRate: MIB / 4 });
    assert.equal(code, act === 'throw' ? 1 : 7, stderr);
    assert.ok(act === 'throw' ? stderr.includes('a defect of the host') : stderr === '', stderr);
    assert.ok(ms < 60_000, `${ms} ms`);
  });
}

test('the process ends while calls wait', async () => {
  const options = await cloud.login(1);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  const { code, stderr, ms } = await run('main.mjs', 'exit-waiting', { options: { ...options, waitForLoginMs: 3_600_000 } });
  assert.deepEqual([code, stderr], [7, '']);
  assert.ok(ms < 60_000, `${ms} ms`);
});

test('what everybody has forgotten is closed', { skip: !existsSync('/proc/self/task') && 'threads are counted in /proc' }, async () => {
  const { code, stdout, stderr } = await run('main.mjs', 'forgotten', { flags: ['--expose-gc'] });
  assert.deepEqual([code, stdout], [0, 'collected\ndone\n'], stderr);
});

for (const [act, wanted] of [
  ['finish', 'size 1048576n\nended 0\ndone\n'],
  ['leave', 'size 1048576n\nended 0\ndone\n'],
  ['exit', 'ended 7\ndone\n'],
  ['terminate', 'ended 1\ndone\n'],
  ['terminate-later', 'ended 1\ndone\n'],
]) {
  test(`a worker thread uploads and ends: ${act}`, async () => {
    for (let round = 0; round < (act.startsWith('terminate') ? 3 : 1); round += 1) {
      const { code, stdout, stderr } = await run('workers.cjs', act, { limitRate: act === 'finish' || act === 'leave' ? 4 * MIB : MIB / 4 });
      assert.deepEqual([code, stdout, stderr], [0, wanted, '']);
    }
  });
}

test('import and require give the same objects', () => {
  const required = createRequire(import.meta.url)('outlast');
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).filter((name) => name !== 'default').sort());
  for (const [name, value] of Object.entries(required)) assert.equal(imported[name], value, name);
});
