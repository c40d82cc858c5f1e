import assert from "node:assert/strict";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { connect } from "@doorward/client";
import { DenialError, DoorwardError } from "@doorward/contracts";
import type { RouteCall } from "../src/gateway/index.ts";
import { startGateway, type Bench } from "./gateway-harness.ts";

describe("our own client at the gateway", () => {
  let bench: Bench;
  before(async () => {
    bench = await startGateway({
      handlers: {
        "images.build": async (call: RouteCall<"images.build">) => {
          call.progress({ step: "packages" });
          await new Promise((resolve) => setTimeout(resolve, 5));
          call.progress({ step: "import", detail: "layer 1" });
          if (call.body.profile === "broken") {
            throw new DoorwardError({
              code: "IMAGE_BUILD_FAILED",
              message: 'Cannot build image: "apt" failed',
              hint: "doorward doctor",
            });
          }
          return {
            id: `sha256:${"b".repeat(64)}`,
            tag: "t",
            recipe: "machine",
            sizeBytes: 1,
            createdAt: "now",
            current: true,
          };
        },
        "policy.allow": () =>
          Promise.reject(
            new DenialError({
              code: "PATH_DENIED",
              rule: "policy.paths.deny[home]",
              message: 'Cannot allow "/home/ada": it is the home folder',
              details: { path: "/home/ada", odd: 10n, loop: cyclic },
            }),
          ),
      },
    });
  });
  after(() => bench[Symbol.asyncDispose]());

  it("calls over the Unix socket and hears of progress", async () => {
    await using client = connect({ socketPath: bench.socket });
    const steps: string[] = [];
    const image = await client.call(
      "images.build",
      { body: {} },
      { onProgress: ({ step, detail }) => steps.push(`${step} ${detail ?? ""}`.trim()) },
    );
    assert.equal(image.recipe, "machine");
    assert.deepEqual(steps, ["packages", "import layer 1"]);
  });

  it("gets an error after progress with code and hint", async () => {
    await using client = connect({ socketPath: bench.socket });
    await assert.rejects(client.call("images.build", { body: { profile: "broken" } }), {
      code: "IMAGE_BUILD_FAILED",
      hint: "doorward doctor",
    });
  });

  it("gets a denial with its rule, although its details are nothing that JSON can say", async () => {
    await using client = connect({ socketPath: bench.socket });
    const denied = await client
      .call("policy.allow", { body: { path: "/home/ada", access: "ro" } })
      .catch((error: unknown) => error);
    assert.ok(denied instanceof DenialError);
    assert.deepEqual([denied.code, denied.rule], ["PATH_DENIED", "policy.paths.deny[home]"]);
  });

  it("is refused by code over TCP once its grant is revoked", async () => {
    const { token, id } = await bench.grant();
    await using client = connect({ url: `http://127.0.0.1:${String(bench.port)}`, token });
    assert.deepEqual(await client.call("machines.list", {}), { machines: [] });
    await assert.rejects(client.call("images.list", {}), { code: "OPERATOR_ONLY" });
    bench.authority.revoke(id, "test", "operator:ada");
    await assert.rejects(client.call("machines.list", {}), { code: "GRANT_REVOKED" });
  });

  it("is the grant and not the operator over the Unix socket when it has a token", async () => {
    const { token, id } = await bench.grant();
    await using client = connect({ url: `unix:${bench.socket}`, token });
    assert.deepEqual(await client.call("machines.list", {}), { machines: [] });
    await assert.rejects(client.call("images.list", {}), { code: "OPERATOR_ONLY" });
    await assert.rejects(client.call("policy.allow", { body: { path: "/x", access: "ro" } }), {
      code: "OPERATOR_ONLY",
    });
    bench.authority.revoke(id, "test", "operator:ada");
    await assert.rejects(client.call("machines.list", {}), { code: "GRANT_REVOKED" });
    await assert.rejects(client.call("images.list", {}), { code: "GRANT_REVOKED" });
    assert.throws(() => connect({ url: `unix:${bench.socket}`, token: "" }), { code: "TOKEN_INVALID" });
    assert.throws(() => connect({ url: "unix:relative.sock", token }), { code: "INPUT_INVALID" });
  });

  it("a connection is kept after a refusal, and reused", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = [];
    for (const path of ["/v1/nothing", "/healthz", "/v1/bridge", "/healthz"]) {
      const request = httpRequest({ host: "127.0.0.1", port: bench.port, path, agent });
      request.end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      ports.push(response.socket.localPort);
      await once(response.resume(), "end");
      await new Promise((resolve) => setImmediate(resolve));
    }
    agent.destroy();
    assert.equal(new Set(ports).size, 1);
  });
});

const cyclic: Record<string, unknown> = {};
cyclic["self"] = cyclic;
