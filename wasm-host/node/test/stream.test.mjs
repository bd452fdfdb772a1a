// A stream: bytes that the host writes as they come.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";
import { Cloud } from "../cloud.mjs";

_setPreopens({});
const { sessions, uploads } = await import("../build/outlast.js");

test("a stream of unknown length goes in parts as it comes", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "outlast-stream-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const cloud = await Cloud.start("--dir", dir, "--login", "LAB");
  t.after(() => cloud.stop());
  const [profile] = cloud.facts.profiles;
  const session = sessions.Session.open({
    endpoint: cloud.endpoint,
    source: {
      tag: "secret",
      val: { key: readFileSync(profile.key_file, "utf8"), securityToken: readFileSync(profile.token_file, "utf8") },
    },
  });
  const upload = uploads.Upload.startStream(session, {
    namespaceName: "labns",
    bucketName: "mybucket",
    file: "stdin",
    partSize: BigInt(1 << 20),
    parallelUploadCount: 3,
  });
  const bytes = randomBytes(5 * (1 << 20) + 77);
  let [at, outcome] = [0, undefined];
  while (at < bytes.length && outcome === undefined) {
    const taken = Number(upload.write(bytes.subarray(at, at + 100_000)));
    at += taken;
    // Without room there is time to wait.
    session.step(taken > 0 ? 0n : 20_000_000n);
    outcome = upload.outcome();
  }
  assert.equal(upload.progress().total, undefined);
  upload.finish();
  while (outcome === undefined) {
    session.step(200_000_000n);
    outcome = upload.outcome();
  }
  assert.equal(outcome.tag, "ok", JSON.stringify(outcome.val.message));
  assert.deepEqual([outcome.val.parts, outcome.val.verified, Number(outcome.val.size)], [6, true, bytes.length]);
  assert.deepEqual(await cloud.bytes("mybucket", "stdin"), bytes);
  assert.throws(() => upload.write(bytes.subarray(0, 1)), (error) => error.payload.kind === "invalid-input");
});
