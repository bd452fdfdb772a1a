// Every example of the README runs, against the loopback cloud, as a program of its own.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import ts from 'typescript';
import { Cloud } from './cloud.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));
const examples = [...readFileSync(path.join(here, 'README.md'), 'utf8').matchAll(/```(js|ts)\n(.*?)```/gs)];
const REGION = 'https://objectstorage.us-phoenix-1.oraclecloud.com';
const BROKER = 'http://broker.internal/credential';

let cloud;
let broker;
let login;
before(async () => {
  cloud = await Cloud.start();
  await cloud.control('bucket', { name: 'backups' });
  login = await cloud.login();
  const { files } = cloud;
  broker = createServer((_, answer) => {
    answer.end(JSON.stringify({ token: String(cloud.read(files.token)), privateKey: String(cloud.read(files.key)) }));
  });
  await new Promise((resolve) => broker.listen(0, '127.0.0.1', resolve));
  // Where a program finds the package, and the packages beside it.
  const modules = path.join(cloud.dir, 'node_modules');
  mkdirSync(modules);
  symlinkSync(here, path.join(modules, 'outlast'));
  for (const name of ['oci-common', 'oci-objectstorage']) symlinkSync(path.join(here, 'node_modules', name), path.join(modules, name));
  writeFileSync(path.join(cloud.dir, 'db.tar'), 'backup'.repeat(2000).slice(0, 10_000));
});
after(async () => {
  broker.close();
  await cloud.stop();
});

test('there are examples', () => assert.ok(examples.length >= 8));

examples.forEach(([, language, code], index) => {
  test(`example ${index + 1}`, async () => {
    code = code
      .replaceAll("'LAB'", JSON.stringify(login.profile))
      .replaceAll(REGION, cloud.endpoint)
      .replaceAll(BROKER, `http://127.0.0.1:${broker.address().port}/`);
    if (language === 'ts') {
      // `await using` is younger than the oldest Node that we run on.
      code = ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText;
    }
    const file = path.join(cloud.dir, `example-${index + 1}.${code.includes('require(') ? 'cjs' : 'mjs'}`);
    writeFileSync(file, code);
    // The examples name the profile only; everything else is the environment's.
    const home = path.join(cloud.dir, 'home');
    mkdirSync(path.join(home, '.oci'), { recursive: true });
    writeFileSync(path.join(home, '.oci/config'), cloud.read(login.configFile));
    const env = { ...process.env, HOME: home, OCI_CLI_ENDPOINT: cloud.endpoint };
    const { error, stdout, stderr } = await new Promise((resolve) => {
      execFile(process.execPath, ['--preserve-symlinks-main', file], { cwd: cloud.dir, env, timeout: 60_000 }, (error, stdout, stderr) =>
        resolve({ error, stdout, stderr }));
    });
    assert.equal(error, null, stderr);
    assert.ok(stdout + stderr !== '' || code.includes('supplied'), 'it says something');
    rmSync(home, { recursive: true });
  });
});
