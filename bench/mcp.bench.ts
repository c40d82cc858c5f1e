import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { besideOf, within, type BenchPart, type BenchRow } from "./lib/row.ts";
import { interleave, summarise, timed } from "./lib/summary.ts";
import { openMcpReference } from "./peers/mcp-reference.ts";

const REACH = 1.5;
const FILE_BYTES = 4096;
const OPERATIONS = ["agent-tool.list", "agent-tool.read", "agent-tool.write", "agent-tool.exec"];

/** Tool calls of an agent over Streamable HTTP, one after the other on one connection. */
export const mcpPart: BenchPart = {
  id: "mcp",
  title: "MCP tool call",
  async run(bench) {
    const [lab, machine] = [await bench.lab(), await bench.machine()];
    const { token } = await lab.grant(machine.id, OPERATIONS, "1h", "operator:bench");
    const base = `http://127.0.0.1:${String(await lab.tcpPort())}`;
    const folder = mkdtempSync(join(tmpdir(), "doorward-bench-mcp-"));
    await using reference = await openMcpReference();
    const theirs = new McpCaller(reference.url, {});
    const ours = new McpCaller(`${base}/v1/machines/${machine.id}/doors/agent-tool/mcp`, {
      authorization: `Bearer ${token}`,
    });
    const content = "0123456789abcde\n".repeat(FILE_BYTES / 16);
    writeFileSync(join(folder, "sample.txt"), content);
    await ours.call("write_file", { path: "sample.txt", content });
    bench.say("MCP tool calls");
    try {
      const calls: readonly [string, string, object, object][] = [
        ["read a file of 4 KiB", "read_file", { path: "sample.txt" }, { path: join(folder, "sample.txt") }],
        ["run a command", "run_command", { command: "true" }, { command: "true" }],
      ];
      const rows: BenchRow[] = [];
      for (const [what, tool, mine, other] of calls) {
        const count = bench.pick({ quick: 20, normal: 100, full: 500 });
        const peers = [
          { samples: new Array<number>(), run: () => ours.call(tool, mine) },
          { samples: new Array<number>(), run: () => theirs.call(tool, other) },
        ] as const;
        for (const { run } of peers) for (let warm = 0; warm < 20; warm += 1) await run();
        await interleave(peers, bench.pick({ quick: 2, normal: 6 }), async ({ samples, run }) => {
          for (let each = 0; each < count; each += 1) samples.push(await timed(run));
        });
        const [own, beside] = [
          summarise(peers[0].samples),
          besideOf("the SDK's server, no machine", summarise(peers[1].samples)),
        ];
        rows.push({
          name: `MCP tool call: ${what}`,
          unit: "ms",
          value: own.p50,
          p99: own.p99,
          samples: own.count,
          reach: `<= ${String(REACH)}x the SDK's server`,
          met: within(own.p50, REACH, beside),
          beside: [beside],
        });
      }
      return rows;
    } finally {
      ours.close();
      theirs.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** Calls tools over one kept connection; an answer that is no success throws. */
class McpCaller {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #id = 0;

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  async call(tool: string, args: object): Promise<void> {
    this.#id += 1;
    const params = { name: tool, arguments: args };
    const said = await this.#post(
      JSON.stringify({ jsonrpc: "2.0", id: this.#id, method: "tools/call", params }),
    );
    if (!said.includes('"result"') || said.includes('"isError":true'))
      throw new Error(`Cannot call "${tool}": ${said.slice(0, 500)}`);
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = {
        ...this.#headers,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        "content-length": String(Buffer.byteLength(body)),
      };
      const sent = request(this.#url, { method: "POST", agent: this.#agent, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.once("end", () => {
          const text = Buffer.concat(parts).toString();
          if (answer.statusCode === 200) resolve(text);
          else reject(new Error(`Cannot call: ${String(answer.statusCode)} ${text.slice(0, 500)}`));
        });
      });
      sent.once("error", reject);
      sent.end(body);
    });
  }
}
