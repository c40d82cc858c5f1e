import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ActionError } from "../src/actions/action-error.ts";
import type { CommandPlan } from "../src/actions/ports.ts";
import { HostCommands } from "../src/actions/run/index.ts";
import { identity, openRunLab, processesWith, type RunLab } from "./actions-run-lab.ts";

const never = new AbortController().signal;
const linux = process.platform === "linux" ? false : "runs are contained on Linux only";
const asRoot = process.getuid?.() === 0;

/** A mark that no other process of this host has in its command line: a sleep of that many seconds. */
function mark(): string {
  return `${String(100_000 + Math.floor(Math.random() * 800_000))}.25`;
}

async function refusal(run: Promise<unknown>): Promise<ActionError["failure"]> {
  try {
    await run;
  } catch (error) {
    return (error as ActionError).failure;
  }
  throw new Error("it ran");
}

for (const kind of ["cgroup", "pid-namespace"] as const) {
  const skip =
    linux !== false
      ? linux
      : asRoot
        ? false
        : kind === "cgroup"
          ? "a cgroup needs root or delegation"
          : false;

  describe(`a judged command held by a ${kind}`, { skip, concurrency: 2 }, () => {
    let lab: RunLab;
    const runner = new HostCommands({ containments: [kind] });
    const run = (plan: CommandPlan, signal = never) => runner.run(plan, signal);
    before(() => void (lab = openRunLab()));
    after(() => lab[Symbol.dispose]());

    it("gives back exit code, output and how long it took", async () => {
      const outcome = await run(lab.plan("/bin/sh", ["-c", "echo out; echo err >&2; exit 7"]));
      assert.equal(outcome.exitCode, 7);
      assert.equal(outcome.stdout.toString(), "out\n");
      assert.equal(outcome.stderr.toString(), "err\n");
      assert.equal(outcome.truncated || outcome.timedOut || outcome.cancelled, false);
      assert.ok(outcome.durationMs > 0);
    });

    it("gets its arguments as they are: nothing of them is a shell's", async () => {
      const hostile = ["$(id)", "; id", "a b", "*", "`id`", "\n", "-n", ""];
      const outcome = await run(lab.plan("/usr/bin/printf", ["[%s]", ...hostile]));
      assert.equal(outcome.stdout.toString(), hostile.map((text) => `[${text}]`).join(""));
    });

    it("gets the plan's environment and nothing else: no LD_PRELOAD, no PATH of the bridge", async () => {
      process.env["LD_PRELOAD"] = "";
      process.env["GIT_SSH_COMMAND"] = "id";
      try {
        const outcome = await run(lab.plan("/usr/bin/env", [], { env: { ONLY: "this" } }));
        assert.equal(outcome.stdout.toString(), "ONLY=this\n");
      } finally {
        delete process.env["LD_PRELOAD"];
        delete process.env["GIT_SSH_COMMAND"];
      }
    });

    it("has three descriptors, its own working folder, and a session of its own", async () => {
      const script =
        'for f in /proc/self/fd/*; do echo "${f##*/}"; done; pwd; cut -d" " -f1,6 /proc/self/stat';
      const outcome = await run(lab.plan("/bin/bash", ["-c", script]));
      const lines = outcome.stdout.toString().trim().split("\n");
      // 255 is bash's own while it reads a script; a glob opens one more.
      assert.deepEqual(lines.filter((line) => /^\d+$/.test(line) && line !== "255").slice(0, 4), [
        "0",
        "1",
        "2",
        "3",
      ]);
      assert.ok(lines.includes(lab.folder));
    });

    it("reads the plan's input, then its end, and never the bridge's", async () => {
      const with_ = await run(lab.plan("/bin/cat", [], { input: Buffer.from("given\n") }));
      assert.equal(with_.stdout.toString(), "given\n");
      const without = await run(lab.plan("/bin/cat", []));
      assert.equal(without.stdout.length, 0);
      assert.equal(without.exitCode, 0);
    });

    it("may ignore a large input", async () => {
      const outcome = await run(lab.plan("/bin/true", [], { input: Buffer.alloc(1_000_000) }));
      assert.equal(outcome.exitCode, 0);
    });

    it("is not blocked by output beyond the limit, which is cut", async () => {
      const outcome = await run(
        lab.plan("/usr/bin/head", ["-c", "50000000", "/dev/zero"], { maxOutputBytes: 1024 }),
      );
      assert.equal(outcome.exitCode, 0);
      assert.equal(outcome.stdout.length, 1024);
      assert.equal(outcome.truncated, true);
    });

    it("leaves nothing running when it ends: a daemon that left its session and its parent is dead", async () => {
      const seconds = mark();
      const script = `(setsid setsid sleep ${seconds} </dev/null >/dev/null 2>&1 &) ; (setsid sleep ${seconds} &) ; exit 0`;
      const outcome = await run(lab.plan("/bin/sh", ["-c", script]));
      assert.equal(outcome.exitCode, 0);
      assert.deepEqual(processesWith(seconds), []);
    });

    it("is asked to end at its time limit, and may end by itself", async () => {
      const script = "trap 'echo ended; exit 9' TERM; echo ready; sleep 1000 & wait";
      const patient = new HostCommands({ containments: [kind], killAfterMs: 60_000 });
      const within = (timeoutMs: number) =>
        patient.run(lab.plan("/bin/sh", ["-c", script], { timeoutMs }), never);
      let timeoutMs = 2000;
      let outcome = await within(timeoutMs);
      // A busy host may take longer than the limit to start a program that can be asked.
      while (outcome.stdout.length === 0 && timeoutMs < 200_000) outcome = await within((timeoutMs *= 4));
      assert.equal(outcome.timedOut, true);
      assert.equal(outcome.exitCode, 9);
      assert.equal(outcome.stdout.toString(), "ready\nended\n");
    });

    it("is killed with all it started when it ignores that", async () => {
      const seconds = mark();
      const script = `trap '' TERM; setsid sleep ${seconds} & sleep ${seconds}; sleep ${seconds}`;
      const outcome = await run(lab.plan("/bin/sh", ["-c", script], { timeoutMs: 1000 }));
      assert.equal(outcome.timedOut, true);
      assert.equal(outcome.exitCode, null);
      assert.deepEqual(processesWith(seconds), []);
    });

    it("ends when it is cancelled", async () => {
      const seconds = mark();
      const cancel = new AbortController();
      const running = run(lab.plan("/bin/sleep", [seconds]), cancel.signal);
      await until(() => processesWith(seconds).length > 0);
      cancel.abort();
      const outcome = await running;
      assert.equal(outcome.cancelled, true);
      assert.equal(outcome.timedOut, false);
      assert.deepEqual(processesWith(seconds), []);
    });

    it("never starts when it was cancelled before", async () => {
      const made = join(lab.folder, "made");
      const outcome = await run(lab.plan("/usr/bin/touch", [made]), AbortSignal.abort());
      assert.equal(outcome.cancelled, true);
      assert.equal(existsSync(made), false);
    });

    it("dies with a bridge that is killed", async () => {
      const seconds = mark();
      const script = `(setsid sleep ${seconds} &); trap '' TERM HUP; while :; do sleep ${seconds}; done`;
      const bridge = startBridge(lab, lab.plan("/bin/sh", ["-c", script]), kind);
      await until(() => processesWith(seconds).length >= 2);
      bridge.kill("SIGKILL");
      await until(() => processesWith(seconds).length === 0);
      await runner.reap();
    });

    it("is refused when another program stands at the path that was judged", async () => {
      const path = lab.script(`swapped-${kind}`, "#!/bin/sh\necho judged\n");
      const plan = lab.plan(path, []);
      renameSync(lab.script(`other-${kind}`, "#!/bin/sh\necho other\n"), path);
      assert.equal((await refusal(run(plan))).code, "SCOPE_VIOLATION");
    });

    it("is refused when a link stands there, even to the same program", async () => {
      const path = lab.script(`linked-${kind}`, "#!/bin/sh\necho judged\n");
      const plan = lab.plan(path, []);
      renameSync(path, `${path}.kept`);
      symlinkSync(`${path}.kept`, path);
      assert.equal((await refusal(run(plan))).code, "SCOPE_VIOLATION");
    });

    it("is refused when the judged file has another content", async () => {
      const path = lab.script(`changed-${kind}`, "#!/bin/sh\necho judged\n");
      const plan = lab.plan(path, [], { program: identity(path, true) });
      appendFileSync(path, "echo more\n");
      assert.equal((await refusal(run(plan))).code, "SCOPE_VIOLATION");
    });

    it("is refused when its working folder is another one", async () => {
      const folder = join(lab.folder, `cwd-${kind}`);
      mkdirSync(folder);
      const plan = lab.plan("/bin/pwd", [], { cwd: identity(folder) });
      renameSync(folder, `${folder}.kept`);
      symlinkSync("/etc", folder);
      assert.equal((await refusal(run(plan))).code, "SCOPE_VIOLATION");
    });

    it("that is gone, or may not be executed, has its own code", async () => {
      const gone = lab.plan("/bin/true", []);
      const path = join(lab.folder, "gone");
      assert.equal(
        (await refusal(run({ ...gone, program: { ...gone.program, path } }))).code,
        "PROCESS_SPAWN_ENOENT",
      );
      const plain = lab.plan(lab.script(`plain-${kind}`, "#!/bin/sh\n", 0o644), []);
      assert.equal((await refusal(run(plain))).code, "PROCESS_SPAWN_PERMISSION_DENIED");
    });

    it("that no loader understands fails with OS_ERROR", async () => {
      const plan = lab.plan(lab.script(`noise-${kind}`, "not a program"), []);
      assert.equal((await refusal(run(plan))).code, "OS_ERROR");
    });
  });
}

describe("a script", { skip: linux }, () => {
  let lab: RunLab;
  const runner = new HostCommands();
  before(() => void (lab = openRunLab()));
  after(() => lab[Symbol.dispose]());

  it("runs by its interpreter, with its option and its own path", async () => {
    const path = lab.script("good", '#!/bin/sh -e\necho "$0 $1"\nfalse\necho never\n');
    const outcome = await runner.run(lab.plan(path, ["one"]), never);
    assert.equal(outcome.stdout.toString(), `${path} one\n`);
    assert.equal(outcome.exitCode, 1);
  });

  it("of env is looked up in the system's folders, not in the plan's PATH", async () => {
    lab.script("sh", "#!/bin/false\n");
    const path = lab.script("by-env", "#!/usr/bin/env sh\necho system\n");
    const outcome = await runner.run(lab.plan(path, [], { env: { PATH: lab.folder } }), never);
    assert.equal(outcome.stdout.toString(), "system\n");
  });

  for (const line of ["#!sh", "#!/usr/bin/env -S sh -c", "#!/usr/bin/env FOO=1 sh", "#!"])
    it(`is refused when it starts with ${line}`, async () => {
      const path = lab.script("odd", `${line}\necho ran\n`);
      assert.equal((await refusal(runner.run(lab.plan(path, []), never))).code, "SCOPE_VIOLATION");
    });

  it("is refused when its interpreter is a script, or others may write it", async () => {
    const nested = lab.script("nested", "#!/bin/sh\n");
    const loose = join(lab.folder, "loose");
    writeFileSync(loose, execFileSync("/bin/cat", ["/bin/true"]));
    chmodSync(loose, 0o777);
    for (const file of [nested, loose])
      assert.equal(
        (await refusal(runner.run(lab.plan(lab.script("outer", `#!${file}\n`), []), never))).code,
        "SCOPE_VIOLATION",
      );
  });

  it("is refused when others may write it, or a folder above it", async () => {
    const plan = lab.plan(lab.script("open", "#!/bin/sh\n", 0o777), []);
    assert.equal((await refusal(runner.run(plan, never))).code, "SCOPE_VIOLATION");
    const folder = join(lab.folder, "shared");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const inside = lab.plan(lab.script("shared/inside", "#!/bin/sh\n"), []);
    assert.equal((await refusal(runner.run(inside, never))).code, "SCOPE_VIOLATION");
  });
});

describe("what a killed or restricted bridge runs", { skip: linux }, () => {
  let lab: RunLab;
  before(() => void (lab = openRunLab()));
  after(() => lab[Symbol.dispose]());

  it(
    "is ended by the next bridge when bridge and supervisor die together",
    { skip: asRoot ? false : "needs root" },
    async () => {
      let reaped = 0;
      // Any bridge that starts on this host in that moment, e.g. another test's, ends them too: then it is tried again.
      for (let round = 0; round < 50 && reaped === 0; round += 1) {
        const seconds = mark();
        const plan = lab.plan("/bin/sh", ["-c", `setsid sleep ${seconds} & sleep ${seconds}`]);
        const bridge = startBridge(lab, plan, "cgroup");
        await until(() => processesWith(seconds).length >= 3);
        const supervisors = childrenOf(bridge.pid ?? 0);
        // Stopped, neither can act on the other's death.
        for (const pid of supervisors) process.kill(pid, "SIGSTOP");
        bridge.kill("SIGKILL");
        for (const pid of supervisors) process.kill(pid, "SIGKILL");
        await until(() => bridge.signalCode !== null);
        const left = processesWith(seconds).length;
        const ended = await new HostCommands().reap();
        assert.deepEqual(processesWith(seconds), []);
        if (left >= 2) reaped = ended;
      }
      assert.ok(reaped >= 1);
    },
  );

  it(
    "leaves nothing either when an ordinary user runs it",
    { skip: asRoot ? false : "needs root to become another user" },
    async () => {
      const seconds = mark();
      const script = `id -u; (setsid setsid sleep ${seconds} >/dev/null 2>&1 &); exit 4`;
      const bridge = startBridge(lab, lab.plan("/bin/sh", ["-c", script]), "both", 65_534);
      let text = "";
      bridge.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
      await until(() => text.endsWith("}\n"));
      const outcome = JSON.parse(text) as { exitCode: number; stdout: string };
      assert.equal(outcome.stdout, "65534\n");
      assert.equal(outcome.exitCode, 4);
      assert.deepEqual(processesWith(seconds), []);
    },
  );

  it("can be a fork bomb without harm", { skip: asRoot ? false : "needs the pids controller" }, async () => {
    const seconds = mark();
    const bomb = `b() { b | b & }; b; sleep ${seconds}`;
    const runner = new HostCommands({ containments: ["cgroup"] });
    const outcome = await runner.run(lab.plan("/bin/bash", ["-c", bomb], { timeoutMs: 2000 }), never);
    assert.ok(outcome.exitCode !== 0 || outcome.timedOut);
    assert.deepEqual(processesWith(seconds), []);
  });

  it(
    "can't leave as root, though it writes itself into another cgroup",
    { skip: asRoot ? false : "only root may enter any cgroup" },
    async () => {
      const seconds = mark();
      const leave =
        "for f in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs); do echo 0 > $f && echo left; done";
      const script = `${leave}; (setsid setsid sleep ${seconds} >/dev/null 2>&1 &); sleep 0.3`;
      const outcome = await new HostCommands().run(lab.plan("/bin/sh", ["-c", script]), never);
      assert.match(outcome.stdout.toString(), /left/);
      assert.deepEqual(processesWith(seconds), []);
    },
  );

  it(
    "is not waited for when a process outside keeps the streams that it was handed",
    { skip: existsSync("/usr/bin/python3") ? false : "needs python3, which hands descriptors over" },
    async () => {
      const place = join(lab.folder, `keep-${mark()}`);
      const keep = `import os,socket,time
s=socket.socket(socket.AF_UNIX); s.bind("${place}.new"); s.listen(1); os.rename("${place}.new","${place}"); socket.recv_fds(s.accept()[0],9,3); time.sleep(600)`;
      const give = `import socket,time
s=socket.socket(socket.AF_UNIX); s.connect("${place}"); socket.send_fds(s,[b"x"],[0,1,2]); time.sleep(0.3)
print("handed over")`;
      const keeper = spawn("/usr/bin/python3", ["-c", keep], { stdio: "ignore" });
      try {
        await until(() => existsSync(place));
        const outcome = await new HostCommands().run(lab.plan("/usr/bin/python3", ["-c", give]), never);
        assert.equal(outcome.stdout.toString(), "handed over\n");
        assert.equal(outcome.exitCode, 0);
        assert.equal(keeper.exitCode, null);
      } finally {
        keeper.kill("SIGKILL");
      }
    },
  );

  it("is refused where nothing could hold it", async () => {
    const failure = await refusal(
      new HostCommands({ containments: [] }).run(lab.plan("/bin/true", []), never),
    );
    assert.equal(failure.code, "OS_ERROR");
  });
});

function startBridge(lab: RunLab, plan: CommandPlan, kind: string, uid?: number) {
  const file = join(lab.folder, `plan-${mark()}.json`);
  writeFileSync(file, JSON.stringify(plan));
  const child = fileURLToPath(new URL("./actions-run-child.ts", import.meta.url));
  const args = ["--conditions=source", "--import", import.meta.resolve("tsx"), child, file, kind];
  const user = uid === undefined ? {} : { uid, gid: uid };
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], env: {}, ...user });
}

function childrenOf(pid: number): number[] {
  return execFileSync("/bin/sh", ["-c", `cat /proc/${String(pid)}/task/*/children`])
    .toString()
    .trim()
    .split(/\s+/)
    .map(Number);
}

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 2400; round += 1) {
    if (holds()) return;
    await sleep(25);
  }
  assert.fail("it never came to that");
}
