import assert from "node:assert/strict";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { EvidencePredicate, EvidenceType } from "@doorward/contracts";
import { WebSocket } from "ws";
import { AgentClient } from "../support/agent-client.ts";
import { spawnDoorward } from "../support/command.ts";
import { openLab, REPO_OWNER, type Lab } from "../support/lab.ts";
import { ended, needsPrograms, OpenSsh, wrote } from "../support/openssh.ts";
import { StdioAgent } from "../support/stdio-agent.ts";

/** How often the bridge is killed under many calls: DOORWARD_TEST_KILLS. */
const KILLS = Number(process.env["DOORWARD_TEST_KILLS"] ?? 5);
/** Calls of tools, and commands, that are made at once meanwhile. */
const LANES = 6;

interface Records {
  readonly "tool-call": EvidencePredicate<"tool-call">;
  readonly command: EvidencePredicate<"command">;
}
type RecordOf = Records[keyof Records];

const policy = `grants:
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress]
    for: 8h
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.exec, terminal.agent-exec]
    for: 8h
`;

describe("kill -9 of the bridge in the middle of calls and commands", { timeout: 600_000 }, () => {
  let lab: Lab;
  let repo: string;

  before(async () => {
    lab = await openLab({ policy });
    repo = lab.repo("shop");
    await lab.up(repo, "--name", "shop");
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const runs = (seconds: string): Promise<number> =>
    lab.until(
      `"sleep ${seconds}" runs`,
      async () => (await lab.sh("shop", `pgrep -xfc 'sleep ${seconds}'; true`)).stdout === "1\n",
    );

  /** Starts the bridge as any command does, and waits until machines can be used. */
  async function start(): Promise<void> {
    assert.equal((await lab.run(["ls"])).code, 0);
    await using client = lab.client();
    const ready = (): Promise<boolean> =>
      client.call("bridge.ready", {}).then(
        () => true,
        () => false,
      );
    await lab.until("the bridge is ready", ready);
  }

  /** All records of some types, oldest first; of calls and commands, unless others are asked for. */
  async function recorded<T = RecordOf>(...types: readonly EvidenceType[]): Promise<T[]> {
    await using client = lab.client();
    const found: { readonly index: number; readonly predicate: T }[] = [];
    for (const type of types.length === 0 ? (["tool-call", "command"] as const) : types)
      for (let before: number | undefined; ;) {
        const query = { type, limit: 200, ...(before === undefined ? {} : { before }) };
        const { records } = await client.call("evidence.list", { query });
        for (const { index } of records) {
          const { statement } = await client.call("evidence.show", { params: { index } });
          found.push({ index, predicate: (statement as { predicate: T }).predicate });
        }
        if (records.length < 200) break;
        before = records.at(-1)?.index ?? 0;
      }
    return found.sort((a, b) => a.index - b.index).map(({ predicate }) => predicate);
  }

  /** The only record of a program; starts, and kills that follow, make no other. */
  async function only<T extends keyof Records>(program: string, type: T): Promise<Records[T]> {
    await start();
    await lab.killBridge();
    await start();
    const of = (await recorded()).filter((record) => record.program === program);
    const found = of.filter((record) => "tool" in record === (type === "tool-call"));
    assert.equal(found.length, 1, JSON.stringify(of));
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
    assert.equal(statSync(join(lab.home, "state", "in-flight")).mode & 0o777, 0o600);
    return found[0] as Records[T];
  }

  async function story(): Promise<string> {
    return (await lab.run(["evidence", "ls", "--machine", "shop"])).stdout;
  }

  /** What every record says of an end that nobody knows. */
  function unknownEnd(record: RecordOf): void {
    assert.deepEqual(
      [record.outcome, record.exitCode, record.durationMs, record.machine.name],
      ["bridge-lost", null, 0, "shop"],
    );
    assert.ok(Date.parse(record.beganAt ?? "") < Date.parse(record.at));
  }

  it("a call of a tool has one record, which says that nobody knows how it ended, and so does the story", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex"]);
    await agent.begin();
    const slow = agent.send("tools/call", { name: "run_command", arguments: { command: "sleep 8300" } });
    await runs("8300");
    const noted = readFileSync(join(lab.home, "state", "in-flight"), "utf8");
    assert.match(noted, /"program":"sleep"/);
    assert.doesNotMatch(noted, /8300/);
    await lab.killBridge();
    assert.match((await agent.answer(slow)).error?.message ?? "", /whether it had its effect is not known/);
    const record = await only("sleep", "tool-call");
    unknownEnd(record);
    assert.deepEqual([record.tool, record.effect, record.code], ["run_command", "runs", "BRIDGE_LOST"]);
    assert.match(record.subject, /^agent:codex:/);
    assert.match(record.grant ?? "", /^g_/);
    assert.match(
      await story(),
      /agent:codex:\S+ began to run sleep in shop: not known how it ended, the bridge was lost/,
    );
  });

  it("a command in the background has a record of its own beside its call's", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex"]);
    await agent.begin();
    await agent.call("run_command", { command: "exec /usr/bin/tail -f /dev/null", background: true });
    await lab.killBridge();
    await start();
    await lab.killBridge();
    await start();
    const found = (await recorded()).filter(({ program }) => program === "tail");
    assert.deepEqual(
      found.map(({ outcome }) => outcome),
      ["completed", "bridge-lost"],
    );
  });

  it("a command of doorward exec has one record", async () => {
    const child = spawnDoorward(["exec", "shop", "--", "sleep", "8400"], lab.env);
    const over = once(child, "close");
    await runs("8400");
    await lab.killBridge();
    assert.deepEqual(await over, [125, null]);
    const record = await only("sleep", "command");
    unknownEnd(record);
    assert.deepEqual([record.execution, record.argumentCount, record.detail], ["operator", 2, null]);
    assert.match(
      await story(),
      /operator:\S+ ran sleep in shop: not known how it ended, the bridge was lost/,
    );
  });

  it("a program on a pipe has one record", async () => {
    const { token } = await lab.grant("shop", ["terminal.agent-exec"]);
    const url = `ws://127.0.0.1:${String(await lab.tcpPort())}/v1/machines/shop/doors/pipe?arg=cat`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    socket.on("error", () => undefined);
    await once(socket, "open");
    socket.send("up");
    await once(socket, "message");
    await lab.killBridge();
    const record = await only("cat", "command");
    unknownEnd(record);
    assert.equal(record.subject, "agent:test:1");
  });

  it("a connection to a port has one record", async () => {
    const client = lab.client();
    const echo = `require("net").createServer((s) => s.on("error", () => {}).pipe(s)).listen(3001, "127.0.0.1")`;
    const server = client.exec("shop", ["node", "-e", echo]).catch(() => undefined);
    const connected = async (): Promise<boolean> => {
      const stream = await client.forward("shop", 3001).catch(() => null);
      stream?.on("error", () => undefined).resume();
      return stream !== null;
    };
    await lab.until("a connection stands", connected);
    await lab.killBridge();
    await server;
    await start();
    await lab.killBridge();
    await start();
    const found = await recorded<EvidencePredicate<"forward">>("forward");
    const [record, ...more] = found.filter(({ outcome }) => outcome !== "refused");
    assert.deepEqual(more, []);
    assert.deepEqual([record?.outcome, record?.code, record?.port], ["bridge-lost", "BRIDGE_LOST", 3001]);
    assert.match(await story(), /asked for a connection to port 3001 of shop: not known how it ended/);
  });

  it("a connection by SSH has one record", { skip: needsPrograms("ssh") }, async () => {
    const open = await OpenSsh.of(lab);
    const child = open.start("ssh", ["-F", open.config, "shop.doorward", "echo up; sleep 8500"]);
    const over = ended(child);
    await wrote(child, "up");
    await lab.killBridge();
    assert.equal((await over).code, 255);
    await start();
    const lost = (await recorded()).filter(({ outcome }) => outcome === "bridge-lost").at(-1);
    assert.ok(lost !== undefined);
    unknownEnd(lost);
    assert.match(lost.program ?? "", /sshd/);
    assert.equal((await only(lost.program ?? "", "command")).at, lost.at);
  });

  it(`of many calls and commands, killed ${String(KILLS)} times, each that began has exactly one record`, async (t) => {
    const made: string[] = [];
    const answered = new Set<string>();
    let over = false;
    const folder = (): string => {
      const id = `call-${String(made.length)}`;
      mkdirSync(join(repo, id));
      chownSync(join(repo, id), REPO_OWNER, REPO_OWNER);
      made.push(id);
      return id;
    };
    const began = (id: string): boolean => existsSync(join(repo, id, "started"));

    async function tools(): Promise<void> {
      await using client = lab.client();
      await using agent = await AgentClient.open(client, "shop");
      const lane = async (): Promise<void> => {
        while (!over) {
          const id = folder();
          const result = await agent.call("run_command", { command: "touch started; true", cwd: id });
          if (result.isError !== true) answered.add(id);
        }
      };
      await Promise.allSettled(Array.from({ length: LANES }, lane));
    }
    async function commands(): Promise<void> {
      await using client = lab.client();
      const lane = async (): Promise<void> => {
        while (!over) {
          const id = folder();
          const status = await client.exec("shop", ["touch", "started"], { cwd: `/workspace/shop/${id}` });
          if (status.code === 0) answered.add(id);
        }
      };
      await Promise.allSettled(Array.from({ length: LANES }, lane));
    }

    for (let round = 0; round < KILLS; round += 1) {
      over = false;
      const enough = made.length + 3 * LANES;
      const calling = Promise.allSettled([tools(), commands()]);
      await lab.until("calls are made", () => made.length > enough);
      await delay(Math.random() * 300);
      await lab.killBridge();
      over = true;
      await calling;
      await start();
    }
    const outcomes = new Map<string, string[]>();
    for (const record of await recorded()) {
      const place = "target" in record ? record.target : record.cwd;
      const id = /^\/workspace\/shop\/(call-\d+)$/.exec(place ?? "")?.[1];
      if (id !== undefined) outcomes.set(id, [...(outcomes.get(id) ?? []), record.outcome]);
    }
    for (const id of made) {
      const found = outcomes.get(id) ?? [];
      assert.ok(found.length <= 1, `${id}: ${found.join()}`);
      if (began(id)) assert.equal(found.length, 1, `${id} began and has no record`);
      if (answered.has(id)) assert.match(found.join(), /^(?:completed|exited)$/, id);
    }
    await lab.stopBridge();
    await start();
    const sessionsOf = async (type: EvidenceType): Promise<string[]> =>
      (await recorded<{ session: string }>(type)).map(({ session }) => session).sort();
    assert.deepEqual(await sessionsOf("session-close"), await sessionsOf("session-open"));
    const lost = [...outcomes.values()].filter(([outcome]) => outcome === "bridge-lost").length;
    t.diagnostic(`${String(made.length)} made, ${String(answered.size)} answered, ${String(lost)} lost`);
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
