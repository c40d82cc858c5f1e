import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DenialError, DoorwardError } from "@doorward/contracts";
import { connect } from "../src/index.ts";
import { startFarSide, type FarSide } from "./far-side.ts";

let far: FarSide;
beforeEach(async () => (far = await startFarSide()));
afterEach(() => far[Symbol.asyncDispose]());

const client = () => connect({ socketPath: far.socketPath });
const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === expected;

function answer(status: number, type: string, body: string): void {
  far.http = (_request, response) => response.writeHead(status, { "content-type": type }).end(body);
}

describe("a call", { timeout: 600_000 }, () => {
  it("fills path, query and body", async () => {
    const seen: string[] = [];
    far.http = (request, response, body) => {
      seen.push(`${request.method} ${request.url} ${body}`);
      response.writeHead(200, { "content-type": "application/json" }).end('{"records":[],"size":0}');
    };
    await client().call("evidence.list", { query: { limit: 5, type: "a&b" } });
    assert.deepEqual(seen, ["GET /v1/evidence?limit=5&type=a%26b "]);
  });

  it("a name can't leave its place in the path", async () => {
    let url = "";
    far.http = (request, response) => {
      url = request.url ?? "";
      response.writeHead(404).end();
    };
    await assert.rejects(client().call("machines.get", { params: { machine: "../../v1/bridge/stop?" } }));
    assert.equal(url, "/v1/machines/..%2F..%2Fv1%2Fbridge%2Fstop%3F");
  });

  it("input that the route does not take is refused before anything is sent", async () => {
    let asked = 0;
    far.http = () => void (asked += 1);
    await assert.rejects(client().call("grants.get", { params: { grant: "x" } }), code("INPUT_INVALID"));
    await assert.rejects(client().call("evidence.list", { query: { limit: 0 } }), code("INPUT_INVALID"));
    assert.equal(asked, 0);
  });

  it("a problem document becomes its error, with rule and hint", async () => {
    const problem = {
      type: "urn:x",
      title: "t",
      status: 403,
      detail: "Cannot",
      code: "PATH_DENIED",
      hint: "h",
      rule: "r",
      details: { path: "/x" },
    };
    answer(403, "application/problem+json", JSON.stringify(problem));
    await assert.rejects(client().call("machines.list", {}), (error: unknown) => {
      assert.ok(error instanceof DenialError);
      assert.deepEqual(
        [error.code, error.message, error.hint, error.rule, error.details],
        ["PATH_DENIED", "Cannot", "h", "r", { path: "/x" }],
      );
      return true;
    });
  });

  for (const [status, body, expected] of [
    [401, "<html>", "TOKEN_INVALID"],
    [500, "", "INTERNAL"],
    [503, "{}", "BRIDGE_UNREACHABLE"],
    [418, '{"code":"NEW_CODE"}', "INTERNAL"],
  ] as const) {
    it(`status ${status} without a problem document is ${expected}`, async () => {
      answer(status, "text/html", body);
      await assert.rejects(client().call("machines.list", {}), code(expected));
    });
  }

  for (const body of ["", "nope", "[]", '{"machines":[{}]}', '{"machines":[],"extra":1}']) {
    it(`the answer ${JSON.stringify(body)} is a PROTOCOL_ERROR`, async () => {
      answer(200, "application/json", body);
      await assert.rejects(client().call("machines.list", {}), code("PROTOCOL_ERROR"));
    });
  }

  it("progress lines are told as they come, cut anywhere, and the last line is the result", async () => {
    const image = {
      id: `sha256:${"1".repeat(64)}`,
      tag: "t",
      recipe: "r",
      sizeBytes: 1,
      createdAt: "x",
      current: true,
    };
    const lines = [
      { type: "progress", step: "Ünpacking", elapsedMs: 1 },
      { type: "progress", step: "Two", detail: "d", elapsedMs: 2 },
      { type: "result", result: image },
    ];
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    far.http = (_request, response) => void drip(response);
    const drip = async (response: ServerResponse): Promise<void> => {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      for (let at = 0; at < bytes.length; at += 7) {
        response.write(bytes.subarray(at, at + 7));
        if (at % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    const steps: string[] = [];
    const result = await client().call(
      "images.build",
      { body: {} },
      { onProgress: ({ step }) => steps.push(step) },
    );
    assert.deepEqual([steps, result], [["Ünpacking", "Two"], image]);
  });

  it("an error line is that error, and a stream without an end is BRIDGE_UNREACHABLE", async () => {
    const error = { type: "urn:x", title: "t", status: 500, detail: "no", code: "IMAGE_BUILD_FAILED" };
    answer(200, "application/x-ndjson", `${JSON.stringify({ type: "error", error })}\n`);
    await assert.rejects(client().call("images.build", { body: {} }), code("IMAGE_BUILD_FAILED"));
    answer(200, "application/x-ndjson", '{"type":"progress","step":"a","elapsedMs":1}\n');
    await assert.rejects(client().call("images.build", { body: {} }), code("BRIDGE_UNREACHABLE"));
  });

  it("can be stopped", async () => {
    far.http = () => undefined;
    await assert.rejects(
      client().call("machines.list", {}, { signal: AbortSignal.timeout(50) }),
      code("ABORTED"),
    );
  });

  it("nobody there is BRIDGE_UNREACHABLE", async () => {
    await assert.rejects(
      connect({ socketPath: "/nonexistent/bridge.sock" }).call("machines.list", {}),
      code("BRIDGE_UNREACHABLE"),
    );
  });
});

describe("a target", () => {
  for (const token of ["", "x", "dwg_", "dwg_a b", `dwg_${"x".repeat(300)}`, "dwg_abcdefgh\r\nx: y"]) {
    it(`token ${JSON.stringify(token.slice(0, 20))} is refused`, () =>
      assert.throws(() => connect({ url: "http://127.0.0.1:1", token }), code("TOKEN_INVALID")));
  }
  for (const url of ["", "127.0.0.1:1", "ftp://x", "http://user:pass@x", "http://x/?token=1"]) {
    it(`url ${JSON.stringify(url)} is refused`, () =>
      assert.throws(() => connect({ url, token: "dwg_0123456789_secret_sum" }), code("INPUT_INVALID")));
  }
});
