// The smaller component: a session alone, for requests that the host sends itself.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";
import { Cloud } from "../cloud.mjs";

_setPreopens({});
const { sessions } = await import("../build/keeper/outlast-keeper.js");

test("fresh headers for a request, renewed when the service refuses them", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "outlast-keeper-"));
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
  const host = new URL(cloud.endpoint).host;
  const ask = async () => {
    const signed = session.sign({ method: "get", host, target: "/n" }, 5_000_000_000n);
    const headers = signed.headers.filter(([name]) => name !== "host");
    const answer = await fetch(`${cloud.endpoint}/n`, { headers });
    session.report(signed.generation, answer.status);
    return [answer.status, Number(signed.generation)];
  };
  assert.deepEqual(await ask(), [200, 1]);
  await cloud.post("fault", { on: { ops: ["get_namespace"] }, when: { count: 1 }, do: { kind: "answer", status: 401, code: "NotAuthenticated" } });
  assert.deepEqual(await ask(), [401, 1]);
  assert.deepEqual(await ask(), [200, 2]);
  assert.equal((await cloud.json("stats")).refreshes, 1);
  assert.equal(session.status().state, "fresh");
});
