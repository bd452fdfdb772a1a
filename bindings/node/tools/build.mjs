#!/usr/bin/env node
// Puts the shared library into lib/: built with cargo, or the one that OUTLAST_LIBRARY names. CARGO_TARGET_DIR is obeyed.

import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const name = process.platform === 'darwin' ? 'liboutlast.dylib' : 'liboutlast.so';
const workspace = fileURLToPath(new URL('../../..', import.meta.url));
const target = fileURLToPath(new URL(`../lib/${name}`, import.meta.url));

function build() {
  const given = process.env.OUTLAST_LIBRARY;
  if (given) return path.resolve(given);
  if (!existsSync(path.join(workspace, 'ffi', 'Cargo.toml'))) {
    throw new Error('the sources of the library are not beside this package: name a built one in OUTLAST_LIBRARY');
  }
  const command = ['build', '--release', '--locked', '-p', 'outlast-ffi', '--message-format=json-render-diagnostics'];
  const { error, status, stdout } = spawnSync('cargo', command, {
    cwd: workspace, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error) throw new Error(`cargo cannot be run (${error.message}): install Rust, or name a built library in OUTLAST_LIBRARY`);
  if (status !== 0) throw new Error(`cargo ended with ${status}`);
  for (const line of stdout.split('\n').filter(Boolean)) {
    const found = JSON.parse(line).filenames?.find((file) => path.basename(file) === name);
    if (found) return found;
  }
  throw new Error(`cargo did not say where ${name} is`);
}

try {
  const built = build();
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(built, target);
  console.log(`${path.relative(process.cwd(), target)} is there`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
