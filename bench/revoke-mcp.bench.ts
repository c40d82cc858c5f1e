import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type McpConnection } from "@doorward/client";
import type { Bench } from "./lib/bench.ts";
import type { BenchPart, BenchRow } from "./lib/row.ts";
import { summarise } from "./lib/summary.ts";

const SOCKETS = 68;
const REQUESTS = 32;
const REACH_MS = 50;

interface Revoked {
  readonly sockets: readonly number[];
  readonly requests: readonly number[];
  readonly answered: number;
}

/** A grant with open MCP WebSockets, and with requests over HTTP whose commands run, is revoked. */
export const revokeMcpPart: BenchPart = {
  id: "revoke-mcp",
  title: "revoke MCP",
  async run(bench) {
    const rounds = bench.pick({ quick: 2, normal: 12 });
    const seen: Revoked[] = [];
    for (let round = 0; round < rounds; round += 1) {
      bench.say(`revoke with ${String(SOCKETS + REQUESTS)} MCP clients, round ${String(round + 1)}`);
      seen.push(await revokeOnce(bench));
    }
    const rowOf = (name: string, times: readonly (readonly number[])[]): BenchRow => {
      const { p99, count } = summarise(times.flat());
      const last = times.map((round) => Math.max(...round));
      return {
        ...{ name, unit: "ms", value: summarise(last).p50, p99, samples: count },
        ...{ reach: `p99 <= ${String(REACH_MS)} ms`, met: p99 <= REACH_MS, beside: [] },
        note:
          `median: the last one of a round; p99: each one of ${String(rounds)} rounds; slowest ${Math.max(...last).toFixed(1)} ms; ` +
          `the revoke call itself, with its record durable: ${summarise(seen.map(({ answered }) => answered)).p50.toFixed(1)} ms`,
      };
    };
    return [
      rowOf(
        `revoke until every MCP socket is closed, ${String(SOCKETS)} beside ${String(REQUESTS)} requests`,
        seen.map(({ sockets }) => sockets),
      ),
      rowOf(
        `revoke until every MCP request is over, ${String(REQUESTS)} whose commands run`,
        seen.map(({ requests }) => requests),
      ),
    ];
  },
};

/** Times from sending the revoke to the end of each, all in this process. */
async function revokeOnce(bench: Bench): Promise<Revoked> {
  const [operator, lab, machine] = [await bench.client(), await bench.lab(), await bench.machine()];
  const { id, token } = await lab.grant(machine.id, ["agent-tool.exec"], "1h", "operator:bench");
  const url = `http://127.0.0.1:${String(await lab.tcpPort())}`;
  await using holder = connect({ url, token });
  const sockets: McpConnection[] = [];
  const agent = new Agent({ keepAlive: false });
  try {
    for (let count = 0; count < SOCKETS; count += 1) sockets.push(await holder.openMcp(machine.id));
    const running = Array.from({ length: REQUESTS }, (_, index) =>
      begin(agent, `${url}/v1/machines/${machine.id}/doors/agent-tool/mcp`, token, index),
    );
    while ((await sleeping(bench)) < REQUESTS) await sleep(100);
    const began = performance.now();
    const since = (): number => performance.now() - began;
    const closed = sockets.map((socket) => ended(socket).then(since));
    const over = running.map((request) => request.then(since));
    await operator.call("grants.revoke", { params: { grant: id }, body: {} });
    const answered = since();
    return { sockets: await Promise.all(closed), requests: await Promise.all(over), answered };
  } finally {
    agent.destroy();
    for (const socket of sockets) await socket[Symbol.asyncDispose]();
    while ((await sleeping(bench)) > 0) await sleep(100);
  }
}

/** Calls a command that does not end by itself; resolves when the answer is over, however that is. */
async function begin(agent: Agent, url: string, token: string, id: number): Promise<void> {
  const params = { name: "run_command", arguments: { command: "exec sleep 4777" } };
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
  };
  const sent = request(url, { method: "POST", agent, headers });
  sent.on("error", () => undefined);
  sent.on("response", (answer) => answer.resume());
  sent.end(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }));
  await once(sent, "close");
}

async function ended(socket: McpConnection): Promise<void> {
  try {
    for await (const _message of socket.messages()) continue;
  } catch {
    // It was cut, which is what is waited for.
  }
}

async function sleeping(bench: Bench): Promise<number> {
  const [lab, machine] = [await bench.lab(), await bench.machine()];
  return Number((await lab.exec(machine.id, ["pgrep", "-xc", "sleep"])).stdout);
}
