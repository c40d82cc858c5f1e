import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { startCliLab, type CliLab } from "./cli-lab.ts";
import { McpFarSide } from "./mcp-door.ts";

interface Answer {
  readonly id: string | number | null;
  readonly result?: { readonly echo?: { readonly params?: unknown } };
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: { readonly code: string; readonly hint?: string };
  };
}

/** The shim as a client sees it: lines in, lines out. */
class Shim implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly ended: Promise<number | null>;
  stderr = "";
  #rest = "";

  constructor(lab: CliLab, args: readonly string[], env: Record<string, string> = {}) {
    this.child = lab.spawn(["mcp", ...args], { env });
    this.ended = once(this.child, "close").then(([code]) => code as number | null);
    this.child.stdout?.on("data", (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split("\n");
      this.#rest = lines.pop() ?? "";
      this.lines.push(...lines);
    });
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.child.stdin?.on("error", () => undefined);
  }

  send(message: unknown): void {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.child.stdin?.write(`${text}\n`);
  }

  async ask(id: string | number, method: string, params: unknown = {}): Promise<Answer> {
    this.send({ jsonrpc: "2.0", id, method, params });
    return await this.answer(id);
  }

  async answer(id: string | number | null): Promise<Answer> {
    for (;;) {
      const at = this.lines.findIndex((line) => (JSON.parse(line) as Answer).id === id);
      const [line] = at < 0 ? [] : this.lines.splice(at, 1);
      if (line !== undefined) return JSON.parse(line) as Answer;
      if (this.child.exitCode !== null) throw new Error(`ended: ${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** As its client would, so that no grant is left for the next test. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.ended;
  }
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
};

let lab: CliLab;
const door = new McpFarSide();
const live = () => lab.authority.list().filter(({ grant }) => grant.doors.includes("agent-tool"));

before(async () => {
  lab = await startCliLab([door.entry()]);
});
after(() => lab[Symbol.asyncDispose]());

test("messages pass both ways, and the grant ends with the client's input", async () => {
  await using shim = new Shim(lab, ["shop", "--as", "codex"]);
  const answer = await shim.ask("a", "tools/list", { text: "grüße\u2028" });
  assert.deepEqual(answer.result?.echo?.params, { text: "grüße\u2028" });
  const [grant] = live();
  assert.match(grant?.grant.subject ?? "", /^agent:codex:[0-9a-f]{10}$/);
  assert.deepEqual(grant?.grant.operations.toSorted(), [
    "agent-tool.egress",
    "agent-tool.exec",
    "agent-tool.list",
    "agent-tool.read",
    "agent-tool.write",
  ]);
  shim.child.stdin?.end();
  assert.equal(await shim.ended, 0);
  assert.equal(live().length, 0);
  assert.equal(shim.stderr, "");
});

test("requests that are still open when the input ends are answered first", async () => {
  const ran = await lab.run(["mcp", "shop"], {
    input: `${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" })}\n`,
  });
  assert.equal(ran.code, 0);
  assert.equal((JSON.parse(ran.stdout.toString()) as Answer).id, 1);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  test(`${signal} revokes the grant`, async () => {
    await using shim = new Shim(lab, ["shop"]);
    await shim.ask(1, "ping");
    assert.equal(live().length, 1);
    shim.child.kill(signal);
    assert.equal(await shim.ended, 0);
    assert.equal(live().length, 0);
  });
}

test("a grant of a few seconds outlives them, because it is renewed", async () => {
  await using shim = new Shim(lab, ["shop", "--for", "4s"]);
  await shim.ask(1, "ping");
  const ids = () => live().map(({ grant }) => grant.grantId);
  let before: readonly string[] = [];
  let after: readonly string[] = [];
  // On a host that stands still for half of a grant's time nobody renews it, and another takes its place.
  for (let round = 2; round < 7 && (round === 2 || before[0] !== after[0]); round += 1) {
    before = ids();
    await new Promise((resolve) => setTimeout(resolve, 5500));
    assert.ok("result" in (await shim.ask(round, "ping")));
    after = ids();
  }
  assert.deepEqual(after, before);
  assert.equal(after.length, 1);
});

test("a revoked grant is not replaced: what was under way and all that follows is an error", async () => {
  await using shim = new Shim(lab, ["shop"]);
  await shim.ask(0, "initialize");
  door.silent.add("slow");
  shim.send({ jsonrpc: "2.0", id: 1, method: "slow" });
  await until(() => door.methods().includes("slow"));
  lab.authority.revoke(live()[0]?.grant.grantId ?? "", "enough", "operator:ada");
  const cut = await shim.answer(1);
  assert.equal(cut.error?.data?.code, "GRANT_REVOKED");
  assert.match(cut.error.message, /whether it had its effect is not known/);
  assert.equal((await shim.ask(2, "tools/list")).error?.data?.code, "GRANT_REVOKED");
  assert.equal(live().length, 0);
  shim.child.stdin?.end();
  assert.equal(await shim.ended, 3);
  assert.match(shim.stderr, /revoked/);
});

test("a bridge that was killed and is there again: the session is taken up, nothing hangs", async () => {
  await using shim = new Shim(lab, ["shop"]);
  await shim.ask(0, "initialize", { clientInfo: { name: "test" } });
  shim.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  door.silent.add("slow");
  shim.send({ jsonrpc: "2.0", id: 1, method: "slow" });
  await until(() => door.heard.some(({ id, method }) => id === 1 && method === "slow"));
  await lab.stopBridge();
  const cut = await shim.answer(1);
  assert.equal(cut.error?.data?.code, "BRIDGE_STOPPING");
  const waiting = shim.ask(2, "tools/list");
  const heard = door.heard.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  await lab.startBridge();
  assert.ok("result" in (await waiting));
  assert.deepEqual(door.methods().slice(heard), ["initialize", "notifications/initialized", "tools/list"]);
  assert.equal(shim.lines.length, 0);
  assert.equal(live().length, 1);
});

test("lines that are no message are answered and harm nothing", async () => {
  await using shim = new Shim(lab, ["shop"]);
  for (const line of ["no json", "[]", '{"id":1}', '{"jsonrpc":"2.0","id":null,"method":"x"}']) {
    shim.send(line);
    assert.equal((await shim.answer(null)).error?.code, -32_700);
  }
  shim.child.stdin?.write(Buffer.from([0x7b, 0xff, 0x7d, 0x0a]));
  assert.match((await shim.answer(null)).error?.message ?? "", /UTF-8/);
  shim.child.stdin?.write(`${"x".repeat(17_000_000)}\n`);
  assert.match((await shim.answer(null)).error?.message ?? "", /longer than 16777216 bytes/);
  const big = await shim.ask("big", "tools/call", { text: "x".repeat(4_200_000) });
  assert.equal(big.error?.data?.code, "INPUT_TOO_LARGE");
  assert.ok("result" in (await shim.ask(9, "ping")));
});

test("a given grant is used as it is: nothing is minted, and its end is the end", async () => {
  const { token, id } = await lab.grant(["agent-tool.list", "agent-tool.read"]);
  const env = { DOORWARD_TOKEN: token, DOORWARD_URL: `unix:${lab.home}/run/bridge.sock` };
  await using shim = new Shim(lab, ["shop"], env);
  assert.ok("result" in (await shim.ask(1, "ping")));
  assert.deepEqual(
    live().map(({ grant }) => grant.grantId),
    [id],
  );
  lab.authority.revoke(id, "enough", "operator:ada");
  assert.equal((await shim.ask(2, "ping")).error?.data?.code, "GRANT_REVOKED");
  shim.child.stdin?.end();
  assert.equal(await shim.ended, 3);
});

test("an expired given grant says who renews it", async () => {
  const { token } = await lab.grant(["agent-tool.list"], 1);
  const env = { DOORWARD_TOKEN: token, DOORWARD_URL: `unix:${lab.home}/run/bridge.sock` };
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await using shim = new Shim(lab, ["shop"], env);
  const answer = await shim.ask(1, "ping");
  assert.equal(answer.error?.data?.code, "GRANT_EXPIRED");
  assert.match(answer.error.message, /not renewed here/);
});

test("no machine, and then one: requests say what is missing, and work once it is there", async () => {
  lab.machines = [];
  await using shim = new Shim(lab, []);
  const answer = await shim.ask(1, "initialize");
  assert.equal(answer.error?.data?.code, "MACHINE_NOT_FOUND");
  assert.equal(answer.error.data.hint, "doorward up");
  const { machineView } = await import("./cli-lab.ts");
  lab.machines = [machineView("shop", lab.repo)];
  assert.ok("result" in (await shim.ask(2, "initialize")));
});

test("--up launches the folder's machine first", async () => {
  await using shim = new Shim(lab, ["--up", "--as", "claude-code", "--read-only"]);
  assert.ok("result" in (await shim.ask(1, "initialize")));
  assert.deepEqual(lab.calls.findLast(({ id }) => id === "machines.up")?.body, {
    repos: [{ path: lab.repo }],
  });
  assert.deepEqual(live()[0]?.grant.operations.toSorted(), ["agent-tool.list", "agent-tool.read"]);
});

for (const [args, why] of [
  [["shop", "--read-only", "--op", "agent-tool.exec"], /--op and --read-only/],
  [["shop", "--up"], /--up with a machine/],
  [["shop", "--as", "Codex"], /--as "Codex"/],
  [["shop", "--as", "my-agent"], /--as "my-agent".*one of openclaw/],
  [["shop", "--op", "terminal.exec"], /--op/],
] as const) {
  test(`refused: mcp ${args.join(" ")}`, async () => {
    const ran = await lab.run(["mcp", ...args]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, why);
    assert.equal(ran.stdout.length, 0);
  });
}
