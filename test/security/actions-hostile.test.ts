import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { ACTION_CODES } from "@doorward/contracts";
import { FlowLab } from "../../packages/bridge/test/actions-flow-lab.ts";

const COUNT = Number(process.env["DOORWARD_HOSTILE"] ?? 10_000);
const SEED = Number(process.env["DOORWARD_SEED"] ?? 20_261_121);

/** Numbers below `n` from a seed (mulberry32). */
function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n;
  };
}

/** One hostile request and the codes that it may be refused with. */
function hostile(lab: FlowLab, pick: (n: number) => number): readonly [unknown, readonly string[]] {
  const text =
    ["\u0000", "a\nb", "../..", "$(id)", "`id`", "-", "\ud800", "x".repeat(pick(70_000))][pick(8)] ?? "";
  const run = (payload: object): unknown => ({
    action: "system.process.exec",
    payload: { scope: "tool", command: lab.program, args: ["say"], ...payload },
  });
  const change = (operation: object): unknown => ({
    action: "system.fs.mutate",
    payload: { scope: "notes", operations: [operation] },
  });
  const record = (fields: object): unknown => ({
    action: "system.hosts.write",
    payload: { records: [{ address: "10.0.0.1", hostname: "a.test", ...fields }] },
  });
  const refused = ["VALIDATION_FAILED", "SCOPE_DENIED", "SCOPE_VIOLATION"];
  const shapes: readonly (() => readonly [unknown, readonly string[]])[] = [
    () => [run({ args: [text] }), refused],
    () => [run({ args: ["say", `--${text}`] }), refused],
    () => [run({ command: `/bin/${text}` }), refused],
    () => [run({ command: "/bin/sh", args: ["-c", "id"] }), ["SCOPE_VIOLATION"]],
    () => [run({ shell: true }), ["VALIDATION_FAILED"]],
    () => [run({ cwd: `/${text}` }), refused],
    () => [
      run({ env: { [["LD_PRELOAD", "PATH", "BASH_ENV", "lower", "A-B"][pick(5)] ?? ""]: "x" } }),
      refused,
    ],
    () => [run({ timeoutMs: [-1, 0, 1e9, 120_001, Number.MAX_VALUE][pick(5)] }), refused],
    () => [run({ input: text }), refused],
    () => [run({ scope: text }), refused],
    () => [change({ type: "writeFile", path: `/etc/${text}`, content: "x" }), refused],
    () => [change({ type: "writeFile", path: `${lab.files}/../../etc/x`, content: "x" }), refused],
    () => [change({ type: "remove", path: "/", recursive: true }), refused],
    () => [change({ type: "rename", from: `${lab.files}/a`, to: "/etc/a" }), refused],
    () => [change({ type: "chmod", path: `${lab.files}/a`, mode: "777" }), ["VALIDATION_FAILED"]],
    () => [
      change({ type: "writeFile", path: `${lab.files}/a`, content: "x", mode: 0o4755 }),
      ["VALIDATION_FAILED"],
    ],
    () => [record({ comment: `x\n127.0.0.1 bank` }), ["VALIDATION_FAILED"]],
    () => [record({ address: ["cafe", ":::::", "1.2.3.4.5", "1e3"][pick(4)] }), ["VALIDATION_FAILED"]],
    () => [record({ hostname: ["-", "a..b", "a b", ".a", "a."][pick(5)] }), ["VALIDATION_FAILED"]],
    () => [{ action: text, payload: {} }, ["VALIDATION_FAILED"]],
    () => [{ correlationId: text.length === 0 ? "é" : `${text} `, request: run({}) }, ["VALIDATION_FAILED"]],
    () => [{ request: run({}), result: { request: run({}) } }, ["VALIDATION_FAILED"]],
    () => [{ ok: false, result: { request: run({}) } }, ["PLUGIN_BACKEND_HANDLER_FAILED"]],
    () => [[null, 7, [], "x", {}, [run({})]][pick(6)], ["VALIDATION_FAILED"]],
    () => [nested(pick(200) + 25), ["VALIDATION_FAILED"]],
  ];
  return (shapes[pick(shapes.length)] ?? (() => [null, []]))();
}

function nested(depth: number): unknown {
  let value: unknown = {};
  for (let level = 0; level < depth; level += 1) value = { data: value };
  return value;
}

test(
  `${COUNT} hostile requests: each is refused with its code, none is executed`,
  { timeout: 600_000 },
  async () => {
    await using lab = await FlowLab.open();
    const pick = randomFrom(SEED);
    const hosts = lab.read(lab.hostsPath);
    const codes = new Map<string, number>();
    for (let at = 0; at < COUNT; at += 1) {
      const [raw, allowed] = hostile(lab, pick);
      const response = await lab.perform(raw, "wait");
      assert.ok(
        !response.ok,
        `seed ${SEED}, request ${at} was accepted: ${JSON.stringify(raw).slice(0, 300)}`,
      );
      const { code = "" } = response;
      assert.ok(allowed.includes(code), `seed ${SEED}, request ${at}: ${code}: ${response.error}`);
      assert.ok(ACTION_CODES.some((known) => known === code));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    assert.deepEqual(lab.approvals.list(), []);
    assert.equal(lab.hostActions().filter(({ event }) => event === "began").length, 0);
    assert.equal(lab.read(lab.hostsPath), hosts);
    assert.deepEqual(readdirSync(lab.files), []);
    assert.ok(
      (
        await lab.perform({
          action: "system.process.exec",
          payload: { scope: "tool", command: lab.program, args: ["say"] },
        })
      ).ok,
    );
  },
);
