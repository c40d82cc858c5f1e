import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import { dialPort, runCommand } from "@doorward/guest";
import {
  Watcher,
  attaching,
  creating,
  newId,
  settled,
  soon,
  startLab,
  until,
  type Lab,
} from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === expected;

/** Prints numbered lines slowly enough that something can happen in between. */
const counting = (to: number, pause = "0.002"): string[] => [
  "bash",
  "-c",
  `stty -echo; for ((i = 0; i < ${String(to)}; i++)); do echo "line $i"; sleep ${pause}; done; echo END; read x`,
];

test("a terminal echoes, runs a command and reports its exit code", async () => {
  using watcher = await Watcher.open(lab.link, creating());
  await watcher.see("$ ");
  watcher.type("echo $((40 + 2))-$(tty | head -c 8)\r");
  await watcher.see("42-/dev/pts");
  watcher.type("exit 7\r");
  await watcher.until("exit", () => watcher.exit !== undefined);
  assert.deepEqual(watcher.exit, { code: 7, signal: null });
  await watcher.until("end", () => watcher.closed !== undefined);
  assert.equal(watcher.closed?.error, undefined);
});

test("a terminal killed by a signal reports the signal", async () => {
  using watcher = await Watcher.open(lab.link, creating({ argv: ["bash", "-c", "kill -TERM $$"] }));
  await watcher.until("exit", () => watcher.exit !== undefined);
  assert.deepEqual(watcher.exit, { code: null, signal: "SIGTERM" });
});

test("a program that closes its terminal before it ends is not hung up, and keeps its exit code", async () => {
  const argv = ["bash", "-c", "echo done; exec 0<&- 1>&- 2>&-; sleep 0.4; exit 7"];
  using watcher = await Watcher.open(lab.link, creating({ argv }));
  await watcher.until("exit", () => watcher.exit !== undefined);
  assert.deepEqual(watcher.exit, { code: 7, signal: null });
  assert.equal(watcher.text, "done\r\n");
});

test("output right before the exit is not lost", async () => {
  using watcher = await Watcher.open(lab.link, creating({ argv: ["bash", "-c", "seq 1 20000; echo LAST"] }));
  await watcher.until("exit", () => watcher.exit !== undefined);
  assert.ok(watcher.text.endsWith("20000\r\nLAST\r\n"));
});

test("resize reaches the program and the other viewers", async () => {
  using watcher = await Watcher.open(
    lab.link,
    creating({ argv: ["bash", "-c", "trap 'stty size' WINCH; echo READY; while :; do sleep 0.05; done"] }),
  );
  using other = await Watcher.open(
    lab.link,
    attaching(watcher.terminal.started.terminal, { mode: "observe", take: false }),
  );
  await watcher.see("READY");
  watcher.terminal.resize({ cols: 132, rows: 43 });
  await watcher.see("43 132");
  await other.until("size", () => other.sizes.some(({ cols, rows }) => cols === 132 && rows === 43));
  other.terminal.resize({ cols: 10, rows: 10 });
  await sleep(150);
  assert.ok(!watcher.text.includes("10 10"), "an observer must not resize");
});

test("a terminal resumes after a lost client with nothing lost and nothing doubled", async () => {
  const first = await Watcher.open(lab.link, creating({ argv: counting(400) }));
  const id = first.terminal.started.terminal;
  await first.see("line 50\r\n");
  const seen = first.bytes;
  first[Symbol.dispose]();
  await sleep(200);
  using second = await Watcher.open(lab.link, attaching(id, { from: { resume: seen.length } }));
  await second.see("END");
  const whole = Buffer.concat([seen, second.bytes]).toString();
  assert.equal(whole, Array.from({ length: 400 }, (_, i) => `line ${String(i)}\r\n`).join("") + "END\r\n");
  assert.deepEqual(second.gaps, []);
});

test("a terminal resumes after a bridge restart with nothing lost and nothing doubled", async () => {
  const first = await Watcher.open(lab.link, creating({ argv: counting(400) }));
  const id = first.terminal.started.terminal;
  await first.see("line 60\r\n");
  await lab.restartBridge();
  await first.until("end of the old stream", () => first.closed !== undefined);
  using second = await Watcher.open(lab.link, attaching(id, { from: { resume: first.total } }));
  await second.see("END");
  const whole = first.text + second.text;
  assert.equal(whole, Array.from({ length: 400 }, (_, i) => `line ${String(i)}\r\n`).join("") + "END\r\n");
});

test("a late resume is told of the gap, gets everything after it, and a repaint", async () => {
  const argv = [
    "bash",
    "-c",
    "stty -echo; trap 'echo WINCH' WINCH; echo READY; read x; seq 1 60000; echo END; while :; do sleep 0.05; done",
  ];
  const first = await Watcher.open(lab.link, creating({ argv, scrollbackBytes: 4096 }));
  const id = first.terminal.started.terminal;
  await first.see("READY\r\n");
  first.type("go\r");
  first[Symbol.dispose]();
  const numbers = Array.from({ length: 60_000 }, (_, i) => `${String(i + 1)}\r\n`).join("");
  const whole = `READY\r\n${numbers}END\r\n`.length;
  const written = async (): Promise<number> =>
    (await lab.link.terminals(soon())).find((info) => info.id === id)?.offset ?? 0;
  await until("it has written all", async () => (await written()) >= whole);
  using second = await Watcher.open(lab.link, attaching(id, { from: { resume: 0 } }));
  await second.see("END");
  await second.see("WINCH");
  assert.equal(second.gaps.length, 1);
  assert.equal(second.gaps[0]?.from, 0);
  assert.match(second.text, /60000\r\nEND/);
  // Each change of size is one more line, and the guest may say so before its bytes are here.
  await until("the same offset", async () => (await written()) === second.offset);
});

test("a new viewer starts with scrollback from the beginning of a line", async () => {
  const first = await Watcher.open(lab.link, creating({ argv: ["bash", "-c", "seq 1 5000; read x"] }));
  await first.see("5000\r\n");
  using second = await Watcher.open(
    lab.link,
    attaching(first.terminal.started.terminal, { from: { scrollback: 100 } }),
  );
  await second.see("5000\r\n");
  assert.match(second.text, /^49\d\d\r\n/);
  first[Symbol.dispose]();
});

test("control is handed over, and whoever lost it types nothing", async () => {
  using first = await Watcher.open(lab.link, creating());
  await first.see("$ ");
  assert.equal(first.terminal.started.role, "controller");
  const id = first.terminal.started.terminal;
  using polite = await Watcher.open(lab.link, attaching(id, { take: false }));
  assert.equal(polite.terminal.started.role, "observer");
  polite.type("echo from-polite\r");
  using second = await Watcher.open(lab.link, attaching(id));
  assert.equal(second.terminal.started.role, "controller");
  await first.until("loss of control", () => first.roles.at(-1) === "observer");
  first.type("echo from-first\r");
  second.type("echo from-second\r");
  await first.see("from-second\r\n");
  assert.ok(!first.text.includes("from-first") && !first.text.includes("from-polite"));
  second.terminal.want("observe");
  await second.until("release", () => second.roles.at(-1) === "observer");
  first.terminal.want("control");
  await first.until("control", () => first.roles.at(-1) === "controller");
  first.type("echo again-first\r");
  await second.see("again-first\r\n");
});

test("an observer never gets control, whatever it asks for", async () => {
  using first = await Watcher.open(lab.link, creating());
  await first.see("$ ");
  const id = first.terminal.started.terminal;
  using observer = await Watcher.open(lab.link, attaching(id, { mode: "observe" }));
  assert.equal(observer.terminal.started.role, "observer");
  observer.terminal.want("control");
  observer.type("echo intruder\r");
  await sleep(150);
  first.type("echo checked\r");
  await first.see("checked\r\n");
  assert.ok(!first.text.includes("intruder"));
  assert.ok(!observer.roles.includes("controller"));
});

test("a stalled controller pauses its program, bounded in memory, and another terminal stays quick", async () => {
  using flood = await Watcher.open(lab.link, creating());
  await flood.see("$ ");
  flood.keep = false;
  flood.terminal.pause();
  flood.type("yes | head -c 200M\r");
  const id = flood.terminal.started.terminal;
  const offset = async (): Promise<number> =>
    (await lab.link.terminals(soon())).find((info) => info.id === id)?.offset ?? -1;
  await until("the flood", async () => (await offset()) > 100_000);
  const stalled = await settled(offset);
  assert.ok(stalled < 4_000_000, `the program went on to ${String(stalled)}`);
  await sleep(300);
  assert.equal(await offset(), stalled);
  using other = await Watcher.open(lab.link, creating());
  await other.see("$ ");
  const echoes: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const began = performance.now();
    other.type(`echo quick-$((${String(round)} + 1))\r`);
    await other.see(`quick-${String(round + 1)}`);
    echoes.push(performance.now() - began);
  }
  assert.equal(await offset(), stalled, "it did not wait for the stalled one to read on");
  assert.ok(Math.min(...echoes) < 1000);
  const { rssBytes } = await lab.link.health(soon());
  assert.ok(rssBytes < 150_000_000, `guest has ${String(rssBytes)} bytes`);
  flood.type("\u0003");
  flood.terminal.resume();
  flood.keep = true;
  const before = flood.total;
  flood.type("echo back-$((2 + 2))\r");
  await flood.see("back-4");
  assert.ok(flood.total - before < 4_000_000, "Ctrl-C must act at once");
});

test("a stalled observer neither slows the controller nor costs memory; it is told of its gap", async () => {
  using controller = await Watcher.open(lab.link, creating({ scrollbackBytes: 65_536 }));
  await controller.see("$ ");
  const id = controller.terminal.started.terminal;
  using observer = await Watcher.open(lab.link, attaching(id, { mode: "observe" }));
  observer.terminal.pause();
  observer.keep = false;
  const before = controller.total;
  controller.type("head -c 4M /dev/zero | tr '\\0' x; echo DO''NE\r");
  await controller.see("DONE");
  assert.ok(controller.total - before > 4_000_000);
  observer.terminal.resume();
  await observer.until("the end", () => observer.offset >= controller.offset);
  assert.ok(observer.gaps.length > 0);
});

test("large input to a program that reads late arrives whole", async () => {
  using watcher = await Watcher.open(
    lab.link,
    creating({
      argv: ["bash", "-c", "stty raw -echo; echo READY; sleep 0.5; head -c 300000 | cksum; read x"],
    }),
  );
  await watcher.see("READY");
  const bytes = Buffer.alloc(300_000, "abcdefghij");
  for (let at = 0; at < bytes.length; at += 50_000) watcher.terminal.input(bytes.subarray(at, at + 50_000));
  const expected = await runCommand(lab.link, { argv: ["cksum"], stdin: bytes }, soon());
  await watcher.see(expected.stdout.toString().trim());
});

test("a viewer who leaves while the program takes no input is gone, and the next one controls", async () => {
  using first = await Watcher.open(
    lab.link,
    creating({ argv: ["bash", "-c", "stty raw -echo; echo READY; exec sleep 300"] }),
  );
  await first.see("READY");
  const { terminal } = first.terminal.started;
  first.terminal.input(Buffer.alloc(1_000_000, "a"));
  await sleep(200);
  first[Symbol.dispose]();
  const viewers = async (): Promise<number | undefined> =>
    (await lab.link.terminals(soon())).find(({ id }) => id === terminal)?.viewers;
  await until("it is gone", async () => (await viewers()) === 0);
  using second = await Watcher.open(lab.link, attaching(terminal, { take: false }));
  assert.equal(second.terminal.started.role, "controller");
});

test("a connection to a port that is cut while its program does not read leaves no descriptor", async () => {
  const server = createServer({ pauseOnConnect: true }, (socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const descriptors = (): number => readdirSync(`/proc/${String(lab.guest.pid)}/fd`).length;
  const before = await settled(descriptors);
  const streams = await Promise.all(Array.from({ length: 10 }, () => dialPort(lab.link, port, soon())));
  for (const stream of streams) stream.write(Buffer.alloc(16_777_216));
  await sleep(500);
  for (const stream of streams) stream.destroy();
  await until("all are closed", () => descriptors() <= before);
  server.close();
});

test("no command and no terminal gets a descriptor of anybody's terminal", async () => {
  using first = await Watcher.open(lab.link, creating());
  await first.see("$ ");
  const list = "ls -l /proc/self/fd; echo LISTED";
  const { stdout } = await runCommand(lab.link, { argv: ["sh", "-c", list] }, soon());
  assert.doesNotMatch(stdout.toString(), /ptmx/);
  using second = await Watcher.open(lab.link, creating({ argv: ["sh", "-c", list] }));
  await second.see("LISTED");
  assert.doesNotMatch(second.text, /ptmx/);
});

test("a finished terminal keeps its output and its exit status", async () => {
  using first = await Watcher.open(lab.link, creating({ argv: ["bash", "-c", "echo bye; exit 3"] }));
  await first.until("exit", () => first.exit !== undefined);
  using late = await Watcher.open(
    lab.link,
    attaching(first.terminal.started.terminal, { from: { resume: 0 } }),
  );
  await late.until("exit", () => late.exit !== undefined);
  assert.equal(late.text, "bye\r\n");
  assert.deepEqual(late.exit, { code: 3, signal: null });
});

test("a process left in the background does not keep a terminal open", async () => {
  using watcher = await Watcher.open(
    lab.link,
    creating({ argv: ["bash", "-c", "trap '' HUP; sleep 600 & echo gone $!"] }),
  );
  await watcher.until("exit", () => watcher.exit !== undefined);
  const [, pid] = /gone (\d+)/.exec(watcher.text) ?? assert.fail(watcher.text);
  // Throws when it has ended.
  process.kill(Number(pid), "SIGKILL");
});

test("what can't be run is refused before a terminal exists", async () => {
  const count = async (): Promise<number> => (await lab.link.terminals(soon())).length;
  const before = await count();
  await assert.rejects(
    Watcher.open(lab.link, creating({ argv: ["no-such-program"] })),
    code("COMMAND_NOT_FOUND"),
  );
  await assert.rejects(
    Watcher.open(lab.link, creating({ argv: ["/etc/passwd"] })),
    code("COMMAND_NOT_FOUND"),
  );
  await assert.rejects(Watcher.open(lab.link, creating({ argv: [""] })), code("COMMAND_NOT_FOUND"));
  await assert.rejects(Watcher.open(lab.link, creating({ cwd: "/no/such/folder" })), code("PATH_NOT_FOUND"));
  await assert.rejects(Watcher.open(lab.link, attaching(newId("t"))), code("TERMINAL_NOT_FOUND"));
  assert.equal(await count(), before);
});

test("terminals are bounded in number, and an id is used once", async () => {
  using one = await Watcher.open(lab.link, creating());
  await assert.rejects(Watcher.open(lab.link, creating({ maxTerminals: 1 })), code("TERMINAL_LIMIT"));
  const { terminal } = one.terminal.started;
  await assert.rejects(Watcher.open(lab.link, creating({ terminal })), code("INPUT_INVALID"));
});
