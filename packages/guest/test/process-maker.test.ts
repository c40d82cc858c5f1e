import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { PipeMaker } from "../src/inside/pipe-maker.ts";
import { ProcessMaker, type ProcessEnd, type ProcessStart } from "../src/inside/process-maker.ts";

const FFI = createRequire(import.meta.url).resolve(
  `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
);

describe("processes of the guest", { timeout: 600_000 }, () => {
  const pipes = new PipeMaker(FFI);
  const processes = new ProcessMaker(FFI);
  const folder = mkdtempSync(join(tmpdir(), "doorward-spawn-"));
  // Nothing here but the children keeps the test going.
  const alive = setInterval(() => undefined, 1000);

  before(() => assert.ok(pipes.usable && processes.usable));
  after(() => {
    clearInterval(alive);
    rmSync(folder, { recursive: true });
  });

  function start(what: Partial<ProcessStart>, ended: (end: ProcessEnd) => void = () => undefined) {
    const [out, err] = [pipes.make(), pipes.make()];
    const stdio = [null, out.write, err.write] as const;
    const base = { program: "/bin/sh", argv: ["sh"], env: { PATH: "/usr/bin:/bin" }, cwd: "/" };
    try {
      const pid = processes.start({ ...base, stdio, ...what }, ended);
      return { pid, out: out.read, err: err.read };
    } catch (error) {
      for (const fd of [out.read, err.read]) closeSync(fd);
      throw error;
    } finally {
      for (const fd of [out.write, err.write]) closeSync(fd);
    }
  }

  async function read(fd: number): Promise<string> {
    const socket = new Socket({ fd, readable: true, writable: false });
    const text: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => text.push(bytes));
    await once(socket, "close");
    return Buffer.concat(text).toString();
  }

  async function run(
    what: Partial<ProcessStart>,
  ): Promise<{ end: ProcessEnd; out: string; err: string; pid: number }> {
    let over: (end: ProcessEnd) => void = () => undefined;
    const ended = new Promise<ProcessEnd>((resolve) => (over = resolve));
    const started = start(what, (end) => over(end));
    const [out, err, end] = await Promise.all([read(started.out), read(started.err), ended]);
    return { end, out, err, pid: started.pid };
  }

  const script = (text: string): Partial<ProcessStart> => ({ argv: ["sh", "-c", text] });

  for (const code of [0, 1, 127, 255]) {
    it(`that exit with ${code} are told of as that`, async () => {
      assert.deepEqual((await run(script(`exit ${code}`))).end, { code, signal: null });
    });
  }

  for (const signal of ["SIGKILL", "SIGABRT", "SIGTERM", "SIGPIPE", "SIGSEGV"]) {
    it(`that ${signal} ends are told of by its name`, async () => {
      const { end } = await run(script(`kill -${signal.slice(3)} $$`));
      assert.deepEqual(end, { code: null, signal });
    });
  }

  it("have the arguments, variables and folder that they were given, and no others", async () => {
    const argv = ["sh", "-c", 'pwd; printf "%s|" "$@"; env', "name", "a b", "", "$HOME", "ü\n'"];
    const { out } = await run({ argv, env: { A: "1", B: "x=y\n" }, cwd: folder });
    assert.match(out, new RegExp(`^${folder}\na b\\|\\|\\$HOME\\|ü\n'\\|`));
    assert.match(out, /\|A=1$/m);
    assert.match(out, /^B=x=y$/m);
    assert.doesNotMatch(out, /^(?:HOME|USER|NODE_)/m);
  });

  it("are called by the name that they were given", async () => {
    assert.equal((await run({ argv: ["other", "-c", "echo $0"] })).out, "other\n");
  });

  it("lead a session of their own, with an empty standard input and none of the guest's descriptors", async () => {
    const inherited = spawnSync("/bin/sh", ["-c", "ls /proc/$$/fd"], { encoding: "utf8" }).stdout;
    const { out, pid } = await run(script("echo $$; cut -d' ' -f5,6 /proc/$$/stat; cat; ls /proc/$$/fd"));
    assert.equal(out, `${pid}\n${pid} ${pid}\n${inherited}`);
  });

  it("neither block nor ignore a signal, whatever the guest does", async () => {
    const { out } = await run({
      program: "/bin/grep",
      argv: ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"],
    });
    assert.equal(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  it("may be scripts that name no interpreter", async () => {
    const path = join(folder, "plain");
    writeFileSync(path, 'echo "$1"\n');
    chmodSync(path, 0o755);
    assert.equal((await run({ program: path, argv: ["plain", "it ran"] })).out, "it ran\n");
  });

  it("are each told of once when hundreds end at the same time", async () => {
    const ends = await Promise.all(Array.from({ length: 300 }, (_, at) => run(script(`exit ${at % 256}`))));
    assert.deepEqual(
      ends.map(({ end }) => end.code),
      ends.map((_, at) => at % 256),
    );
  });

  it("are told of when their end comes with that of others that are not ours", async () => {
    const { out, end } = await run(script("(sleep 0.01; echo late) & (exit 3) & exit 4"));
    assert.deepEqual([out, end.code], ["late\n", 4]);
  });

  it("with a byte that a C string can't hold are refused", () => {
    for (const what of [
      { argv: ["sh", "a\0b"] },
      { env: { A: "b\0c" } },
      { env: { "A\0": "b" } },
      { cwd: "/tmp\0" },
      { program: "/bin/sh\0x" },
    ])
      assert.throws(() => start(what), /a NUL is in its words/);
  });

  it("that can't be run are refused with the system's reason, and leave no process", () => {
    const plain = join(folder, "not-executable");
    writeFileSync(plain, "");
    assert.throws(() => start({ program: join(folder, "nothing") }), /ENOENT/);
    assert.throws(() => start({ program: plain }), /EACCES/);
    assert.throws(() => start({ program: folder }), /EACCES/);
    assert.throws(() => start({ cwd: join(folder, "nowhere") }), /ENOENT/);
    assert.throws(() => start({ argv: ["sh", "-c", "true", "x".repeat(4_000_000)] }), /E2BIG/);
  });
});

it("a library that can't be loaded leaves processes to Node", () => {
  const nowhere = new ProcessMaker("/nowhere/ffi.node");
  assert.equal(nowhere.usable, false);
  const stdio = [null, 1, 2] as const;
  const what = { program: "/bin/true", argv: ["true"], env: {}, cwd: "/", stdio };
  assert.throws(() => nowhere.start(what, () => undefined), /posix_spawn/);
});
