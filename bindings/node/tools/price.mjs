#!/usr/bin/env node
// What a fresh token costs through koffi, and what a signature does; against a loopback cloud (OUTLAST_CLOUD).

import { createRequire } from 'node:module';
import { Session } from 'outlast';
import { Cloud } from '../test/cloud.mjs';

const require = createRequire(import.meta.url);
const { functions, where } = require('../src/library.cjs');

const cloud = await Cloud.start();
const session = new Session(await cloud.login());
await session.token();

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
await cloud.stop();
