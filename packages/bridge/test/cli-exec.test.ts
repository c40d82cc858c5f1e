import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { startCliLab, type CliLab } from "./cli-lab.ts";

let lab: CliLab;
before(async () => (lab = await startCliLab()));
after(() => lab[Symbol.asyncDispose]());

describe("doorward exec", { timeout: 600_000 }, () => {
  it("passes megabytes through stdin and stdout byte by byte", async () => {
    const input = randomBytes(5_000_000);
    const ran = await lab.run(["exec", "--", "cat"], { input });
    assert.equal(ran.code, 0, ran.stderr);
    assert.ok(ran.stdout.equals(input));
  });

  it("keeps stdout and stderr apart and exits with the command's code", async () => {
    const ran = await lab.run(["exec", "shop", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert.deepEqual([ran.code, ran.stdout.toString(), ran.stderr], [42, "out\n", "err\n"]);
  });

  it("arguments arrive as they are, options and empty ones among them", async () => {
    const ran = await lab.run(["exec", "--", "printf", "[%s]", "--json", "", "a b", "$HOME", "--"]);
    assert.equal(ran.stdout.toString(), "[--json][][a b][$HOME][--]");
  });

  it("a command killed by a signal gives 128 and the signal", async () => {
    assert.equal((await lab.run(["exec", "--", "sh", "-c", "kill -KILL $$"])).code, 137);
  });

  it("a program that does not exist gives 127", async () => {
    const ran = await lab.run(["exec", "--", "no-such-program"]);
    assert.equal(ran.code, 127);
  });

  it("a machine that does not exist gives 125", async () => {
    assert.equal((await lab.run(["exec", "nowhere", "--", "true"])).code, 125);
  });

  it("sets variables and the working folder", async () => {
    const ran = await lab.run(["exec", "--cwd", "/", "-e", "A=1=2", "--", "sh", "-c", 'echo "$A" "$PWD"']);
    assert.equal(ran.stdout.toString(), "1=2 /\n");
  });

  it("SIGINT and SIGTERM reach the command", async () => {
    const child = lab.spawn([
      "exec",
      "--",
      "sh",
      "-c",
      'trap "echo got-int" INT; trap "echo got-term; exit 9" TERM; echo ready; while :; do sleep 0.1; done',
    ]);
    let out = "";
    child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stdin?.end();
    await seen(() => out.includes("ready"));
    child.kill("SIGINT");
    await seen(() => out.includes("got-int"));
    child.kill("SIGTERM");
    const code = await exitCode(child);
    assert.equal(code, 9);
    assert.match(out, /got-term/);
  });

  it("a reader that goes away early does no harm", async () => {
    const child = lab.spawn(["exec", "--", "sh", "-c", "yes | head -n 200000; exit 0"]);
    let errors = "";
    child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    child.stdin?.end();
    child.stdout?.once("data", () => child.stdout?.destroy());
    const code = await exitCode(child);
    assert.equal(code, 0);
    assert.equal(errors, "");
  });

  it("a terminal gets the output filtered, a file exactly", async () => {
    const script = String.raw`printf 'a\033]52;c;cm0=\007b'`;
    const screen = lab.pty(["exec", "--no-stdin", "--", "sh", "-c", script]);
    await screen.ended;
    assert.equal(screen.text, "ab");
    const ran = await lab.run(["exec", "--", "sh", "-c", script]);
    assert.equal(ran.stdout.toString(), "a\u001b]52;c;cm0=\u0007b");
  });

  it("a command that reads nothing ends although stdin goes on", async () => {
    const child = lab.spawn(["exec", "--", "true"]);
    const code = await exitCode(child);
    assert.equal(code, 0);
    child.stdin?.destroy();
  });

  it("a grant for an agent runs commands, and one that was revoked does not", async () => {
    const { token, id } = await lab.grant(["terminal.agent-exec"]);
    const env = { DOORWARD_TOKEN: token, DOORWARD_URL: `http://127.0.0.1:${lab.port}` };
    assert.equal((await lab.run(["exec", "shop", "--", "true"], { env })).code, 0);
    lab.authority.revoke(id, "done", "operator:ada");
    const refused = await lab.run(["exec", "shop", "--", "true"], { env });
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /revoked/);
  });
});

describe("doorward run", { timeout: 600_000 }, () => {
  it("launches afresh, runs, exits with the code, and removes the machine", async () => {
    lab.calls.length = 0;
    const ran = await lab.run(["run", "--", "sh", "-c", "echo hi; exit 6"]);
    assert.equal(ran.code, 6);
    assert.equal(ran.stdout.toString(), "hi\n");
    const up = lab.calls.find(({ id }) => id === "machines.up");
    assert.deepEqual(up?.body, { repos: [{ path: lab.repo }], fresh: true, temporary: true });
    assert.ok(lab.calls.some(({ id }) => id === "machines.remove"));
  });

  it("removes the machine when the command can't be started", async () => {
    lab.calls.length = 0;
    assert.equal((await lab.run(["run", "--", "no-such-program"])).code, 127);
    assert.ok(lab.calls.some(({ id }) => id === "machines.remove"));
  });

  it("removes the machine after Ctrl-C", async () => {
    lab.calls.length = 0;
    const child = lab.spawn(["run", "--", "sh", "-c", "echo ready; sleep 60"]);
    let out = "";
    child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stdin?.end();
    await seen(() => out.includes("ready"));
    child.kill("SIGINT");
    const code = await exitCode(child);
    assert.equal(code, 130);
    assert.ok(lab.calls.some(({ id }) => id === "machines.remove"));
  });

  it("without a command it is refused before anything is launched", async () => {
    lab.calls.length = 0;
    assert.equal((await lab.run(["run", "."])).code, 2);
    assert.deepEqual(lab.calls, []);
  });
});

async function exitCode(child: ChildProcess): Promise<number | null> {
  await once(child, "exit");
  return child.exitCode;
}

async function seen(holds: () => boolean): Promise<void> {
  const end = performance.now() + 120_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error("never happened");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
