import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { after, before, describe, it } from "node:test";
import { DenialError, ROUTES, type Route } from "@doorward/contracts";
import type { RouteCall } from "../src/gateway/index.ts";
import { ask, eventually } from "./gateway-dial.ts";
import { ALPHA, startGateway, type Bench } from "./gateway-harness.ts";

const bridgeStatus = { not: "complete" };

describe("gateway over HTTP", () => {
  let bench: Bench;
  let token: string;
  before(async () => {
    bench = await startGateway({
      handlers: {
        "bridge.status": () => Promise.resolve(bridgeStatus),
        "machines.up": async (call: RouteCall<"machines.up">) => {
          if (call.body.name === "denied") {
            throw new DenialError({
              code: "PATH_DENIED",
              rule: "policy.paths.deny[ssh]",
              message: 'Cannot give "/home/ada/.ssh" to a machine: it is on the deny list',
              details: { path: "/home/ada/.ssh" },
            });
          }
          call.progress({ step: "build" });
          call.progress({ step: "launch", detail: "one" });
          if (call.body.name === "late") throw new Error("secret inner cause");
          if (call.body.name === "slow") {
            await once(call.signal, "abort");
            throw call.signal.reason as Error;
          }
          return { machine: view, reused: false, listed: [] };
        },
        "machines.get": () => Promise.resolve(view),
      },
    });
    ({ token } = await bench.grant());
  });
  after(() => bench[Symbol.asyncDispose]());
  const tcp = (): { port: number } => ({ port: bench.port });
  const unix = (): { socketPath: string } => ({ socketPath: bench.socket });

  it("a public route answers without a token", async () => {
    const answer = await ask(tcp(), { path: "/healthz" });
    assert.deepEqual([answer.status, answer.json], [200, { status: "ok" }]);
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
  });

  it("the caller on the Unix socket is the operator", async () => {
    await ask(unix(), { path: "/v1/machines" });
    const call = bench.calls.at(-1) as { caller: unknown };
    assert.deepEqual(call.caller, { kind: "operator", subject: "operator:ada" });
  });

  it("a token on the Unix socket makes the caller that grant's subject", async () => {
    const answer = await ask(unix(), { path: "/v1/bridge", token });
    assert.deepEqual([answer.status, answer.json.code], [403, "OPERATOR_ONLY"]);
    assert.equal(bench.evidence.denials.at(-1)?.attempted, "bridge.status");
    assert.equal(bench.evidence.denials.at(-1)?.subject, "agent:codex:one");
  });

  for (const [id, route] of Object.entries<Route>(ROUTES)) {
    const path = route.path
      .replace("{machine}", "alpha")
      .replace(/\{grant\}/, "g_0123456789")
      .replace("{approval}", "a_0123456789")
      .replace("{secret}", "TOKEN")
      .replace("{transcript}", "s_0123456789")
      .replace("{action}", "h_0123456789")
      .replace("{index}", "1");
    if (route.access !== "public") {
      it(`${id} is refused on TCP without a token`, async () => {
        const { status, json, headers } = await ask(tcp(), { method: route.method, path });
        assert.deepEqual([status, json.code], [401, "TOKEN_MISSING"]);
        assert.match(headers["www-authenticate"] ?? "", /^Bearer /);
        assert.equal(headers["content-type"], "application/problem+json");
      });
    }
    if (route.access === "operator") {
      it(`${id} is refused to the holder of a grant`, async () => {
        const { status, json } = await ask(tcp(), { method: route.method, path, token });
        assert.deepEqual([status, json.code], [403, "OPERATOR_ONLY"]);
      });
    }
    it(`${id} refuses an unknown query with the field's name`, async () => {
      const { status, json } = await ask(unix(), { method: route.method, path: `${path}?surprise=1` });
      assert.deepEqual([status, json.code], [400, "INPUT_INVALID"]);
      assert.match(json.detail, /surprise/);
    });
    it(`${id} refuses a wrong method and says which it takes`, async () => {
      const { status, json, headers } = await ask(unix(), { method: "PUT", path });
      assert.deepEqual([status, json.code], [405, "METHOD_NOT_ALLOWED"]);
      assert.match(headers.allow ?? "", new RegExp(route.method));
    });
    // The request of an action has answers of its own contract: actions-flow.test.ts has its refusals.
    if (route.method === "POST" && id !== "actions.run") {
      it(`${id} refuses an unknown field in its body`, async () => {
        const { status, json } = await ask(unix(), { method: "POST", path, body: '{"surprise":1}' });
        assert.deepEqual([status, json.code], [400, "INPUT_INVALID"]);
      });
    }
  }

  it("an answer that does not fit its contract is a fault of ours and is not sent", async () => {
    const { status, json, text } = await ask(unix(), { path: "/v1/bridge" });
    assert.deepEqual([status, json.code], [500, "INTERNAL"]);
    assert.doesNotMatch(text, /complete/);
    assert.ok(
      bench.logs.some(
        (line) => line.includes(json.correlationId ?? "absent") && line.includes("does not fit"),
      ),
    );
  });

  it("input that does not fit names the field", async () => {
    const body = JSON.stringify({ repos: [{ path: "/r", access: "wo" }] });
    const { json } = await ask(unix(), { method: "POST", path: "/v1/machines", body });
    assert.match(json.detail, /"repos\[0\]\.access"/);
    const { issues } = json.details as { issues: { path: string[] }[] };
    assert.deepEqual(issues[0]?.path, ["repos", "0", "access"]);
  });

  it("an unknown path is refused with ROUTE_NOT_FOUND", async () => {
    const { status, json } = await ask(unix(), { path: "/v1/nothing" });
    assert.deepEqual([status, json.code], [404, "ROUTE_NOT_FOUND"]);
  });

  it("a holder reaches its own machine by name and by id", async () => {
    for (const name of [ALPHA.name, ALPHA.id]) {
      assert.equal((await ask(tcp(), { path: `/v1/machines/${name}`, token })).status, 200);
    }
  });

  for (const machine of ["beta", "absent"]) {
    it(`a holder is refused machine "${machine}" in the same words as any other`, async () => {
      const { status, json } = await ask(tcp(), { path: `/v1/machines/${machine}`, token });
      assert.deepEqual([status, json.code], [403, "MACHINE_NOT_GRANTED"]);
    });
  }

  it("an ndjson route answers progress lines and a result line", async () => {
    const { status, headers, text } = await ask(unix(), { method: "POST", path: "/v1/machines", body: up() });
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    assert.deepEqual([status, headers["content-type"]], [200, "application/x-ndjson"]);
    assert.deepEqual(
      lines.map(({ type }) => type),
      ["progress", "progress", "result"],
    );
    assert.equal(lines[2]?.result?.machine.name, "alpha");
  });

  it("an ndjson route that is refused before its first line answers a problem with its status", async () => {
    const { status, json } = await ask(unix(), { method: "POST", path: "/v1/machines", body: up("denied") });
    assert.deepEqual([status, json.code, json.rule], [403, "PATH_DENIED", "policy.paths.deny[ssh]"]);
    const denial = bench.evidence.denials.at(-1);
    assert.deepEqual(
      [denial?.attempted, denial?.target, denial?.code],
      ["machines.up", "/home/ada/.ssh", "PATH_DENIED"],
    );
  });

  it("an ndjson route that fails later ends with an error line without inner causes", async () => {
    const { text } = await ask(unix(), { method: "POST", path: "/v1/machines", body: up("late") });
    const last = JSON.parse(text.trim().split("\n").at(-1) ?? "") as Line;
    assert.deepEqual([last.type, last.error?.code], ["error", "INTERNAL"]);
    assert.doesNotMatch(text, /secret inner cause/);
  });

  it("a client that goes away aborts the call's signal", async () => {
    const request = httpRequest({
      ...unix(),
      method: "POST",
      path: "/v1/machines",
      headers: { "content-type": "application/json" },
    });
    request.on("error", () => undefined);
    request.end(up("slow"));
    const [response] = (await once(request, "response")) as [IncomingMessage];
    await once(response, "data");
    const { signal } = bench.calls.at(-1) as { signal: AbortSignal };
    assert.equal(signal.aborted, false);
    request.destroy();
    await eventually(() => signal.aborted, "the signal aborts");
    assert.equal((signal.reason as { code: string }).code, "ABORTED");
  });

  it("a forged token is refused with TOKEN_INVALID and counted, not recorded", async () => {
    const before = bench.evidence.denials.length;
    const forged = `${token.slice(0, -1)}${token.endsWith("a") ? "b" : "a"}`;
    const { status, json, headers } = await ask(tcp(), { path: "/v1/machines", token: forged });
    assert.deepEqual([status, json.code], [401, "TOKEN_INVALID"]);
    assert.match(headers["www-authenticate"] ?? "", /invalid_token/);
    assert.equal(bench.evidence.denials.length, before);
    assert.equal(bench.evidence.counted.at(-1)?.code, "TOKEN_INVALID");
  });

  for (const scheme of ["Basic YWRhOng=", "Bearer", "Bearer a b", "", `Token ${"x".repeat(20)}`]) {
    it(`Authorization "${scheme}" on the Unix socket does not fall back to the operator`, async () => {
      const { status, json } = await ask(unix(), { path: "/v1/bridge", headers: { authorization: scheme } });
      assert.deepEqual([status, json.code], [401, "TOKEN_INVALID"]);
    });
  }

  it("a revoked grant's token is refused with GRANT_REVOKED", async () => {
    const revoked = await bench.grant();
    bench.authority.revoke(revoked.id, "test", "operator:ada");
    const { status, json } = await ask(tcp(), { path: "/v1/machines", token: revoked.token });
    assert.deepEqual([status, json.code], [401, "GRANT_REVOKED"]);
  });

  it("an expired grant's token is refused with GRANT_EXPIRED", async () => {
    const short = await bench.grant({ seconds: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const { status, json } = await ask(tcp(), { path: "/v1/machines", token: short.token });
    assert.deepEqual([status, json.code], [401, "GRANT_EXPIRED"]);
  });

  it("a token in the URL is refused, plain or encoded, and never logged", async () => {
    for (const query of [`?token=${token}`, `?token=${token.replace("dwg_", "%64wg%5f")}`]) {
      const { status, json } = await ask(tcp(), { path: `/v1/machines${query}`, token });
      assert.deepEqual([status, json.code], [400, "INPUT_INVALID"]);
      assert.match(json.detail, /token/);
    }
    const secret = token.split("_")[2] ?? "";
    assert.ok(!bench.logs.some((line) => line.includes(secret)), "no log line has the secret");
  });

  it("logs have neither query, body nor token", async () => {
    await ask(unix(), { path: "/v1/evidence?type=findme-query" });
    await ask(unix(), { method: "POST", path: "/v1/policy/check", body: '{"path":"/findme-body"}' });
    assert.ok(bench.logs.some((line) => line.includes('"route":"policy.check"')));
    assert.ok(!bench.logs.some((line) => line.includes("findme")));
  });

  it("OpenAPI is served, complete, and without dangling references", async () => {
    const answer = await ask(tcp(), { path: "/v1/openapi.json" });
    const json = answer.json as unknown as OpenApi;
    assert.equal(json.openapi, "3.1.0");
    for (const [id, route] of Object.entries<Route>(ROUTES)) {
      assert.equal(json.paths[route.path]?.[route.method.toLowerCase()]?.operationId, id);
    }
    const mcp = json.paths["/v1/machines/{machine}/doors/agent-tool/mcp"];
    assert.deepEqual(Object.keys(mcp ?? {}), ["parameters", "post", "delete"]);
    assert.ok(json.paths["/.well-known/oauth-protected-resource/{resource}"]?.["get"]);
    const references = [...JSON.stringify(json).matchAll(/"\$ref":"#\/components\/([a-zA-Z]+)\/([^"]+)"/g)];
    assert.ok(references.length > 100);
    for (const [, kind = "", name = ""] of references)
      assert.ok(json.components[kind]?.[name], `${kind}/${name}`);
    assert.doesNotMatch(JSON.stringify(json), /\$defs/);
    assert.ok(json.components["schemas"]?.["MachineView"]?.properties["name"]);
    assert.ok(json.components["schemas"]["Problem"]?.properties["code"]?.enum.includes("GRANT_EXPIRED"));
  });

  it("readyz answers 503 with its own shape until machines can be launched", async () => {
    await using sleepy = await startGateway({
      handlers: { "bridge.ready": () => Promise.resolve({ ready: false }) },
    });
    const { status, json } = await ask({ port: sleepy.port }, { path: "/readyz" });
    assert.deepEqual([status, json], [503, { ready: false }]);
  });
});

interface Line {
  readonly type: string;
  readonly result?: { readonly machine: { readonly name: string } };
  readonly error?: { readonly code: string };
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, { readonly operationId: string }>>;
  readonly components: Record<
    string,
    Record<string, { readonly properties: Record<string, { readonly enum: string[] }> }>
  >;
}

const digest = `sha256:${"a".repeat(64)}`;
const view = {
  id: ALPHA.id,
  name: ALPHA.name,
  state: "running",
  stateReason: null,
  profile: "default",
  subject: "operator:ada",
  repos: [],
  workdir: "/workspace/repo",
  image: { id: digest, tag: "t" },
  doors: ["terminal"],
  createdAt: "2026-11-21T10:00:00.000Z",
  startedAt: "2026-11-21T10:00:00.000Z",
  expiresAt: null,
  fingerprint: digest,
  evidence: 1,
  notices: [],
};

function up(name = "alpha"): string {
  return JSON.stringify({ repos: [{ path: "/r" }], name });
}
