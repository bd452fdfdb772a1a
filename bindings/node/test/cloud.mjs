// A loopback cloud for a test file, and profiles that are signed in to it. OUTLAST_CLOUD names the outlast-cloud binary.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { generateKeyPair, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export const MIB = 1 << 20;
const makeKeys = promisify(generateKeyPair);

export class Cloud {
  #process;
  #profiles = 0;

  static async start() {
    const cloud = new Cloud();
    cloud.dir = mkdtempSync(path.join(tmpdir(), 'outlast-node-'));
    // Journals of a test are its own.
    process.env.XDG_STATE_HOME = path.join(cloud.dir, 'state');
    const child = spawn(process.env.OUTLAST_CLOUD ?? 'outlast-cloud', [], { stdio: ['pipe', 'pipe', 'inherit'] });
    cloud.#process = child;
    const lines = createInterface({ input: child.stdout });
    const [line] = await Promise.race([
      once(lines, 'line'),
      once(child, 'error').then(([error]) => Promise.reject(error)),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the cloud ended with ${code}`))),
    ]);
    const facts = JSON.parse(line);
    Object.assign(cloud, { endpoint: facts.endpoint, namespace: facts.namespace, bucket: facts.buckets[0] });
    return cloud;
  }

  async control(path, value) {
    const init = value === undefined ? {} : {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    };
    const answer = await fetch(`${this.endpoint}/_control/${path}`, init);
    const content = Buffer.from(await answer.arrayBuffer());
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${content}`);
    return answer.headers.get('content-type') === 'application/json' ? JSON.parse(content) : content;
  }

  /** Signs somebody in; the options of a Session, and where the files are. */
  async login(lifeSeconds = 3600) {
    this.#profiles += 1;
    const profile = `P${this.#profiles}`;
    const found = await this.signIn(profile, lifeSeconds);
    this.files = { config: found.config_file, token: found.token_file, key: found.key_file };
    return { profile, configFile: found.config_file, endpoint: this.endpoint, authEndpoint: this.endpoint };
  }

  /** Signs in to a profile, anew if need be. The key is made here: the cloud, unoptimized, would take seconds. */
  async signIn(profile, lifeSeconds = 3600) {
    const pem = { type: 'pkcs8', format: 'pem' };
    const { privateKey } = await makeKeys('rsa', { modulusLength: 2048, privateKeyEncoding: pem, publicKeyEncoding: { type: 'spki', format: 'pem' } });
    return this.control('login', { profile, dir: this.dir, token_life_s: lifeSeconds, key_pem: privateKey });
  }

  async stored(name) {
    return this.control(`bytes?bucket=${this.bucket}&name=${encodeURIComponent(name)}`);
  }

  async names() {
    return (await this.control('objects')).map((object) => object.name);
  }

  /** Requests of `operation` are refused with 401, so many times. */
  async refuse(operation, count = 1) {
    await this.control('fault', {
      on: { ops: [operation] },
      when: { count },
      do: { kind: 'answer', status: 401, code: 'NotAuthenticated' },
    });
  }

  file(name, size) {
    const file = path.join(this.dir, name);
    writeFileSync(file, randomBytes(size));
    return file;
  }

  read(file) {
    return readFileSync(file);
  }

  async stop() {
    const ended = once(this.#process, 'exit');
    this.#process.stdin.end();
    await ended;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The moment after which a token issued now differs from one issued before: tokens have whole seconds. */
export async function nextSecond() {
  const now = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 1100 - (now % 1000)));
}
