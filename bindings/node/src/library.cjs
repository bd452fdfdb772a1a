// Finding and loading the shared library: its functions, the layouts of its structs.
'use strict';

const { existsSync } = require('node:fs');
const path = require('node:path');
const koffi = require('koffi');
const abi = require('./abi.cjs');

const NAME = process.platform === 'darwin' ? 'liboutlast.dylib' : 'liboutlast.so';

/** `OUTLAST_LIBRARY` first, then the package's own, then wherever the system's loader looks. */
function find() {
  const given = process.env.OUTLAST_LIBRARY;
  if (given) return path.resolve(given);
  const own = path.join(__dirname, '..', 'lib', NAME);
  return existsSync(own) ? own : NAME;
}

const where = find();
const system = koffi.load(null);
pin(where);
const library = open(where);

// A worker thread that ends unloads what it loaded, while threads of the library may still run: it stays for good.
function pin(file) {
  const flags = { linux: 0x1002, android: 0x1002, darwin: 0x82, freebsd: 0x2002 }[process.platform];
  if (flags !== undefined) system.func('dlopen', 'void *', ['str', 'int'])(file, flags);
}

// Not inherited by programs that are started.
function duplicate(fd) {
  const command = { linux: 1030, android: 1030, darwin: 67, freebsd: 17 }[process.platform];
  const copy = system.func('int fcntl(int fd, int command, ...)')(fd, command, 'int', 0);
  if (copy < 0) throw new Error('no file descriptor is left');
  return copy;
}

function open(file) {
  let loaded;
  try {
    loaded = koffi.load(file);
  } catch (cause) {
    const hint = 'build it (npm run build), install it, or name it in OUTLAST_LIBRARY';
    throw new Error(`the library ${file} cannot be loaded; ${hint}`, { cause });
  }
  let found;
  try {
    found = loaded.func('outlast_abi_version', 'uint32_t', [])();
  } catch (cause) {
    throw new Error(`${file} is not the Outlast library`, { cause });
  }
  const wanted = abi.constants.ABI_VERSION;
  if (found !== wanted) throw new Error(`${file} has ABI ${found}, this package needs ${wanted}; install the two together`);
  return loaded;
}

const types = { text: 'str', outlast_str: koffi.struct({ data: 'void *', len: 'size_t' }) };
/** name: { size, fields: { name: { type, at } } } */
const layouts = {};
for (const [name, fields] of Object.entries(abi.structs)) {
  // Nameless, so that two copies of this package do not get into each other's way.
  types[name] ??= koffi.struct(Object.fromEntries(Object.entries(fields).map(([field, type]) => [field, koffiType(type)])));
  layouts[name] = { size: koffi.sizeof(types[name]), fields: {} };
  for (const [field, type] of Object.entries(fields)) {
    layouts[name].fields[field] = { type, at: koffi.offsetof(types[name], field) };
  }
}

// Structs go by address, in memory of ours (memory.cjs); so every pointer is one.
function koffiType(type) {
  return type.includes(' ') || type === '*' ? 'void *' : (types[type] ?? type);
}

/** The library's functions by name; each has `.async` besides. */
const functions = {};
for (const [name, [result, parameters]] of Object.entries(abi.functions)) {
  try {
    functions[name] = library.func(name, koffiType(result), parameters.map(koffiType));
  } catch (cause) {
    throw new Error(`${where} is older than this package: it lacks ${name}`, { cause });
  }
}

module.exports = {
  where,
  layouts,
  functions,
  /** What is allocated here can be freed by the library: it is given the address of `free`, which needs no JavaScript. */
  malloc: system.func('malloc', 'void *', ['size_t']),
  memcpy: system.func('memcpy', 'void *', ['void *', 'void *', 'size_t']),
  free: system.func('free', 'void', ['void *']),
  freeAddress: system.symbol('free'),
  address: koffi.address,
  string: (pointer, length) => koffi.decode.string(pointer, length),
  duplicate,
};
