// The loopback cloud as a process of its own, for the tests of this folder. OUTLAST_CLOUD names its binary.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class Cloud {
  static async start(...flags) {
    const binary = process.env.OUTLAST_CLOUD;
    if (!binary) {
      throw new Error("OUTLAST_CLOUD must name the outlast-cloud binary (cargo build -p outlast-cloud)");
    }
    const child = spawn(binary, flags, { stdio: ["pipe", "pipe", "inherit"] });
    const first = await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once("line", resolve);
      child.once("exit", (code) => reject(new Error(`the cloud ended with ${code}`)));
    });
    return Object.assign(new Cloud(), { child, facts: JSON.parse(first) });
  }

  get endpoint() {
    return this.facts.endpoint;
  }

  async get(path) {
    const answer = await fetch(`${this.endpoint}/_control/${path}`);
    if (!answer.ok) {
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    }
    return answer;
  }

  async json(path) {
    return (await this.get(path)).json();
  }

  async bytes(bucket, name) {
    const answer = await this.get(`bytes?bucket=${bucket}&name=${encodeURIComponent(name)}`);
    return Buffer.from(await answer.arrayBuffer());
  }

  async post(path, body) {
    const answer = await fetch(`${this.endpoint}/_control/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) {
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    }
    return answer.json();
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin.end();
    this.child.kill();
    await ended;
  }
}
