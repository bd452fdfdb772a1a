// Memory that the library reads and writes: structs, places for handles, texts.
//
// All of it lives in array buffers that nobody else has, so it can neither move nor be taken away.
'use strict';

const { layouts, address, string } = require('./library.cjs');

/** Bytes of our own. */
function block(size) {
  return Buffer.from(new ArrayBuffer(size));
}

/** A place for a handle or a size. */
class Place {
  bytes = block(8);

  get value() {
    return this.bytes.readBigUInt64LE(0);
  }

  /** The handle, and the place is empty again. */
  take() {
    const value = this.value;
    this.bytes.fill(0);
    return value;
  }
}

/** A struct of the ABI, zeroed, its size set. */
class Struct {
  /** What the struct points to, as long as it lives. */
  kept = [];

  constructor(name) {
    this.layout = layouts[name];
    this.bytes = block(this.layout.size);
    if (this.layout.fields.size) this.set('size', this.layout.size);
  }

  /** Sets a field. A text may be a string or bytes; they are copied. */
  set(field, value) {
    const { type, at } = this.layout.fields[field];
    switch (type) {
      case 'outlast_str':
        return this.text(at, value);
      case 'uint32_t':
        return void this.bytes.writeUInt32LE(Number(value), at);
      case 'int32_t':
        return void this.bytes.writeInt32LE(Number(value), at);
      case 'int64_t':
        return void this.bytes.writeBigInt64LE(BigInt(value), at);
      case 'double':
        return void this.bytes.writeDoubleLE(value, at);
      default:
        return void this.bytes.writeBigUInt64LE(BigInt(value), at);
    }
  }

  /** Points a text at memory that somebody else keeps. */
  point(field, pointer, length) {
    const { at } = this.layout.fields[field];
    this.bytes.writeBigUInt64LE(BigInt(pointer), at);
    this.bytes.writeBigUInt64LE(BigInt(length), at + 8);
  }

  text(at, value) {
    const copy = typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength;
    if (copy === 0) return;
    const held = block(copy);
    if (typeof value === 'string') held.write(value);
    else held.set(value);
    this.kept.push(held);
    this.bytes.writeBigUInt64LE(address(held), at);
    this.bytes.writeBigUInt64LE(BigInt(copy), at + 8);
  }

  /** A field's value: numbers where they fit exactly, bigints for 64 bits, texts or null. */
  get(field) {
    const { type, at } = this.layout.fields[field];
    switch (type) {
      case 'outlast_str':
        return read(this.bytes.readBigUInt64LE(at), Number(this.bytes.readBigUInt64LE(at + 8)));
      case 'uint32_t':
        return this.bytes.readUInt32LE(at);
      case 'int32_t':
        return this.bytes.readInt32LE(at);
      case 'int64_t':
        return this.bytes.readBigInt64LE(at);
      case 'double':
        return this.bytes.readDoubleLE(at);
      default:
        return this.bytes.readBigUInt64LE(at);
    }
  }

  /** A text of this struct, to be passed by value while the struct lives. */
  view(field) {
    const { at } = this.layout.fields[field];
    return { data: this.bytes.readBigUInt64LE(at), len: this.bytes.readBigUInt64LE(at + 8) };
  }

  /** Overwrites the secrets that it points to. */
  wipe() {
    for (const held of this.kept) held.fill(0);
    this.kept.length = 0;
  }
}

/** Several structs of one kind, one after another. */
function array(name, count) {
  const { size } = layouts[name];
  const whole = block(size * count);
  const items = Array.from({ length: count }, (_, index) => {
    const item = new Struct(name);
    item.bytes = whole.subarray(index * size, (index + 1) * size);
    return item;
  });
  return { bytes: whole, items };
}

/** A copy of a text of the library; null if it is empty. */
function read(pointer, length) {
  return length ? string(pointer, length) : null;
}

module.exports = { block, Place, Struct, array, read, address };
