import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { FRAME, GuestCommand, GuestTerminal, encodeFrame, encodeMessage, runCommand } from "@doorward/guest";
import fc from "fast-check";
import { Watcher, creating, soon, startLab } from "./guest-harness.ts";
import { closes, code, evilGuest, execOpen, lonelyLink } from "./guest-link-lab.ts";

test("an answer that nobody asked for cuts the control connection", async () => {
  for (const bytes of [
    encodeMessage(FRAME.control, { what: "terminals", id: 1, terminals: [] }),
    encodeMessage(FRAME.control, { what: "unknown" }),
    encodeFrame(FRAME.output, Buffer.from("x")),
    Buffer.from([FRAME.control, 0xff, 0xff, 0xff, 0xff]),
  ]) {
    const { link, path } = await lonelyLink();
    const control = await evilGuest(path, () => undefined);
    await link.ready(soon());
    control.write(bytes);
    await closes(control);
    await link[Symbol.asyncDispose]();
  }
});

test("a guest that never opens the stream is given up, and its late connection is cut", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, () => undefined);
  await link.ready(soon());
  const stop = AbortSignal.timeout(100);
  await assert.rejects(GuestCommand.start(link, execOpen, stop), code("TIMED_OUT"));
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("wrong frames on a stream end it with GUEST_PROTOCOL", async () => {
  const started = encodeMessage(FRAME.started, { pid: 1, stdinWindow: 1000 });
  const cases: [string, Buffer][] = [
    ["not an answer", encodeFrame(FRAME.stdout, Buffer.from("x"))],
    ["a wrong shape", encodeMessage(FRAME.started, { pid: "root" })],
    ["not JSON", encodeFrame(FRAME.started, Buffer.from("{{"))],
    ["too large", Buffer.from([FRAME.started, 0, 1, 0, 0])],
    ["another stream's frame", Buffer.concat([started, encodeMessage(FRAME.gap, { from: 0, to: 1 })])],
    ["a wrong exit", Buffer.concat([started, encodeMessage(FRAME.exit, { code: 700, signal: null })])],
    ["an unknown failure", encodeMessage(FRAME.failed, { code: "GRANT_REVOKED", message: "no" })],
  ];
  for (const [what, bytes] of cases) {
    const { link, path } = await lonelyLink();
    const control = await evilGuest(path, (stream) => stream.write(bytes));
    await link.ready(soon());
    await assert.rejects(runCommand(link, { argv: ["true"] }, soon()), code("GUEST_PROTOCOL"), what);
    control.destroy();
    await link[Symbol.asyncDispose]();
  }
});

test("a failure's text comes without control characters", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) =>
    stream.write(encodeMessage(FRAME.failed, { code: "INTERNAL", message: "\u001b]0;x\u0007bad\nline" })),
  );
  await link.ready(soon());
  await assert.rejects(runCommand(link, { argv: ["true"] }, soon()), /^DoorwardError: \?\]0;x\?bad\?line$/);
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("a guest that credits stdin it was not sent is cut", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) => {
    stream.write(encodeMessage(FRAME.started, { pid: 1, stdinWindow: 1000 }));
    stream.write(encodeFrame(FRAME.stdinCredit, Buffer.from([0xff, 0xff, 0xff, 0xff])));
  });
  await link.ready(soon());
  await assert.rejects(
    runCommand(link, { argv: ["cat"], stdin: Buffer.alloc(100) }, soon()),
    code("GUEST_PROTOCOL"),
  );
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("a guest that never reads its stream is cut before what waits for it grows", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) => {
    stream.write(encodeMessage(FRAME.started, { pid: 1, stdinWindow: 0 }));
    stream.pause();
  });
  await link.ready(soon());
  const command = await GuestCommand.start(link, execOpen, soon());
  const closed = new Promise<Error | undefined>((resolve) => {
    command.listen({ stdout: () => 0, stderr: () => 0, credit: () => 0, exit: () => 0, closed: resolve });
  });
  for (let i = 0; i < 500_000; i++) command.signal("SIGCONT");
  assert.ok(code("GUEST_PROTOCOL")(await closed));
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("a flood of messages on a stream ends it", async () => {
  const started = {
    terminal: "t_aaaaaaaaaaaa",
    role: "controller",
    controller: null,
    offset: 0,
    cols: 1,
    rows: 1,
  };
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) => {
    stream.write(encodeMessage(FRAME.started, started));
    const role = encodeMessage(FRAME.role, { role: "observer", controller: null });
    stream.write(Buffer.concat(Array.from({ length: 5000 }, () => role)));
  });
  await link.ready(soon());
  const watcher = new Watcher(
    await GuestTerminal.open(link, creating({ terminal: "t_aaaaaaaaaaaa" }), soon()),
  );
  await watcher.until("the cut", () => watcher.closed !== undefined);
  assert.ok(code("GUEST_PROTOCOL")(watcher.closed?.error));
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("random frames on a stream never crash the bridge", async () => {
  const { link, path } = await lonelyLink();
  let bytes = Buffer.alloc(0);
  const control = await evilGuest(path, (stream) => stream.end(bytes));
  await link.ready(soon());
  const type = fc.constantFrom(...Object.values(FRAME), 0, 255);
  const frame = fc.tuple(type, fc.uint8Array({ maxLength: 60 })).map(([t, p]) => encodeFrame(t, p));
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 6 }), fc.boolean(), async (frames, begin) => {
      const started = encodeMessage(FRAME.started, { pid: 1, stdinWindow: 1000 });
      bytes = Buffer.concat([...(begin ? [started] : []), ...frames]);
      await runCommand(link, { argv: ["true"] }, soon()).catch((error: unknown) => {
        assert.ok(
          error instanceof DoorwardError && /^(GUEST|INTERNAL|COMMAND|PATH|TERMINAL|INPUT)/.test(error.code),
        );
      });
    }),
    { numRuns: 100 },
  );
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("random bytes from the bridge never take the guest down", async () => {
  const lab = await startLab();
  using watcher = await Watcher.open(lab.link, creating());
  await watcher.see("$ ");
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const duplex = await lab.link.dial(creating({ argv: ["sleep", "0.1"] }), soon());
      duplex.on("error", () => undefined);
      duplex.end(bytes);
      duplex.resume();
    }),
    { numRuns: 20 },
  );
  watcher.type("echo alive-$((1 + 1))\r");
  await watcher.see("alive-2");
  await lab[Symbol.asyncDispose]();
});
