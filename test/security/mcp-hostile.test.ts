import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import type { WebSocket } from "ws";
import {
  ask,
  closing,
  dialDoor,
  eventually,
  nextText,
  raw,
  refusal,
} from "../../packages/bridge/test/gateway-dial.ts";
import {
  AGENT_OPERATIONS,
  INITIALIZE,
  legacyRequest,
  messagesOf,
  modernRequest,
  startMcp,
  type McpBench,
} from "../support/mcp-bench.ts";

const path = "/v1/machines/alpha/doors/agent-tool/mcp";

const cancellation = (requestId: number): string =>
  JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } });

interface RpcAnswer {
  readonly id: unknown;
  readonly error?: { readonly code: number; readonly message: string };
  readonly result?: unknown;
}

describe("hostile clients at the MCP door", () => {
  let lab: McpBench;
  let token: string;
  before(async () => {
    const limits = { requestsPerSession: 8 };
    lab = await startMcp({ config: { config: { origins: ["http://127.0.0.1:5000"], limits } } });
    ({ token } = await lab.bench.grant({ operations: AGENT_OPERATIONS }));
  });
  after(() => lab[Symbol.asyncDispose]());

  const list = modernRequest(1, "tools/list");
  const post = (sent: object) =>
    ask({ port: lab.bench.port }, { method: "POST", path, token, ...list, ...sent });
  const withHeaders = (headers: Record<string, string>) => post({ headers: { ...list.headers, ...headers } });
  const socket = (more: object = {}): Promise<WebSocket> =>
    dialDoor(lab.bench, { segment: "agent-tool/mcp", protocols: ["mcp"], token, ...more });
  const rpc = (text: string): RpcAnswer => JSON.parse(text) as RpcAnswer;

  it("a rebound Host is refused on HTTP and WebSocket although the token is valid", async () => {
    for (const host of [
      "evil.example",
      `evil.example:${lab.bench.port}`,
      "127.0.0.1:1",
      "127.0.0.1.evil.example",
    ]) {
      const answer = await post({ host });
      assert.deepEqual([answer.status, answer.json.code], [403, "HOST_NOT_ALLOWED"]);
      const refused = await refusal(socket({ options: { headers: { host } } }));
      assert.equal(refused.json.code, "HOST_NOT_ALLOWED");
    }
  });

  it("a page of a foreign origin is refused on HTTP and WebSocket although the token is valid", async () => {
    for (const origin of [
      "https://evil.example",
      "null",
      "http://127.0.0.1:50000",
      `http://127.0.0.1:${lab.bench.port}`,
    ]) {
      const answer = await withHeaders({ origin });
      assert.deepEqual([answer.status, answer.json.code], [403, "ORIGIN_NOT_ALLOWED"]);
      assert.equal((await refusal(socket({ options: { origin } }))).json.code, "ORIGIN_NOT_ALLOWED");
    }
  });

  it("a page of an allowed origin has a session of its own, which says so", async () => {
    assert.equal((await withHeaders({ origin: "http://127.0.0.1:5000" })).status, 200);
    assert.equal((await post({})).status, 200);
    const origins = lab.bench.evidence.opened.map(({ origin }) => origin);
    assert.ok(origins.includes("http://127.0.0.1:5000") && origins.includes(null));
  });

  it("a token in the URL is refused, and not logged", async () => {
    for (const where of [`${path}?token=${token}`, `${path}?access_token=${token}`, `${path}/${token}`]) {
      const answer = await ask({ port: lab.bench.port }, { method: "POST", path: where, ...list });
      assert.deepEqual([answer.status, answer.json.code], [400, "INPUT_INVALID"]);
    }
    assert.ok(lab.bench.logs.every((line) => !line.includes(token)));
  });

  it("a query of any kind is refused", async () => {
    const answer = await ask(
      { port: lab.bench.port },
      { method: "POST", path: `${path}?x=1`, token, ...list },
    );
    assert.equal(answer.json.code, "INPUT_INVALID");
  });

  it("other methods are refused, and GET says that there is nothing to listen to", async () => {
    for (const method of ["PUT", "PATCH", "OPTIONS"]) {
      const answer = await ask({ port: lab.bench.port }, { method, path, token });
      assert.deepEqual([answer.status, answer.headers.allow], [405, "POST, GET, DELETE"]);
    }
    const listened = await ask({ port: lab.bench.port }, { path, token });
    assert.deepEqual([listened.status, listened.headers.allow], [405, "POST, DELETE"]);
  });

  it("a body over the limit is refused before it is read, declared or not", async () => {
    const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${lab.bench.port}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n`;
    const declared = await raw(lab.bench.port, `${head}Content-Length: 4194305\r\n\r\n`);
    assert.match(declared, /^HTTP\/1\.1 413 /);
    const chunk = `${(65_536).toString(16)}\r\n${"x".repeat(65_536)}\r\n`;
    const chunked = await raw(lab.bench.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(80)}`);
    assert.match(chunked, /^HTTP\/1\.1 413 /);
    assert.equal((await post({})).status, 200);
  });

  it("a body that dribbles in is cut off", async () => {
    const limits = { requestMs: 1000, headersMs: 1000 };
    await using brief = await startMcp({ config: { config: { limits } } });
    const { token: own } = await brief.bench.grant({ operations: AGENT_OPERATIONS });
    const { port } = brief.bench;
    const wire = connect(port, "127.0.0.1");
    wire.on("error", () => undefined);
    wire.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${own}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
    );
    const drip = setInterval(() => wire.write("x"), 100);
    let got = "";
    wire.on("data", (bytes) => (got += bytes.toString()));
    await new Promise((resolve) => wire.once("close", resolve));
    clearInterval(drip);
    assert.match(got, /^HTTP\/1\.1 408 |^$/);
  });

  const malformed: [string, string | Buffer, number][] = [
    ["no JSON", "{", -32700],
    ["not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), -32700],
    ["nested too deeply", `${"[".repeat(100)}${"]".repeat(100)}`, -32700],
    ["with __proto__", '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"__proto__":{}}}', -32700],
    ["a batch", `[${list.body}]`, -32600],
    ["an empty batch", "[]", -32600],
  ];
  for (const [what, body, code] of malformed) {
    it(`a body that is ${what} is refused with ${code}`, async () => {
      const answer = await post({ body });
      assert.equal(answer.status, 400);
      assert.equal(rpc(answer.text).error?.code, code);
    });
    it(`a text message that is ${what} is refused with ${code}, and the socket goes on`, async () => {
      if (Buffer.isBuffer(body)) return;
      const client = await socket();
      client.send(body);
      const { error } = rpc(await nextText(client));
      assert.equal(error?.code, what.endsWith("batch") ? -32600 : code);
      client.send(list.body);
      assert.match(await nextText(client), /read_file/);
      client.terminate();
    });
  }

  for (const body of ["null", "1", '"x"', "{}", '{"jsonrpc":"1.0","id":1,"method":"ping"}', '{"id":1}']) {
    it(`a body that is no JSON-RPC message is refused: ${body}`, async () => {
      const answer = await post({ body, headers: legacyRequest(1, "ping").headers });
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
    });
  }

  it("another content type is refused with 415", async () => {
    assert.equal((await withHeaders({ "content-type": "text/plain" })).status, 415);
  });

  it("an unknown revision is refused with those that are known", async () => {
    const sent = modernRequest(1, "tools/list", {
      _meta: { "io.modelcontextprotocol/protocolVersion": "2099-01-01" },
    });
    const answer = await post({
      ...sent,
      headers: { ...sent.headers, "mcp-protocol-version": "2099-01-01" },
    });
    assert.equal(answer.status, 400);
    assert.match(answer.text, /2026-07-28/);
  });

  it("a cursor that nobody gave out is refused", async () => {
    for (const method of ["tools/list", "resources/list", "resources/templates/list"]) {
      const { text } = await post(modernRequest(1, method, { cursor: "AAAA" }));
      assert.equal(rpc(text).error?.code, -32602);
    }
  });

  const uris = [
    "doorward://beta/etc/passwd",
    "doorward://alpha/../etc/passwd",
    "doorward://alpha/a%2f..%2fb",
    "doorward://alpha/%zz",
    "doorward://alpha",
    "doorward://alpha@beta/x",
    "file:///etc/passwd",
    "http://127.0.0.1/x",
    `doorward://alpha/${"a".repeat(5000)}%00`,
  ];
  it("resources that are not this machine's are refused, and nothing is called", async () => {
    const made = lab.calls.made.length;
    for (const uri of uris.slice(0, -1)) {
      const { text } = await post(modernRequest(1, "resources/read", { uri }));
      assert.equal(rpc(text).error?.code, -32602, `${uri} ${text}`);
    }
    assert.equal(lab.calls.made.length, made);
  });

  for (const id of [
    "x",
    "mcp-",
    "mcp-00000000000000000000000000000000-00000000000000000000000000000000",
    "../..",
    "a".repeat(4000),
  ]) {
    it(`a session id that was never given out is refused: ${id.slice(0, 40)}`, async () => {
      const answer = await post(legacyRequest(2, "tools/list", {}, id));
      assert.deepEqual([answer.status, rpc(answer.text).error?.code], [404, -32001]);
    });
  }

  it("a session id is good after the bridge forgot everything", async () => {
    const opened = await post(legacyRequest(1, "initialize", INITIALIZE));
    const session = String(opened.headers["mcp-session-id"]);
    const { DoorwardError } = await import("@doorward/contracts");
    const ended = new DoorwardError({ code: "ABORTED", message: "test" });
    lab.bench.gateway.sessions.closeMachine("m_alpha00000", ended);
    const [listed] = messagesOf((await post(legacyRequest(2, "tools/list", {}, session))).text);
    assert.ok((listed as { result?: { tools: unknown[] } }).result?.tools.length === 3);
  });

  it("calls beyond what one session may run at once are refused, and the others go on", async () => {
    const call = modernRequest(1, "tools/call", { name: "run_command", arguments: { command: "sleep" } });
    const waiting = Array.from({ length: 8 }, () => post(call).catch(() => undefined));
    await eventually(() => lab.calls.running.size === 8, "eight run");
    const answer = await post(call);
    assert.deepEqual([answer.status, answer.json.code], [429, "RATE_LIMITED"]);
    const { DoorwardError } = await import("@doorward/contracts");
    const ended = new DoorwardError({ code: "MACHINE_NOT_RUNNING", message: "test" });
    lab.bench.gateway.sessions.closeMachine("m_alpha00000", ended);
    await Promise.all(waiting);
    await eventually(() => lab.calls.running.size === 0, "all ended");
  });

  it("a request under the id of one that runs is refused, and the first goes on until it is cancelled", async () => {
    const client = await socket();
    const call = modernRequest(7, "tools/call", { name: "run_command", arguments: { command: "sleep" } });
    client.send(call.body);
    await eventually(() => lab.calls.running.size === 1, "it runs");
    for (let time = 0; time < 50; time += 1) {
      client.send(call.body);
      assert.equal(rpc(await nextText(client)).error?.code, -32600);
    }
    assert.equal(lab.calls.running.size, 1);
    client.send(cancellation(7));
    await eventually(() => lab.calls.running.size === 0, "it ended");
    client.terminate();
  });

  it("calls that were cancelled count no more: one socket goes on after hundreds of them", async () => {
    const client = await socket();
    const { aborted } = lab.calls;
    for (let id = 1; id <= 300; id += 1) {
      const call = { name: "run_command", arguments: { command: "sleep" } };
      client.send(modernRequest(id, "tools/call", call).body);
      await eventually(() => lab.calls.running.size === 1, "it runs");
      client.send(cancellation(id));
      await eventually(() => lab.calls.running.size === 0, "it ended");
    }
    assert.equal(lab.calls.aborted, aborted + 300);
    client.send(list.body);
    assert.equal(rpc(await nextText(client)).error, undefined);
    client.terminate();
  });

  it("large requests that wait are bounded by their bytes, not their number alone", async () => {
    const client = await socket();
    const command = "x".repeat(2_900_000);
    const answers: RpcAnswer[] = [];
    client.on("message", (data: Buffer) => answers.push(rpc(data.toString())));
    for (let id = 1; id <= 13; id += 1)
      client.send(modernRequest(id, "tools/call", { name: "run_command", arguments: { command } }).body);
    await eventually(() => answers.length === 2, "two are refused");
    for (const { error } of answers) assert.match(error?.message ?? "", /too large/);
    assert.equal(lab.calls.running.size, 11);
    client.terminate();
    await eventually(() => lab.calls.running.size === 0, "all ended");
  });

  it("a binary message ends the socket", async () => {
    const client = await socket();
    const closed = closing(client);
    client.send(Buffer.from(list.body));
    assert.deepEqual(await closed, { code: 4400, reason: "PROTOCOL_ERROR" });
  });

  it("a message over the limit ends the socket", async () => {
    const client = await socket();
    client.on("error", () => undefined);
    const closed = closing(client);
    client.send("x".repeat(4_194_305));
    assert.equal((await closed).code, 1009);
  });

  it("a message of three megabytes is served on HTTP and WebSocket alike", async () => {
    const call = modernRequest(1, "tools/call", {
      name: "read_file",
      arguments: { path: "x".repeat(2_900_000) },
    });
    assert.equal((await post(call)).status, 200);
    const client = await socket();
    client.send(call.body);
    assert.ok((await nextText(client)).length > 2_900_000);
    client.terminate();
  });

  it("a socket that floods is read at its share a second, and loses nothing of it", async () => {
    const client = await socket();
    const answered: number[] = [];
    const all = new Promise<void>((resolve) => {
      client.on("message", () => {
        answered.push(performance.now());
        if (answered.length === 6000) resolve();
      });
    });
    const began = performance.now();
    for (let id = 1; id <= 6000; id += 1) client.send(JSON.stringify({ jsonrpc: "2.0", id, method: 7 }));
    await all;
    // What was in a buffer when the share was used up is still read.
    const early = answered.filter((at) => at - began < 900).length;
    assert.ok(early < 4000, `${String(early)} of 6000 in the first second`);
    assert.ok((answered.at(-1) ?? 0) - began > 1000, "the rest waited for another second");
    client.terminate();
  });

  it("the socket wants its subprotocol", async () => {
    for (const protocols of [[], ["doorward.exec.v1"], ["mcp2"]]) {
      assert.equal((await refusal(socket({ protocols }))).json.code, "PROTOCOL_ERROR");
    }
  });

  it("what cannot be recorded is not served", async () => {
    const other = await lab.bench.grant({ operations: AGENT_OPERATIONS });
    lab.bench.evidence.fails = true;
    const answer = await post({ token: other.token });
    lab.bench.evidence.fails = false;
    assert.deepEqual([answer.status, answer.json.code], [503, "EVIDENCE_UNWRITABLE"]);
    assert.equal((await post({ token: other.token })).status, 200);
  });
});
