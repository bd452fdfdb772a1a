#!/usr/bin/env node
// What a fresh token costs through koffi, and what a signature does; against a loopback cloud (OUTLAST_CLOUD).

import { createRequire } from 'node:module';
import { Session } from 'outlast';
import { Cloud } from '../test/cloud.mjs';

const require = createRequire(import.meta.url);
const { functions, where } = require('../src/library.cjs');
const { Place, Struct, block } = require('../src/memory.cjs');
const { call } = require('../src/calls.cjs');

const cloud = await Cloud.start();
const login = await cloud.login();
const session = new Session(login);
await session.token();

// The bare call, without anything that the package makes of it.
const client = new Place();
const bare = new Place();
const options = new Struct('outlast_oci_options');
call('outlast_client_new', null, 0n, client);
for (const [name, value] of Object.entries({ profile: login.profile, config_file: login.configFile, endpoint: cloud.endpoint, auth_endpoint: cloud.endpoint })) {
  options.set(name, value);
}
call('outlast_session_open_oci', client.value, options, bare);
const handle = bare.value;
const buffer = block(16 * 1024);
const facts = new Struct('outlast_token');
call('outlast_session_token', handle, 10_000, buffer, buffer.length, facts);

/** Median of seven runs, in nanoseconds per call. */
async function measure(rounds, run) {
  const runs = [];
  for (let index = 0; index < 7; index += 1) {
    const began = process.hrtime.bigint();
    await run(rounds);
    runs.push(Number(process.hrtime.bigint() - began) / rounds);
  }
  return runs.sort((left, right) => left - right)[3];
}

const prices = {
  'a call of koffi that does nothing (outlast_abi_version)': await measure(200_000, (rounds) => {
    for (let index = 0; index < rounds; index += 1) functions.outlast_abi_version();
  }),
  'a fresh token through koffi (outlast_session_token)': await measure(20_000, (rounds) => {
    for (let index = 0; index < rounds; index += 1) {
      if (functions.outlast_session_token(handle, 0, buffer, buffer.length, facts.bytes, null) !== 0) throw new Error('not fresh');
    }
  }),
  'await session.token(), fresh': await measure(20_000, async (rounds) => {
    for (let index = 0; index < rounds; index += 1) await session.token();
  }),
  'await session.sign(…)': await measure(50, async (rounds) => {
    for (let index = 0; index < rounds; index += 1) await session.sign('GET', `${cloud.endpoint}/n/`);
  }),
};
console.log(where);
for (const [what, ns] of Object.entries(prices)) console.log(`${what}: ${(ns / 1000).toFixed(2)} µs`);
await session.close();
functions.outlast_session_free(handle);
functions.outlast_client_free(client.value);
await cloud.stop();
