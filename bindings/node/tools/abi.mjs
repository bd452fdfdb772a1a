#!/usr/bin/env node
// Writes src/abi.cjs from include/outlast.h; with --check it only says whether that is up to date.
//
// The header is generated and regular: constants, structs of plain fields, function types and prototypes.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const header = fileURLToPath(new URL('../../../include/outlast.h', import.meta.url));
const target = fileURLToPath(new URL('../src/abi.cjs', import.meta.url));

const plain = new Set(['size_t', 'uint8_t', 'uint32_t', 'int32_t', 'uint64_t', 'int64_t', 'double']);

function generate(text) {
  const code = text.replace(/\/\*.*?\*\//gs, '').replace(/\/\/[^\n]*/g, '');
  const structs = new Map();
  const structPattern = /typedef struct (\w+) \{(.*?)\} \1;/gs;
  for (const [, name, body] of code.matchAll(structPattern)) structs.set(name, body);
  const callbacks = new Set([...code.matchAll(/typedef \w+ \(\*(\w+)\)\(/g)].map(([, name]) => name));
  const prototypes = code
    .replace(structPattern, '')
    .split('static inline')[0]
    // Preprocessor lines and the linkage block end nothing.
    .replace(/^#.*$|extern "C" \{/gm, '');

  // What a type is to koffi: a plain one, a struct by its name, or `*`, a pointer. Handles are pointers that stay closed;
  // a place for one is `out *`, one for a struct `out NAME`, one that is only read `in NAME`.
  const kind = (given) => {
    const constant = /\bconst\b/.test(given);
    const words = given.replace(/\b(const|struct)\b/g, '').replace(/\s+/g, ' ').trim();
    const stars = (words.match(/\*/g) ?? []).length;
    const base = words.replaceAll('*', '').trim();
    if (stars === 0) {
      if (base === 'outlast_status') return 'int32_t';
      if (plain.has(base) || structs.has(base) || base === 'void') return base;
      if (callbacks.has(base)) return '*';
    }
    if (stars === 1 && structs.has(base)) return `${constant ? 'in' : 'out'} ${base}`;
    if (stars === 1 && base === 'size_t') return 'out size_t';
    if (stars === 1) return '*';
    if (stars === 2) return 'out *';
    throw new Error(`a type this tool does not know: ${given}`);
  };
  const split = (text) => {
    const [, type, name] = text.replace(/\s+/g, ' ').trim().match(/^(.*?)(\w+)$/);
    return { type, name };
  };

  const lines = [
    '// The C ABI as koffi sees it. Generated from include/outlast.h by tools/abi.mjs; change it there.',
    "'use strict';",
    '',
    'exports.constants = {',
  ];
  for (const [, name, value] of code.matchAll(/^#define OUTLAST_(\w+) \(?(-?\d+)\)?$/gm)) lines.push(`  ${name}: ${value},`);
  lines.push('};', '', '// name: { field: type }', 'exports.structs = {');
  const done = new Set();
  const emit = (name) => {
    if (done.has(name)) return;
    done.add(name);
    const fields = structs.get(name).split(';').map((field) => field.trim()).filter(Boolean).map(split);
    for (const { type } of fields) {
      const needed = kind(type).split(' ').at(-1);
      if (structs.has(needed)) emit(needed);
    }
    lines.push(`  ${name}: {`);
    // A pointer within a struct is a number like any other: whoever fills it keeps what it points to.
    for (const field of fields) lines.push(`    ${field.name}: '${field.type.includes('*') ? '*' : kind(field.type)}',`);
    lines.push('  },');
  };
  for (const name of structs.keys()) emit(name);
  lines.push('};', '', '// name: [result, arguments]', 'exports.functions = {');
  for (const [, result, name, list] of prototypes.matchAll(/^((?:const )?(?:struct )?\w+ \**)(outlast_\w+)\(([^;{}]*?)\);/gm)) {
    const given = list.trim() === 'void' ? [] : list.split(',').map((argument) => split(argument).type);
    const types = given.map((type) => `'${kind(type)}'`).join(', ');
    const returned = result.trim() === 'const char *' ? 'text' : kind(result);
    lines.push(`  ${name}: ['${returned}', [${types}]],`);
  }
  lines.push('};', '');
  return lines.join('\n');
}

const text = generate(readFileSync(header, 'utf8'));
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('src/abi.cjs is not what include/outlast.h says: run `node tools/abi.mjs`');
    process.exitCode = 1;
  }
} else {
  writeFileSync(target, text);
}
