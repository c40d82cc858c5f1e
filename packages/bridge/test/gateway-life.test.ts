import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, lstat, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { freePort } from "../../../test/support/free-port.ts";
import { ask, eventually } from "./gateway-dial.ts";
import { startGateway } from "./gateway-harness.ts";

describe("gateway limits and life", () => {
  it("a login name that no subject could hold becomes one that can", async () => {
    await using bench = await startGateway({ config: { login: "CORP\\ada lovelace" } });
    await ask({ socketPath: bench.socket }, { path: "/v1/machines" });
    const { caller } = bench.calls.at(-1) as { caller: { subject: string } };
    assert.equal(caller.subject, "operator:CORP-ada-lovelace");
  });

  it("requests beyond the rate are refused with RATE_LIMITED, others go on", async () => {
    await using bench = await startGateway({ config: { limits: { requestsPerSecond: 3 } } });
    const one = await bench.grant();
    const two = await bench.grant();
    // All at once, so that a slow host does not spread them over seconds.
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => ask({ port: bench.port }, { path: "/v1/machines", token: one.token })),
    );
    const limited = answers.find(({ status }) => status === 429);
    assert.equal(limited?.json.code, "RATE_LIMITED");
    assert.equal(limited.headers["retry-after"], "1");
    assert.equal((await ask({ port: bench.port }, { path: "/v1/machines", token: two.token })).status, 200);
  });

  it("failing tokens are limited, a valid one is still served", async () => {
    await using bench = await startGateway({ config: { limits: { failedTokensPerMinute: 5 } } });
    const { token } = await bench.grant();
    const codes = [];
    for (let at = 0; at < 8; at += 1) {
      codes.push(
        (await ask({ port: bench.port }, { path: "/v1/machines", token: `dwg_wrong${String(at)}` })).json
          .code,
      );
    }
    assert.deepEqual(codes.slice(0, 5), Array(5).fill("TOKEN_INVALID"));
    assert.equal(codes.at(-1), "RATE_LIMITED");
    assert.equal((await ask({ port: bench.port }, { path: "/v1/machines", token })).status, 200);
    assert.equal(bench.evidence.counted.length, 8);
  });

  it("denials of one subject are recorded up to a rate and counted beyond it", async () => {
    await using bench = await startGateway({ config: { limits: { denialsPerMinute: 3 } } });
    const { token } = await bench.grant();
    for (let at = 0; at < 6; at += 1) await ask({ port: bench.port }, { path: "/v1/bridge", token });
    assert.equal(bench.evidence.denials.length, 3);
    const named = [...bench.evidence.denials, ...bench.evidence.counted].map(({ subject }) => subject);
    assert.equal(named.length, 6);
    assert.deepEqual(new Set(named), new Set([bench.evidence.denials[0]?.subject]));
  });

  it("the socket has mode 0600 in a folder of mode 0700, and is gone afterwards", async () => {
    const bench = await startGateway();
    assert.equal((await lstat(bench.socket)).mode & 0o777, 0o600);
    assert.equal((await lstat(join(bench.folder, "run"))).mode & 0o777, 0o700);
    await bench.gateway[Symbol.asyncDispose]();
    await assert.rejects(lstat(bench.socket), { code: "ENOENT" });
    await bench[Symbol.asyncDispose]();
  });

  it("a socket behind which a bridge answers is not replaced", async () => {
    await using bench = await startGateway();
    await using other = await startGateway();
    await assert.rejects(other.gateway.listenUnix(bench.socket), { code: "BRIDGE_RUNNING" });
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/healthz" })).status, 200);
  });

  it("a stale socket is replaced", async () => {
    await using bench = await startGateway();
    const stale = join(bench.folder, "run", "stale.sock");
    const { spawnSync } = await import("node:child_process");
    spawnSync(process.execPath, [
      "-e",
      `require("net").createServer().listen(${JSON.stringify(stale)},()=>process.kill(process.pid,9))`,
    ]);
    assert.ok((await lstat(stale)).isSocket());
    await bench.gateway.listenUnix(stale);
    assert.equal((await ask({ socketPath: stale }, { path: "/healthz" })).status, 200);
  });

  it("a file, an open folder, a foreign link and a long path are refused", async () => {
    await using bench = await startGateway();
    const folder = await mkdtemp(join(tmpdir(), "dw-gw-"));
    try {
      await writeFile(join(folder, "file"), "keep");
      await assert.rejects(bench.gateway.listenUnix(join(folder, "file")), { code: "STATE_INVALID" });
      await mkdir(join(folder, "open"));
      await chmod(join(folder, "open"), 0o755);
      await assert.rejects(bench.gateway.listenUnix(join(folder, "open", "s")), { code: "HOST_UNSUPPORTED" });
      await symlink(folder, join(folder, "link"));
      await assert.rejects(bench.gateway.listenUnix(join(folder, "link", "s")), { code: "HOST_UNSUPPORTED" });
      await assert.rejects(bench.gateway.listenUnix(join(folder, "x".repeat(110))), {
        code: "HOST_UNSUPPORTED",
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("a taken port leaves TCP off with PORT_TAKEN, and the Unix socket works", async () => {
    await using bench = await startGateway();
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const state = await bench.gateway.listenTcp(port);
    assert.ok(state.state === "taken" && state.error.code === "PORT_TAKEN");
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/healthz" })).status, 200);
    holder.close();
  });

  it("a port that is taken on ::1 alone leaves TCP off on 127.0.0.1 too", async (t) => {
    const holder = createServer();
    const free = await freePort();
    const failed = await new Promise((resolve) => {
      holder.once("error", resolve).listen(free, "::1", () => resolve(undefined));
    });
    if (failed !== undefined) {
      t.skip("this host has no ::1");
      return;
    }
    await using bench = await startGateway({ config: { ipv6: true } });
    const { port } = holder.address() as { port: number };
    assert.equal((await bench.gateway.listenTcp(port)).state, "taken");
    await assert.rejects(ask({ port }, { path: "/healthz" }));
    holder.close();
  });

  it("stopping lets a running request finish, and closing twice is harmless", async () => {
    let finish: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (finish = resolve));
    await using bench = await startGateway({
      handlers: { "images.list": async () => held.then(() => ({ images: [] })) },
    });
    const answer = ask({ socketPath: bench.socket }, { path: "/v1/images" });
    await eventually(() => bench.calls.length === 1, "the handler runs");
    const stopped = bench.gateway[Symbol.asyncDispose]();
    finish();
    assert.equal((await answer).status, 200);
    await stopped;
    await bench.gateway[Symbol.asyncDispose]();
    await assert.rejects(ask({ port: bench.port }, { path: "/healthz" }));
  });

  it("stopping aborts a request that does not finish in its time", async () => {
    await using bench = await startGateway({
      config: { limits: { shutdownMs: 100 } },
      handlers: {
        "images.list": (call: { signal: AbortSignal }) =>
          new Promise((_resolve, reject) =>
            call.signal.addEventListener("abort", () => reject(call.signal.reason as Error)),
          ),
      },
    });
    const answer = ask({ socketPath: bench.socket }, { path: "/v1/images" });
    await eventually(() => bench.calls.length === 1, "the handler runs");
    await bench.gateway[Symbol.asyncDispose]();
    assert.equal((await answer).json.code, "BRIDGE_STOPPING");
  });
});
