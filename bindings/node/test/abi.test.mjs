// The generated table is the header's, the layouts are the compiler's, and a library that does not fit is refused.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../..', import.meta.url));
const here = fileURLToPath(new URL('..', import.meta.url));
const abi = require('../src/abi.cjs');
const { layouts } = require('../src/library.cjs');
const directory = mkdtempSync(path.join(tmpdir(), 'outlast-abi-'));
after(() => rmSync(directory, { recursive: true }));

test('the table is what the header says', () => {
  const { status, stderr } = spawnSync(process.execPath, [path.join(here, 'tools/abi.mjs'), '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

test('every exported function has a type', () => {
  const ledger = readFileSync(path.join(root, 'include/symbols.txt'), 'utf8').split('\n').filter((line) => line && !line.startsWith('#'));
  assert.deepEqual(Object.keys(abi.functions).sort(), ledger.sort());
});

test('layouts are those of the compiler', () => {
  const lines = ['#include <stdio.h>', '#include "outlast.h"', 'int main(void) {'];
  const expected = [];
  for (const [name, { size, fields }] of Object.entries(layouts)) {
    for (const [field, { at }] of Object.entries(fields)) {
      lines.push(`  printf("${name}.${field} %zu\\n", offsetof(${name}, ${field}));`);
      expected.push(`${name}.${field} ${at}`);
    }
    lines.push(`  printf("${name} %zu\\n", sizeof(${name}));`);
    expected.push(`${name} ${size}`);
  }
  assert.ok(expected.length > 100);
  const [source, program] = [path.join(directory, 'layout.c'), path.join(directory, 'layout')];
  writeFileSync(source, [...lines, '  return 0;', '}', ''].join('\n'));
  execFileSync('cc', ['-I', path.join(root, 'include'), source, '-o', program]);
  assert.deepEqual(execFileSync(program, { encoding: 'utf8' }).trim().split('\n'), expected);
});

function load(library) {
  const env = { ...process.env, OUTLAST_LIBRARY: library };
  const { status, stderr } = spawnSync(process.execPath, ['-e', "require('outlast')"], { cwd: here, env, encoding: 'utf8' });
  return { status, stderr };
}

test('a library of another ABI, another library and no library are refused with a word', () => {
  const source = path.join(directory, 'other.c');
  writeFileSync(source, 'unsigned outlast_abi_version(void) { return 99; }');
  const other = path.join(directory, 'other.so');
  execFileSync('cc', ['-shared', '-fPIC', source, '-o', other]);
  assert.match(load(other).stderr, /has ABI 99, this package needs 1; install the two together/);
  writeFileSync(source, `unsigned outlast_abi_version(void) { return ${abi.constants.ABI_VERSION}; }`);
  execFileSync('cc', ['-shared', '-fPIC', source, '-o', other]);
  assert.match(load(other).stderr, /is older than this package: it lacks outlast_version/);
  writeFileSync(source, 'int something_else;');
  execFileSync('cc', ['-shared', '-fPIC', source, '-o', other]);
  assert.match(load(other).stderr, /is not the Outlast library/);
  assert.match(load('/no/such/library.so').stderr, /cannot be loaded; build it \(npm run build\)/);
});
