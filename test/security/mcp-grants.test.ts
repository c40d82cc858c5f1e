import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import {
  ask,
  closing,
  dialDoor,
  eventually,
  nextText,
  refusal,
  type Answer,
} from "../../packages/bridge/test/gateway-dial.ts";
import { BETA } from "../../packages/bridge/test/gateway-harness.ts";
import {
  AGENT_OPERATIONS,
  INITIALIZE,
  legacyRequest,
  messagesOf,
  modernRequest,
  startMcp,
  type McpBench,
} from "../support/mcp-bench.ts";
import { OwnTime } from "../support/own-time.ts";

const path = "/v1/machines/alpha/doors/agent-tool/mcp";

interface Hanging {
  /** All that came, once the peer ended or broke off. */
  readonly ended: Promise<{ readonly status: number; readonly text: string }>;
  /** Resolves with the first bytes. */
  readonly first: Promise<void>;
  close(): void;
}

describe("grants at the MCP door", () => {
  let lab: McpBench;
  before(async () => {
    lab = await startMcp();
  });
  after(() => lab[Symbol.asyncDispose]());

  const grant = (given: Parameters<McpBench["bench"]["grant"]>[0] = {}) =>
    lab.bench.grant({ operations: AGENT_OPERATIONS, ...given });
  const post = (token: string | undefined, sent = modernRequest(1, "tools/list"), where = path) =>
    ask(
      { port: lab.bench.port },
      { method: "POST", path: where, ...sent, ...(token === undefined ? {} : { token }) },
    );
  const socket = (token: string, machine = "alpha"): Promise<WebSocket> =>
    dialDoor(lab.bench, { machine, segment: "agent-tool/mcp", protocols: ["mcp"], token });

  /** A call that tells of its progress and then never ends. */
  function hang(token: string, sent = hangingCall()): Hanging {
    let gotFirst = (): void => undefined;
    const first = new Promise<void>((resolve) => (gotFirst = resolve));
    const outgoing = request({
      ...{ host: "127.0.0.1", port: lab.bench.port, method: "POST", path, agent: false },
      headers: {
        ...{ ...sent.headers, authorization: `Bearer ${token}`, "content-type": "application/json" },
        "content-length": Buffer.byteLength(sent.body),
      },
    });
    const ended = new Promise<{ status: number; text: string }>((resolve) => {
      let text = "";
      outgoing.on("error", () => resolve({ status: 0, text }));
      outgoing.on("response", (response) => {
        const end = (): void => resolve({ status: response.statusCode ?? 0, text });
        response.on("data", (bytes: Buffer) => {
          text += bytes.toString();
          gotFirst();
        });
        response.on("end", end).on("error", end);
      });
    });
    outgoing.end(sent.body);
    return { ended, first, close: () => outgoing.destroy() };
  }

  const hangingCall = () =>
    modernRequest(7, "tools/call", {
      name: "run_command",
      arguments: { command: "sleep" },
      _meta: { progressToken: "p" },
    });
  const codeOf = (answer: Answer): string => answer.json.code;

  it("a request without a token is refused, and says where the resource is described", async () => {
    const answer = await post(undefined);
    assert.deepEqual([answer.status, codeOf(answer)], [401, "TOKEN_MISSING"]);
    const challenge = answer.headers["www-authenticate"] ?? "";
    const [, metadata = ""] = /^Bearer realm="doorward", resource_metadata="([^"]+)"$/.exec(challenge) ?? [];
    const described = await ask({ port: lab.bench.port }, { path: new URL(metadata).pathname });
    assert.equal(described.status, 200);
    assert.deepEqual(JSON.parse(described.text), {
      resource: lab.url,
      resource_name: "Doorward",
      bearer_methods_supported: ["header"],
    });
  });

  it("the description is the same for machines that exist and those that do not", async () => {
    const wellKnown = "/.well-known/oauth-protected-resource";
    const about = (name: string) =>
      ask({ port: lab.bench.port }, { path: `${wellKnown}/v1/machines/${name}` });
    const [known, unknown] = [await about("alpha"), await about("nobody")];
    assert.equal(known.text.replaceAll("alpha", "nobody"), unknown.text);
    assert.equal((await ask({ port: lab.bench.port }, { path: wellKnown })).status, 200);
    assert.equal((await ask({ port: lab.bench.port }, { path: wellKnown, method: "POST" })).status, 405);
  });

  it("nothing in a path gets out of the quotes of a challenge", async () => {
    const hostile = "/v1/machines/a%22,%20error=%22x/doors/agent-tool/mcp";
    const challenge = (await post(undefined, undefined, hostile)).headers["www-authenticate"] ?? "";
    assert.match(challenge, /^Bearer realm="doorward", resource_metadata="[^"]*"$/);
  });

  for (const [what, token] of [
    ["forged", "dwg_aaaaaaaaaa_b_c"],
    ["malformed", "x"],
  ] as const) {
    it(`a ${what} token is refused on HTTP and WebSocket with invalid_token`, async () => {
      const answer = await post(token);
      assert.deepEqual([answer.status, codeOf(answer)], [401, "TOKEN_INVALID"]);
      assert.match(
        answer.headers["www-authenticate"] ?? "",
        /error="invalid_token".*resource_metadata="http/,
      );
      const refused = await refusal(socket(token));
      assert.deepEqual([refused.status, refused.json.code], [401, "TOKEN_INVALID"]);
    });
  }

  /** The token of a grant of some seconds that was served; a host that stands still may take all its time from one. */
  async function served(seconds: number): Promise<string> {
    for (;;) {
      const { token } = await grant({ seconds });
      const { status } = await post(token);
      if (status === 200) return token;
      assert.equal(status, 401);
    }
  }

  it("an expired grant is refused on HTTP and WebSocket", async () => {
    const token = await served(4);
    await new Promise((resolve) => setTimeout(resolve, 4200));
    const answer = await post(token);
    assert.deepEqual([answer.status, codeOf(answer)], [401, "GRANT_EXPIRED"]);
    assert.equal((await refusal(socket(token))).json.code, "GRANT_EXPIRED");
  });

  it("a revoked grant, replayed, is refused on HTTP and WebSocket", async () => {
    const { token, id } = await grant();
    assert.equal((await post(token)).status, 200);
    lab.bench.authority.revoke(id, "test", "operator:ada");
    const answer = await post(token);
    assert.deepEqual([answer.status, codeOf(answer)], [401, "GRANT_REVOKED"]);
    assert.equal((await refusal(socket(token))).json.code, "GRANT_REVOKED");
  });

  it("a grant for another machine is refused on HTTP and WebSocket, the same as for none", async () => {
    const { token } = await grant({ machine: BETA });
    const [real, none] = [await post(token), await post(token, undefined, path.replace("alpha", "nobody"))];
    assert.deepEqual([real.status, codeOf(real)], [403, "MACHINE_NOT_GRANTED"]);
    assert.deepEqual([none.status, codeOf(none)], [403, "MACHINE_NOT_GRANTED"]);
    assert.equal((await refusal(socket(token))).json.code, "MACHINE_NOT_GRANTED");
  });

  it("a grant for terminals alone does not open the door", async () => {
    const { token } = await grant({ operations: ["terminal.attach", "terminal.exec"] });
    const answer = await post(token);
    assert.deepEqual([answer.status, codeOf(answer)], [403, "OPERATION_NOT_GRANTED"]);
    assert.equal((await refusal(socket(token))).json.code, "OPERATION_NOT_GRANTED");
  });

  it("a call beyond the grant's operations is refused, and no tool sees it", async () => {
    const { token } = await grant({ operations: ["agent-tool.list", "agent-tool.read"] });
    const sent = { name: "run_command", arguments: { command: "id" } };
    const [message] = messagesOf((await post(token, modernRequest(3, "tools/call", sent))).text);
    const result = (message as { result?: { isError?: boolean; content: { text: string }[] } }).result;
    assert.equal(result?.isError, true);
    assert.match(result.content[0]?.text ?? "", /OPERATION_NOT_GRANTED/);
    assert.equal(lab.calls.running.size, 0);
    const [listed] = messagesOf((await post(token)).text) as { result?: { tools: { name: string }[] } }[];
    assert.deepEqual(
      listed?.result?.tools.map(({ name }) => name),
      ["read_file"],
    );
  });

  it("a revoked grant cuts a call in mid-session on HTTP: the call ends, the answer says why", async () => {
    const { token, id } = await grant();
    const aborted = lab.calls.aborted;
    const call = hang(token);
    await call.first;
    using since = new OwnTime();
    lab.bench.authority.revoke(id, "test", "operator:ada");
    const { text } = await call.ended;
    assert.ok(since.ms < 2000);
    const last = messagesOf(text).at(-1) as { id?: number; error?: { data?: { code: string } } } | undefined;
    assert.deepEqual([last?.id, last?.error?.data?.code], [7, "GRANT_REVOKED"]);
    await eventually(() => lab.calls.aborted === aborted + 1, "the call ended");
    await eventually(
      () =>
        lab.bench.evidence.closed.some(
          ({ opened, reason }) => opened.grant === id && reason === "GRANT_REVOKED",
        ),
      "the session's end is recorded",
    );
    assert.equal(lab.bench.gateway.sessions.listOf(id).length, 0);
  });

  it("a revoked grant cuts calls that have answered nothing yet with a clean 401", async () => {
    const { token, id } = await grant();
    const silent = modernRequest(8, "tools/call", { name: "run_command", arguments: { command: "sleep" } });
    const call = hang(token, silent);
    await eventually(() => lab.calls.running.size === 1, "the call runs");
    lab.bench.authority.revoke(id, "test", "operator:ada");
    const { status, text } = await call.ended;
    assert.equal(status, 401);
    assert.equal((JSON.parse(text) as { code: string }).code, "GRANT_REVOKED");
    await eventually(() => lab.calls.running.size === 0, "the call ended");
  });

  it("a revoked grant closes a WebSocket in mid-session with 4410, and its calls end", async () => {
    const { token, id } = await grant();
    const client = await socket(token);
    client.send(modernRequest(1, "server/discover").body);
    await nextText(client);
    client.send(hangingCall().body);
    await nextText(client);
    assert.equal(lab.calls.running.size, 1);
    const closed = closing(client);
    lab.bench.authority.revoke(id, "test", "operator:ada");
    assert.deepEqual(await closed, { code: 4410, reason: "GRANT_REVOKED" });
    await eventually(() => lab.calls.running.size === 0, "the call ended");
  });

  /** A socket and a call under a grant of some seconds, which are over at once on a host that stands still. */
  async function underWay(seconds: number) {
    for (;;) {
      const token = await served(seconds);
      const client = await socket(token).catch(() => undefined);
      if (client === undefined) continue;
      const closed = closing(client);
      const call = hang(token);
      const began = call.first.then(() => true);
      if (await Promise.race([began, call.ended.then(() => false)])) return { call, closed };
      client.terminate();
    }
  }

  it("a grant that expires in mid-session is cut on HTTP and WebSocket", async () => {
    const { call, closed } = await underWay(5);
    assert.match((await call.ended).text, /GRANT_EXPIRED/);
    assert.deepEqual(await closed, { code: 4401, reason: "GRANT_EXPIRED" });
    await eventually(() => lab.calls.running.size === 0, "the call ended");
  });

  it("a machine that stops cuts what is in flight", async () => {
    const { token } = await grant();
    const call = hang(token);
    await call.first;
    const { DoorwardError } = await import("@doorward/contracts");
    const error = new DoorwardError({ code: "MACHINE_NOT_RUNNING", message: "The machine ended" });
    assert.ok(lab.bench.gateway.sessions.closeMachine("m_alpha00000", error) >= 1);
    assert.match((await call.ended).text, /MACHINE_NOT_RUNNING/);
    await eventually(() => lab.calls.running.size === 0, "the call ended");
    assert.equal((await post(token)).status, 200);
  });

  it("a client that goes away ends its call", async () => {
    const { token } = await grant();
    const call = hang(token);
    await call.first;
    assert.equal(lab.calls.running.size, 1);
    call.close();
    await eventually(() => lab.calls.running.size === 0, "the call ended");
  });

  it("one grant can't cancel, end or name the session of another", async () => {
    const [mine, theirs] = [await grant(), await grant()];
    const opened = await post(theirs.token, legacyRequest(1, "initialize", INITIALIZE));
    const session = String(opened.headers["mcp-session-id"]);
    const call = hang(theirs.token, legacyRequest(5, "tools/call", { ...hangingParams }, session));
    await call.first;
    const cancel = legacyRequest(null, "notifications/cancelled", { requestId: 5 }, session);
    assert.equal((await post(mine.token, cancel)).status, 404);
    assert.equal((await post(mine.token, legacyRequest(2, "tools/list", {}, session))).status, 404);
    const end = { method: "DELETE", path, token: mine.token, headers: { "mcp-session-id": session } };
    assert.equal((await ask({ port: lab.bench.port }, end)).status, 404);
    const own = await post(mine.token, legacyRequest(1, "initialize", INITIALIZE));
    const other = String(own.headers["mcp-session-id"]);
    const stray = legacyRequest(null, "notifications/cancelled", { requestId: 5 }, other);
    assert.equal((await post(mine.token, stray)).status, 202);
    assert.equal(lab.calls.running.size, 1);
    assert.equal((await post(theirs.token, cancel)).status, 202);
    await eventually(() => lab.calls.running.size === 0, "its own cancellation ends it");
    await call.ended;
  });

  it("a session that its client ended is gone, with what ran in it", async () => {
    const { token } = await grant();
    const opened = await post(token, legacyRequest(1, "initialize", INITIALIZE));
    const session = String(opened.headers["mcp-session-id"]);
    const call = hang(token, legacyRequest(5, "tools/call", { ...hangingParams }, session));
    await call.first;
    const end = { method: "DELETE", path, token, headers: { "mcp-session-id": session } };
    assert.equal((await ask({ port: lab.bench.port }, end)).status, 200);
    await call.ended;
    await eventually(() => lab.calls.running.size === 0, "the call ended");
    assert.equal((await post(token, legacyRequest(2, "tools/list", {}, session))).status, 404);
  });

  it("the operator's own socket takes no plain requests without a token, and says what to do", async () => {
    const answer = await ask(
      { socketPath: lab.bench.socket },
      { method: "POST", path, host: "localhost", ...modernRequest(1, "tools/list") },
    );
    assert.deepEqual([answer.status, codeOf(answer)], [401, "TOKEN_MISSING"]);
    assert.match(answer.json.hint ?? "", /doorward mcp alpha/);
  });

  it("on the operator's own socket a WebSocket is the operator's", async () => {
    const client = await dialDoor(lab.bench, { segment: "agent-tool/mcp", protocols: ["mcp"], unix: true });
    client.send(modernRequest(1, "tools/list").body);
    assert.match(await nextText(client), /read_file/);
    client.terminate();
  });
});

const hangingParams = {
  name: "run_command",
  arguments: { command: "sleep" },
  _meta: { progressToken: "p" },
};
