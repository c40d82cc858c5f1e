import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { McpServer, isJSONRPCRequest } from "@modelcontextprotocol/server";
import { Exchange } from "../src/agent-tool/mcp/exchange.ts";
import { PostedRequests } from "../src/agent-tool/mcp/posted-requests.ts";
import { readJsonBody } from "../src/json-body.ts";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

describe("requests that clients post to one MCP server", { timeout: 600_000 }, () => {
  const posted = new PostedRequests({ take: () => true, give: () => undefined });
  const mcp = new McpServer({ name: "test", version: "1.0.0" }, { capabilities: { tools: {} } });
  const aborted: string[] = [];
  const waiting = new Map<string, () => void>();
  const exchanges = new Set<Exchange>();
  const server = createServer((incoming, response) => {
    void (async () => {
      const body = await readJsonBody(
        incoming,
        { bodyBytes: 1e6, bodyDepth: 8 },
        AbortSignal.timeout(300_000),
      );
      const exchange = new Exchange(body, response);
      exchanges.add(exchange);
      assert.ok(isJSONRPCRequest(body));
      await posted.serve(exchange, body);
      exchanges.delete(exchange);
    })();
  });
  let port = 0;

  before(async () => {
    mcp.server.setRequestHandler("tools/call", async ({ params }, { mcpReq }) => {
      if (params._meta?.progressToken !== undefined)
        await mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken: params._meta.progressToken, progress: 1 },
        });
      if (params.arguments?.["wait"] === true) {
        mcpReq.signal.addEventListener("abort", () => aborted.push(params.name), { once: true });
        await new Promise<void>((resolve) => waiting.set(params.name, resolve));
      }
      return {
        content: [{ type: "text", text: `${params.name} for ${String(posted.clientOf(mcpReq.id)?.name)}` }],
      };
    });
    await posted.serveWith(mcp);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });

  after(async () => {
    await posted.close();
    server.close().closeAllConnections();
  });

  function call(id: unknown, name: string, wait = false, meta: object = {}) {
    const body = {
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name, arguments: { wait }, _meta: meta },
    };
    const headers = { "content-type": "application/json" };
    const sent = request({ port, host: "127.0.0.1", method: "POST", headers });
    sent.on("error", () => undefined);
    sent.end(JSON.stringify(body));
    const answer = async (): Promise<Answer> => {
      const [got] = (await once(sent, "response")) as [IncomingMessage];
      const text = (await got.toArray()).join("");
      return { status: got.statusCode ?? 0, type: got.headers["content-type"] ?? "", text };
    };
    return { sent, answer: answer() };
  }

  async function until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  it("are answered with a document each, also under the same id at the same time", async () => {
    const calls = ["one", "two", "three"].map((name) => call(7, name, true));
    await until(() => waiting.size === 3);
    for (const name of ["three", "one", "two"]) waiting.get(name)?.();
    const answers = await Promise.all(calls.map(({ answer }) => answer));
    for (const [at, { status, type, text }] of answers.entries()) {
      assert.equal(status, 200);
      assert.equal(type, "application/json");
      assert.equal((JSON.parse(text) as { id: unknown }).id, 7);
      assert.match(text, new RegExp(`"${["one", "two", "three"][at] ?? ""} for`));
    }
    waiting.clear();
  });

  it("keep their ids, whatever those look like, and their clients", async () => {
    for (const id of ["", "x".repeat(300), 0, -1, 3e9, "1"]) {
      const client = {
        "io.modelcontextprotocol/clientInfo": { name: `c-${String(id).length}`, version: "1" },
      };
      const { text } = await call(id, "who", false, client).answer;
      const parsed = JSON.parse(text) as { id: unknown; result: { content: [{ text: string }] } };
      assert.equal(parsed.id, id);
      assert.equal(parsed.result.content[0].text, `who for c-${String(id).length}`);
    }
  });

  it("are answered with a stream when something is told before the end", async () => {
    const { type, text } = await call("p", "told", false, { progressToken: "t" }).answer;
    assert.equal(type, "text/event-stream");
    const [progress = "", result = ""] = text.split("\n\n");
    assert.match(progress, /^event: message\ndata: .*"progressToken":"t"/);
    assert.match(result, /^event: message\ndata: .*"id":"p"/);
  });

  it("are cancelled when their client goes away, and the others go on", async () => {
    const [gone, stays] = [call(1, "gone", true), call(1, "stays", true)];
    gone.answer.catch(() => undefined);
    await until(() => waiting.size === 2);
    gone.sent.destroy();
    await until(() => aborted.includes("gone"));
    waiting.get("gone")?.();
    waiting.get("stays")?.();
    assert.match((await stays.answer).text, /stays for/);
    assert.deepEqual(aborted, ["gone"]);
    waiting.clear();
  });

  it("get no result after they were cancelled", async () => {
    const { answer } = call(9, "cancelled", true);
    await until(() => waiting.has("cancelled"));
    for (const exchange of exchanges) if (exchange.id === 9) exchange.cancel();
    waiting.get("cancelled")?.();
    const { status, text } = await answer;
    assert.deepEqual([status, text], [202, ""]);
    assert.ok(aborted.includes("cancelled"));
  });
});
