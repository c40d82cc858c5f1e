import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import { ask, closing, dialDoor, eventually, nextText } from "../../packages/bridge/test/gateway-dial.ts";
import { AGENT_OPERATIONS, modernRequest, startMcp, type McpBench } from "../support/mcp-bench.ts";

const MB = 1_000_000;
const RATE_LIMITED = 4429;
const TIMED_OUT = 4408;

describe("bytes that wait at the MCP door", () => {
  let lab: McpBench;
  /** One where a message has a second to come. */
  let slow: McpBench;
  let token: string;
  let other: string;
  const open = new Set<WebSocket>();

  before(async () => {
    const limits = { bytesPerGrant: 8 * MB, bytesWaiting: 12 * MB };
    lab = await startMcp({ config: { config: { limits } } });
    const times = { headersMs: 1000, requestMs: 1000, pingMs: 50 };
    slow = await startMcp({ config: { config: { limits: { ...limits, ...times } } } });
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
    await slow[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    token = await newGrant();
    other = await newGrant();
  });
  afterEach(async () => {
    for (const client of open) client.terminate();
    open.clear();
    await eventually(() => lab.calls.running.size === 0, "all ended");
  });

  const newGrant = async (at = lab): Promise<string> =>
    (await at.bench.grant({ operations: AGENT_OPERATIONS })).token;

  async function socket(by = token, at = lab): Promise<WebSocket> {
    const client = await dialDoor(at.bench, { segment: "agent-tool/mcp", protocols: ["mcp"], token: by });
    open.add(client);
    client.on("error", () => undefined);
    return client;
  }

  const call = (name: string, args: object, id = 1) =>
    modernRequest(id, "tools/call", { name, arguments: args });
  /** A call that goes on until it is cut. */
  const waiting = (bytes: number) => call("run_command", { command: "x".repeat(bytes) });
  const reading = (bytes: number, id = 1) => call("read_file", { path: "x".repeat(bytes) }, id);
  const post = (sent: { body: string; headers: Record<string, string> }, by = token, at = lab) => {
    const path = "/v1/machines/alpha/doors/agent-tool/mcp";
    return ask({ port: at.bench.port }, { method: "POST", path, token: by, ...sent });
  };

  /** What others get where a message has a second to come, which a host that stands still takes from it. */
  const servedBriefly = async (sent: { body: string; headers: Record<string, string> }, by: string) => {
    for (;;) {
      const { status } = await post(sent, by, slow);
      if (status !== 408) return status;
    }
  };

  /** Opens sockets of a grant that send a call of 1.9 MB each, and waits until so many of those run. */
  async function fill(by: string, sockets: number, run: number): Promise<void> {
    const before = lab.calls.running.size;
    for (let one = 0; one < sockets; one += 1) (await socket(by)).send(waiting(1.9 * MB).body);
    await eventually(() => lab.calls.running.size - before === run, "they run");
  }

  it("are bounded over all sockets of a grant; what is more waits unread, and goes on when others end", async () => {
    await fill(token, 10, 4);
    for (const client of [...open].slice(0, 8)) {
      client.terminate();
      open.delete(client);
      assert.ok(lab.calls.running.size <= 4);
    }
    await eventually(() => lab.calls.running.size === 2, "the last two run");
  });

  it("are bounded over sockets and plain requests of a grant together, and small requests go on", async () => {
    await fill(token, 6, 4);
    const answer = await post(reading(MB));
    assert.deepEqual([answer.status, answer.json.code], [429, "RATE_LIMITED"]);
    assert.equal((await post(reading(1000))).status, 200);
  });

  it("of one grant leave the others alone", async () => {
    await fill(token, 6, 4);
    assert.equal((await post(reading(MB), other)).status, 200);
    const client = await socket(other);
    client.send(reading(MB).body);
    assert.ok((await nextText(client)).length > MB);
  });

  it("of all grants together are bounded too, and a grant that has little is served all the same", async () => {
    await fill(token, 4, 4);
    await fill(other, 4, 2);
    const third = await newGrant();
    assert.equal((await post(reading(MB), third)).status, 429);
    assert.equal((await post(reading(100_000), third)).status, 200);
    const client = await socket(third);
    client.send(reading(10_000).body);
    assert.ok((await nextText(client)).length > 10_000);
  });

  it("as messages that never become whole are bounded, and cut in time", async () => {
    const by = await newGrant(slow);
    const closed: Promise<{ code: number }>[] = [];
    for (let one = 0; one < 8; one += 1) {
      const client = await socket(by, slow);
      closed.push(closing(client));
      client.send("x".repeat(1.5 * MB), { fin: false });
      client.ping();
    }
    const codes = (await Promise.all(closed)).map(({ code }) => code);
    // One that was held back goes on when another was cut, and then has no more time itself.
    assert.ok(codes.every((code) => code === TIMED_OUT || code === RATE_LIMITED));
    assert.ok(codes.includes(TIMED_OUT));
    assert.equal(await servedBriefly(reading(MB), by), 200);
  });

  it("a socket that is idle after a message, and only pinged, is not taken for a slow one", async () => {
    const by = await newGrant(slow);
    const client = await socket(by, slow);
    client.send(reading(1000).body);
    await nextText(client);
    let pings = 0;
    client.on("ping", () => (pings += 1));
    await eventually(() => pings >= 30, "it was pinged for longer than a message may take");
    client.send(reading(1).body);
    assert.match(await nextText(client), /machine/);
    client.terminate();
  });

  it("as bodies that are announced and never come are bounded over all connections of a grant", async () => {
    const abort = new AbortController();
    const url = lab.url;
    const { headers } = reading(1);
    const slow = (): Promise<number> =>
      fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json", authorization: `Bearer ${token}` },
        body: new ReadableStream({ start: (it) => it.enqueue(Buffer.from("{")) }),
        duplex: "half",
        signal: abort.signal,
      }).then(({ status }) => status);
    const asked = [slow(), slow(), slow()];
    assert.equal(await Promise.race(asked), 429);
    abort.abort();
    await Promise.allSettled(asked);
    assert.equal((await post(reading(MB), other)).status, 200);
  });

  it("as answers that nobody reads are bounded over all sockets of a grant, and cut in time", async () => {
    const [by, theirs] = [await newGrant(slow), await newGrant(slow)];
    for (let one = 0; one < 8; one += 1) {
      const client = await socket(by, slow);
      client.pause();
      for (let id = 1; id <= 12; id += 1) client.send(reading(900_000, id).body);
    }
    const codes = (): number[] => slow.bench.evidence.closed.map(({ closeCode }) => closeCode);
    while (!codes().includes(RATE_LIMITED)) {
      assert.equal(await servedBriefly(reading(100_000), theirs), 200);
    }
  });
});
