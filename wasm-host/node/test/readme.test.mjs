// The README's example, run: its job with this machine's folders and the loopback cloud's addresses.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Cloud } from "../cloud.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

test("the README's job is done by the README's command", async (t) => {
  const readme = readFileSync(here("../../README.md"), "utf8");
  const job = JSON.parse(readme.split("```json\n")[1].split("```")[0]);
  assert.match(readme, /^node put\.mjs job\.json$/m);
  const dir = mkdtempSync(join(tmpdir(), "outlast-readme-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const cloud = await Cloud.start("--dir", join(dir, "oci"), "--login", "LAB", "--namespace", job.upload.namespaceName);
  t.after(() => cloud.stop());
  for (const name of ["/data", "/state"]) {
    job.folders[name] = join(dir, name);
    mkdirSync(job.folders[name]);
  }
  job.folders["/session"] = dirname(cloud.facts.profiles[0].key_file);
  job.session.endpoint = cloud.endpoint;
  job.session.authEndpoint = cloud.facts.auth_endpoint ?? cloud.endpoint;
  const bytes = randomBytes(70_000);
  writeFileSync(join(dir, job.upload.file), bytes);
  writeFileSync(join(dir, "job.json"), JSON.stringify(job));
  const ran = spawnSync(process.execPath, [here("../put.mjs"), join(dir, "job.json")], { encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  const last = JSON.parse(ran.stdout.trim().split("\n").at(-1));
  assert.equal(last.outcome.size, bytes.length);
  assert.deepEqual(await cloud.bytes(job.upload.bucketName, "db.dump"), bytes);
});
