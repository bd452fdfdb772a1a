// The package as users install it: packed, installed without any script, loaded both ways.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';

const here = fileURLToPath(new URL('..', import.meta.url));
const directory = mkdtempSync(path.join(tmpdir(), 'outlast-package-'));
after(() => rmSync(directory, { recursive: true }));

const run = (command, parameters, cwd, env = process.env) => execFileSync(command, parameters, { cwd, env, encoding: 'utf8' });

test('it is packed with the library, and installed without a compiler', () => {
  const { libraryFile, version } = createRequire(import.meta.url)('outlast');
  const [stage, app] = [path.join(directory, 'stage'), path.join(directory, 'app')];
  const own = new Set(['node_modules', 'lib', 'test']);
  cpSync(here, stage, { recursive: true, filter: (file) => !own.has(path.relative(here, file)) });
  const library = path.join(directory, path.basename(libraryFile));
  // Without its debug information; what is packed in earnest is a release build.
  run('strip', ['--strip-debug', '-o', library, libraryFile], directory);
  const packed = run('npm', ['pack', '--silent'], stage, { ...process.env, OUTLAST_LIBRARY: library }).trim().split('\n').at(-1);
  mkdirSync(app);
  writeFileSync(path.join(app, 'package.json'), '{ "private": true }');
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', path.join(stage, packed)], app);

  const env = { ...process.env };
  delete env.OUTLAST_LIBRARY;
  const installed = path.join(app, 'node_modules/outlast');
  const wanted = `${version} ${path.join(installed, 'lib', path.basename(libraryFile))}\n`;
  const say = 'console.log(outlast.version, outlast.libraryFile); new outlast.Client({ workers: 1 });';
  assert.equal(run(process.execPath, ['-e', `const outlast = require('outlast'); ${say}`], app, env), wanted);
  assert.equal(run(process.execPath, ['--input-type=module', '-e', `import * as outlast from 'outlast'; ${say}`], app, env), wanted);
  for (const file of ['README.md', 'types/index.d.cts', 'types/index.d.mts', 'types/oci.d.cts']) assert.ok(statSync(path.join(installed, file)).size);
  for (const file of ['test', 'tools', 'node_modules/oci-common']) assert.throws(() => statSync(path.join(installed, file)));
  // The SDK is only needed by those who use it.
  const missing = "require('outlast/oci'); console.log('fine')";
  assert.equal(run(process.execPath, ['-e', missing], app, env), 'fine\n');
});
