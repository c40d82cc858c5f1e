import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DoorwardError, type ExitStatus } from "@doorward/contracts";
import { GuestCommand, runCommand, type RunResult } from "@doorward/guest";
import { soon, startLab, until, type Lab } from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

const run = (...argv: string[]): Promise<RunResult> => runCommand(lab.link, { argv }, soon());
const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === expected;

/** Whether a process runs; a zombie does not. */
async function alive(pid: number): Promise<boolean> {
  const { stdout } = await run("bash", "-c", `ps -o stat= -p ${String(pid)} || true`);
  const state = stdout.toString().trim();
  return state !== "" && !state.startsWith("Z");
}

async function untilDead(pid: number): Promise<void> {
  await until(`process ${String(pid)} is dead`, async () => !(await alive(pid)));
}

function start(...argv: string[]): Promise<GuestCommand> {
  return GuestCommand.start(lab.link, { kind: "exec", argv, cwd: null, env: {}, stdin: true }, soon());
}

test("stdout and stderr come apart, with the exit code", async () => {
  const { stdout, stderr, code: exit } = await run("bash", "-c", "echo out; echo err >&2; exit 42");
  assert.deepEqual([stdout.toString(), stderr.toString(), exit], ["out\n", "err\n", 42]);
});

test("a command killed by a signal has a signal and no exit code", async () => {
  const result = await run("bash", "-c", "kill -KILL $$");
  assert.deepEqual([result.code, result.signal], [null, "SIGKILL"]);
});

test("arguments reach the program as they are, with no shell in between", async () => {
  const { stdout } = await run("printf", "%s|", "a b", "$HOME", "`id`", "*", "ä\n", "");
  assert.equal(stdout.toString(), "a b|$HOME|`id`|*|ä\n||");
});

test("folder and variables are what was asked for", async () => {
  const result = await runCommand(
    lab.link,
    { argv: ["bash", "-c", "pwd; echo $GREETING"], cwd: "/usr", env: { GREETING: "hi there" } },
    soon(),
  );
  assert.equal(result.stdout.toString(), "/usr\nhi there\n");
});

test("standard streams are pipes that can be opened by name", async () => {
  const script = "cat /dev/stdin; echo out > /dev/stdout; echo err | tee /dev/stderr >/dev/null";
  const result = await runCommand(
    lab.link,
    { argv: ["bash", "-c", script], stdin: Buffer.from("in\n") },
    soon(),
  );
  assert.deepEqual([result.stdout.toString(), result.stderr.toString()], ["in\nout\n", "err\n"]);
});

test("without stdin a command reads an end of file", async () => {
  assert.equal((await run("wc", "-c")).stdout.toString().trim(), "0");
});

test("a large binary stdin and stdout pass exactly, both at once", async () => {
  const bytes = randomBytes(20_000_000);
  const result = await runCommand(
    lab.link,
    { argv: ["cat"], stdin: bytes, maxBytes: 30_000_000 },
    soon(30_000),
  );
  const sum = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
  assert.equal(sum(result.stdout), sum(bytes));
});

test("stdin of exactly the window, and one byte around it, passes", async () => {
  for (const size of [1, 65_535, 65_536, 262_143, 262_144, 262_145]) {
    const result = await runCommand(lab.link, { argv: ["wc", "-c"], stdin: Buffer.alloc(size) }, soon());
    assert.equal(result.stdout.toString().trim(), String(size));
  }
});

test("an empty stdin ends at once", async () => {
  const result = await runCommand(lab.link, { argv: ["wc", "-c"], stdin: Buffer.alloc(0) }, soon());
  assert.equal(result.stdout.toString().trim(), "0");
});

test("a command that does not read its stdin ends all the same", async () => {
  const result = await runCommand(lab.link, { argv: ["true"], stdin: Buffer.alloc(5_000_000) }, soon());
  assert.equal(result.code, 0);
});

test("a reader that stalls holds the command, not the guest", async () => {
  using command = await start("cat", "/dev/zero");
  let seen = 0;
  command.listen({
    stdout: (bytes) => (seen += bytes.length),
    stderr: () => 0,
    credit: () => 0,
    exit: () => 0,
    closed: () => 0,
  });
  await until("it runs", () => seen > 0);
  command.pause();
  await sleep(200);
  const { rssBytes } = await lab.link.health(soon());
  assert.ok(rssBytes < 150_000_000, `guest has ${String(rssBytes)} bytes`);
  assert.equal((await run("echo", "quick")).stdout.toString(), "quick\n");
});

test("a signal reaches the whole group, even while stdin is stuck", async () => {
  using command = await start("bash", "-c", "sleep 60 & echo $!; wait");
  const lines: string[] = [];
  const ended = new Promise<ExitStatus>((resolve) => {
    command.listen({
      stdout: (bytes) => lines.push(bytes.toString()),
      stderr: () => 0,
      credit: () => 0,
      exit: resolve,
      closed: () => 0,
    });
  });
  await until("its pid", () => lines.length > 0);
  command.stdin(Buffer.alloc(262_144));
  command.signal("SIGTERM");
  assert.deepEqual(await ended, { code: null, signal: "SIGTERM" });
  await untilDead(Number(lines.join("")));
});

test("a stream that dies takes the whole process group with it, stubborn ones included", async () => {
  const command = await start(
    "bash",
    "-c",
    "trap '' TERM HUP; (trap '' TERM HUP; echo $BASHPID; sleep 60; sleep 60)",
  );
  const lines: string[] = [];
  command.listen({
    stdout: (bytes) => lines.push(bytes.toString()),
    stderr: () => 0,
    credit: () => 0,
    exit: () => 0,
    closed: () => 0,
  });
  await until("its pid", () => lines.length > 0);
  command[Symbol.dispose]();
  await untilDead(command.started.pid);
  await untilDead(Number(lines.join("")));
});

test("a stopped command is ended too", async () => {
  const command = await start("sleep", "60");
  command.signal("SIGSTOP");
  await sleep(50);
  command[Symbol.dispose]();
  await untilDead(command.started.pid);
});

test("an aborted run kills its command", async () => {
  const marker = `6${String(process.pid)}.75`;
  const seen = async (): Promise<boolean> => (await run("pgrep", "-fx", `sleep ${marker}`)).code === 0;
  const stop = new AbortController();
  const running = runCommand(lab.link, { argv: ["sleep", marker] }, stop.signal);
  await until("it runs", seen);
  stop.abort();
  await assert.rejects(running, code("ABORTED"));
  await until("it is gone", async () => !(await seen()));
});

test("a process left in the background does not hold the exit back", async () => {
  const { stdout, code: exit } = await run("bash", "-c", "sleep 600 & echo started $!; exit 5");
  const [, pid] = /^started (\d+)\n$/.exec(stdout.toString()) ?? assert.fail(stdout.toString());
  assert.equal(exit, 5);
  // Throws when it has ended.
  process.kill(Number(pid), "SIGKILL");
});

test("what can't be run is refused with a code that says why", async () => {
  await assert.rejects(run("no-such-program"), code("COMMAND_NOT_FOUND"));
  await assert.rejects(run("/etc/passwd"), code("COMMAND_NOT_FOUND"));
  await assert.rejects(run("/"), code("COMMAND_NOT_FOUND"));
  await assert.rejects(
    runCommand(lab.link, { argv: ["true"], cwd: "/no/where" }, soon()),
    code("PATH_NOT_FOUND"),
  );
});

test("output beyond what the caller keeps is refused and the command killed", async () => {
  await assert.rejects(
    runCommand(lab.link, { argv: ["yes"], maxBytes: 100_000 }, soon()),
    code("INPUT_TOO_LARGE"),
  );
});

test("a hundred commands at once all answer", async () => {
  const results = await Promise.all(Array.from({ length: 100 }, (_, i) => run("echo", String(i))));
  assert.deepEqual(
    results.map(({ stdout }) => stdout.toString().trim()),
    Array.from({ length: 100 }, (_, i) => String(i)),
  );
  await until("none is left", async () => (await lab.link.health(soon())).commands === 0);
});

test("a bridge restart ends running commands, and the guest serves the next bridge", async () => {
  const command = await start("sleep", "60");
  command.listen({ stdout: () => 0, stderr: () => 0, credit: () => 0, exit: () => 0, closed: () => 0 });
  await lab.restartBridge();
  await untilDead(command.started.pid);
});
