// Uploads one file with the component, in plain Node: `node put.mjs JOB.json`.
//
// JOB.json: { folders: { "/name": "/folder/of/this/machine" }, session: {…}, upload: {…} }, where `session` and `upload` are
// the contract's records in jco's spelling (camelCase; sizes and milliseconds as numbers). One line of JSON per notice goes
// to stdout, the last one is { "outcome": … } or { "error": … }. Exit codes: 0 done, 1 failed, 75 somebody has to sign in.

import { readFileSync, writeSync } from "node:fs";
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";

const STEP_NS = 200_000_000n;
const BIG = ["waitForLoginMs", "partSize", "limitRate"];

const line = (value) => {
  const plain = (_, item) => (typeof item === "bigint" ? Number(item) : item);
  // Written at once: a killed process has told what it did.
  writeSync(1, `${JSON.stringify(value, plain)}\n`);
};

const big = (record) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, BIG.includes(key) ? BigInt(value) : value]));

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
// The shim opens the whole machine unless told otherwise.
_setPreopens(job.folders);
const { sessions, uploads } = await import("./build/outlast.js");

let code = 0;
try {
  const session = sessions.Session.open(big(job.session));
  const upload = uploads.Upload.start(session, big(job.upload));
  let outcome;
  while (outcome === undefined) {
    for (const notice of session.step(STEP_NS)) {
      line(notice);
    }
    outcome = upload.outcome();
  }
  if (outcome.tag === "err") {
    throw Object.assign(new Error(outcome.val.message), { payload: outcome.val });
  }
  line({ outcome: outcome.val });
} catch (error) {
  if (error.payload === undefined) {
    throw error;
  }
  line({ error: error.payload });
  code = error.payload.kind === "sign-in-needed" ? 75 : 1;
}
process.exit(code);
