// The component in Node, against the loopback cloud: the same component file as in every other host.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Cloud } from "../cloud.mjs";

const PUT = fileURLToPath(new URL("../put.mjs", import.meta.url));
const MIB = 1 << 20;

const root = mkdtempSync(join(tmpdir(), "outlast-node-"));
after(() => rmSync(root, { recursive: true, force: true }));

// A cloud, somebody signed in there, and a file to upload.
async function scene(t, size, ...flags) {
  const name = t.name.replaceAll(" ", "-");
  const dir = join(root, name);
  const folders = { "/data": join(dir, "data"), "/state": join(dir, "state") };
  Object.values(folders).forEach((folder) => mkdirSync(folder, { recursive: true }));
  const bytes = randomBytes(size);
  writeFileSync(join(folders["/data"], "blob.bin"), bytes);
  const cloud = await Cloud.start("--dir", join(dir, "oci"), "--login", "LAB", ...flags);
  t.after(() => cloud.stop());
  folders["/session"] = dirname(cloud.facts.profiles[0].key_file);
  const session = {
    endpoint: cloud.endpoint,
    source: {
      tag: "files",
      val: { keyFile: "/session/oci_api_key.pem", securityTokenFile: "/session/token", write: true },
    },
  };
  const upload = { namespaceName: "labns", bucketName: "mybucket", file: "/data/blob.bin", name: "dir one/blob+ü.bin", stateDir: "/state" };
  return { cloud, bytes, dir, job: { folders, session, upload } };
}

// Runs the uploader to its end; `watch` sees every notice and the process.
function put({ dir, job }, more = {}, watch = () => {}) {
  const path = join(dir, "job.json");
  writeFileSync(path, JSON.stringify({ ...job, upload: { ...job.upload, ...more } }));
  const child = spawn(process.execPath, [PUT, path], { stdio: ["ignore", "pipe", "inherit"] });
  const notices = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const notice = JSON.parse(line);
    notices.push(notice);
    watch(notice, child);
  });
  return new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal, notices, last: notices.at(-1) })));
}

const count = (notices, tag) => notices.filter((notice) => notice.tag === tag).length;

test("a small file is one request", async (t) => {
  const there = await scene(t, 300_000);
  const { code, last } = await put(there, { contentType: "text/plain", metadata: [["k1", "v1"]] });
  assert.equal(code, 0, JSON.stringify(last));
  assert.deepEqual([last.outcome.parts, last.outcome.verified, last.outcome.size], [0, true, there.bytes.length]);
  assert.deepEqual(await there.cloud.bytes("mybucket", there.job.upload.name), there.bytes);
});

test("an empty file is an object too", async (t) => {
  const there = await scene(t, 0);
  const { code, last } = await put(there);
  assert.equal(code, 0, JSON.stringify(last));
  assert.equal((await there.cloud.bytes("mybucket", there.job.upload.name)).length, 0);
});

test("a large file goes in parallel parts", async (t) => {
  const there = await scene(t, 24 * MIB + 5, "--bandwidth", "16M");
  const { code, last } = await put(there, { partSize: MIB, parallelUploadCount: 15 });
  assert.equal(code, 0, JSON.stringify(last));
  assert.deepEqual([last.outcome.parts, last.outcome.verified], [25, true]);
  assert.deepEqual(await there.cloud.bytes("mybucket", there.job.upload.name), there.bytes);
  assert.equal((await there.cloud.json("stats")).max_parts_in_flight, 15);
  assert.deepEqual(readdirSync(join(there.dir, "state", "uploads")), [], "the journal goes with its upload");
});

// The first token has to live until Node has started, on a slow machine too.
test("an upload outlives its tokens", async (t) => {
  const there = await scene(t, 24 * MIB, "--token-life", "12s", "--bandwidth", "1M");
  const { code, last, notices } = await put(there, { partSize: MIB, parallelUploadCount: 4 });
  assert.equal(code, 0, JSON.stringify(last));
  assert.ok(last.outcome.refreshes >= 2, `${last.outcome.refreshes} refreshes`);
  assert.ok(count(notices, "refreshed") >= 3);
  const stats = await there.cloud.json("stats");
  assert.equal(stats.unauthenticated, 0);
  assert.equal(stats.max_refreshes_in_flight, 1);
  assert.deepEqual(await there.cloud.bytes("mybucket", there.job.upload.name), there.bytes);
});

test("parts refused with 401 are sent again under the next token", async (t) => {
  const there = await scene(t, 8 * MIB);
  await there.cloud.post("fault", {
    on: { ops: ["upload_part"], generation: 0 },
    when: { after: 2 },
    do: { kind: "answer", status: 401, code: "NotAuthenticated" },
  });
  const { code, last, notices } = await put(there, { partSize: MIB, parallelUploadCount: 4 });
  assert.equal(code, 0, JSON.stringify(last));
  assert.ok(count(notices, "part-held") > 0);
  assert.equal(count(notices, "rejected"), 1);
  assert.equal((await there.cloud.json("stats")).refreshes, 1);
  assert.deepEqual(await there.cloud.bytes("mybucket", there.job.upload.name), there.bytes);
});

test("a killed upload goes on where it stopped", async (t) => {
  const there = await scene(t, 16 * MIB, "--bandwidth", "4M");
  let stored = 0;
  const first = await put(there, { partSize: MIB, parallelUploadCount: 3 }, (notice, child) => {
    stored += notice.tag === "part-stored" ? 1 : 0;
    if (stored === 5) {
      child.kill("SIGKILL");
    }
  });
  assert.equal(first.signal, "SIGKILL");
  await there.cloud.post("settings", { bandwidth_bytes_per_s: null });
  const { code, last } = await put(there, { partSize: MIB, parallelUploadCount: 3 });
  assert.equal(code, 0, JSON.stringify(last));
  assert.ok(last.outcome.partsReused >= 5, `${last.outcome.partsReused} parts reused`);
  assert.deepEqual(await there.cloud.bytes("mybucket", there.job.upload.name), there.bytes);
  const { created, committed } = await there.cloud.json("stats");
  assert.deepEqual([created, committed], [1, 1]);
});

test("what is not opened cannot be read", async (t) => {
  const there = await scene(t, 10);
  for (const file of ["/etc/hostname", "/data/../oci/config", "blob.bin"]) {
    const { code, last } = await put(there, { file });
    assert.equal(code, 1);
    assert.equal(last.error.kind, "source", JSON.stringify(last));
  }
});

test("a session that cannot be extended asks for a person", async (t) => {
  const there = await scene(t, 32 * MIB, "--token-life", "12s", "--horizon", "12s", "--bandwidth", "1M", "--set", "refuse_at_horizon=true");
  const { code, last } = await put(there, { partSize: MIB, parallelUploadCount: 2 });
  assert.equal(code, 75, JSON.stringify(last));
  assert.equal(last.error.retry.tag, "after-reauth");
});
