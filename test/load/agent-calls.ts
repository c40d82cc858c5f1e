import { readFileSync } from "node:fs";
import { connect, type DoorwardClient } from "@doorward/client";
import { AgentClient } from "../support/agent-client.ts";
import type { Lab } from "../support/lab.ts";

/** How much is called. */
export interface LoadSize {
  readonly machines: number;
  readonly agents: number;
  /** Calls of all agents together. */
  readonly calls: number;
}

/** What came of it. */
export interface LoadResult {
  readonly answered: number;
  /** Answers that were another agent's or another machine's, or failures. */
  readonly wrong: readonly string[];
  readonly seconds: number;
  /** Resident memory of the bridge in MiB, after each tenth of the calls. */
  readonly rss: readonly number[];
  /** Milliseconds of a call. */
  readonly p50: number;
  readonly p99: number;
  /** Records of tool calls by these agents in the evidence. */
  readonly recorded: number;
}

/** Operations that an agent needs for it. */
export const LOAD_OPERATIONS = ["agent-tool.list", "agent-tool.read", "agent-tool.write", "agent-tool.exec"];

/** Many agents call tools of several machines at once, each call with its own token that must come back from its machine. */
export async function callTools(lab: Lab, { machines, agents, calls }: LoadSize): Promise<LoadResult> {
  const names: string[] = [];
  for (let at = 0; at < machines; at += 1) names.push(await lab.up(lab.repo(`load-${String(at)}`)));
  const port = await lab.tcpPort();
  const pid = await lab.bridgePid();
  await using operator = lab.client();
  const before = await toolCalls(operator);
  const opened = await Promise.all(
    Array.from({ length: agents }, (_, at) => openAgent(lab, port, names[at % machines] ?? "", at)),
  );
  const each = Math.ceil(calls / agents);
  const load = new Load();
  const began = performance.now();
  const rss: number[] = [];
  let done = 0;
  await Promise.all(
    opened.map(async (agent) => {
      for (let at = 0; at < each; at += 1) {
        await load.one(agent, at);
        done += 1;
        if (done % Math.floor((each * agents) / 10) === 0) rss.push(rssOf(pid));
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const agent of opened) await agent.close();
  const recorded = (await toolCalls(operator)) - before;
  return { ...load.result(), seconds, rss, recorded };
}

interface Agent {
  readonly id: number;
  readonly machine: string;
  readonly client: AgentClient;
  close(): Promise<void>;
}

async function openAgent(lab: Lab, port: number, machine: string, id: number): Promise<Agent> {
  const { token } = await lab.grant(machine, LOAD_OPERATIONS, "1h", `agent:codex:${String(id)}`);
  const connection = connect({ url: `http://127.0.0.1:${String(port)}`, token });
  const client = await AgentClient.open(connection, machine);
  const close = async (): Promise<void> => {
    await client[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]();
  };
  return { id, machine, client, close };
}

class Load {
  readonly #wrong: string[] = [];
  readonly #times: number[] = [];

  /** A command, a written file, and the file read again, in turn. */
  async one(agent: Agent, at: number): Promise<void> {
    const token = `agent-${String(agent.id)}-call-${String(at - (at % 3))}`;
    const file = `load/${String(agent.id)}.txt`;
    const [name, given] = [
      ["run_command", { command: `echo ${token} $DOORWARD_MACHINE` }] as const,
      ["write_file", { path: file, content: `${token} ${agent.machine}\n` }] as const,
      ["read_file", { path: file }] as const,
    ][at % 3] ?? ["", {}];
    const began = performance.now();
    const result = await agent.client.call(name, given).catch((error: unknown) => error);
    this.#times.push(performance.now() - began);
    const text = JSON.stringify(result);
    const right = name === "write_file" ? agent.machine : `${token} ${agent.machine}`;
    if (result instanceof Error || text.includes('"isError":true') || !text.includes(right))
      this.#wrong.push(`${name} ${token}: ${String(result instanceof Error ? result : text).slice(0, 300)}`);
  }

  result(): Pick<LoadResult, "answered" | "wrong" | "p50" | "p99"> {
    const times = this.#times.toSorted((a, b) => a - b);
    const at = (part: number): number => times[Math.floor((times.length - 1) * part)] ?? 0;
    return { answered: times.length, wrong: this.#wrong, p50: at(0.5), p99: at(0.99) };
  }
}

/** Records of tool calls in the evidence. */
async function toolCalls(operator: DoorwardClient): Promise<number> {
  let count = 0;
  for (let before: number | undefined; ;) {
    const query = { type: "tool-call", limit: 1000, ...(before === undefined ? {} : { before }) };
    const { records } = await operator.call("evidence.list", { query });
    count += records.length;
    before = records.at(-1)?.index;
    if (records.length < 1000 || before === undefined) return count;
  }
}

function rssOf(pid: number): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}
