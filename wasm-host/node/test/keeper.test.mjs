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

test("an access token that the host supplies when it is asked", () => {
  const session = sessions.Session.open({ endpoint: "https://storage.example.com", source: { tag: "supplied" } });
  const request = { method: "get", host: "api.example.com", target: "/jobs" };
  const kind = (failed) => failed.payload.kind;
  let asked = 0;
  const sign = () => {
    for (;;) {
      try {
        return session.sign(request, 0n);
      } catch (error) {
        assert.equal(kind(error), "timeout");
      }
      for (const notice of session.step(0n)) {
        if (notice.tag === "wanted") {
          asked += 1;
          session.supply({ tag: "bearer", val: { token: `token-${asked}` } });
        }
      }
    }
  };
  const first = sign();
  assert.deepEqual(first.headers, [["authorization", "Bearer token-1"]]);
  assert.deepEqual(sign(), first);
  session.report(first.generation, 401);
  const second = sign();
  assert.deepEqual(second.headers, [["authorization", "Bearer token-2"]]);
  assert.ok(second.generation > first.generation);
  session.report(second.generation, 200);
  session.report(second.generation, 401);
  assert.throws(() => session.sign(request, 0n), (error) => kind(error) === "timeout");
  while (!session.step(0n).some((notice) => notice.tag === "wanted"));
  session.decline({ signInNeeded: true, message: "nobody is signed in" });
  assert.throws(() => session.sign(request, 0n), (error) => kind(error) === "sign-in-needed");
});
