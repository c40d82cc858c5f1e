import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { EgressTraffic, EgressView, PendingApproval } from "@doorward/contracts";
import { openLab, type Lab } from "../support/lab.ts";

/** Asks the proxy in the machine for a URL, whatever its environment says, and prints the answer and its status. */
const ask = (url: string): string =>
  `curl -sS --noproxy '' -x http://127.0.0.1:3128 -m 300 -w ' %{http_code}' '${url}'`;

describe("the operator's control of a machine's way out", { timeout: 600_000 }, () => {
  let lab: Lab;
  let server: Server;
  let port: number;
  let base: string;

  const policy = async (egress: object): Promise<void> => {
    const file = join(lab.home, "config", "policy.yaml");
    writeFileSync(file, `${base}egress: ${JSON.stringify(egress)}\n`, { mode: 0o600 });
    await using client = lab.client();
    await client.call("policy.reload", {});
  };
  const rule = (): object => ({ host: "localhost", ports: [port], addresses: ["127.0.0.0/8", "::1/128"] });

  before(async () => {
    server = createServer((request, response) => {
      if (request.url !== "/endless") return void response.end("hello from the host");
      const timer = setInterval(() => response.write("x".repeat(1000)), 20);
      response.on("close", () => clearInterval(timer));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
    lab = await openLab();
    base = readFileSync(join(lab.home, "config", "policy.yaml"), "utf8");
    await lab.up(lab.repo("shop"));
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await lab[Symbol.asyncDispose]();
  });

  it("a refusal says which command would allow it, in the machine, in egress ls and in evidence", async () => {
    const ran = await lab.sh("shop", ask("http://registry.example.org/"));
    assert.match(ran.stdout, /doorward egress allow shop registry\.example\.org --port 80/);
    assert.match(ran.stdout, / 403$/);
    const view = await lab.json<EgressView>(["egress", "ls", "shop"]);
    assert.deepEqual(
      view.refused.map(({ host, port: asked, code }) => [host, asked, code]),
      [["registry.example.org", 80, "EGRESS_DENIED"]],
    );
    const [record] = await lab.records("egress");
    assert.match(record?.summary ?? "", /shop was refused registry\.example\.org:80/);
  });

  it("an internal target is reached by its rule, and nothing else of the host", async () => {
    await policy({ allow: [rule()] });
    const ran = await lab.sh("shop", ask(`http://localhost:${port}/`));
    assert.equal(ran.stdout, "hello from the host 200", ran.stderr);
    for (const url of [`http://0x7f.1:${port}/`, "http://localhost:22/", "http://169.254.169.254/"]) {
      assert.match((await lab.sh("shop", ask(url))).stdout, / 403$/, url);
    }
  });

  it("traffic is watched live, and cut in the middle of a download when its rule goes", async () => {
    await policy({ allow: [rule()] });
    const seen: EgressTraffic[] = [];
    const stop = new AbortController();
    await using client = lab.client();
    const watching = client
      .call(
        "egress.watch",
        { params: { machine: "shop" } },
        { signal: stop.signal, onEvent: (event) => void seen.push(event) },
      )
      .catch(() => undefined);
    const download = lab.sh("shop", `${ask(`http://localhost:${port}/endless`)} -o /dev/null`);
    await lab.until("bytes are seen", () => seen.some(({ open, received }) => open === 1 && received > 1000));
    await policy({ allow: [] });
    const ran = await download;
    assert.notEqual(ran.code, 0);
    assert.notEqual(ran.code, 28, "it was cut, and did not time out");
    stop.abort();
    await watching;
  });

  it("many hosts are one question, and the operator's no reaches the programs", async () => {
    await policy({ askSeconds: 300 });
    const asked = ["a", "b", "c"].map((name) => lab.sh("shop", ask(`http://${name}.example.org/`)));
    let pending: readonly PendingApproval[] = [];
    await lab.until("one question with three hosts", async () => {
      pending = (await lab.json<{ approvals: PendingApproval[] }>(["action", "ls"])).approvals;
      return pending[0]?.lines.length === 4;
    });
    assert.equal(pending.length, 1);
    const denied = await lab.run(["action", "deny", pending[0]?.id ?? "", "--reason", "not today"]);
    assert.equal(denied.code, 0, denied.stderr);
    for (const ran of await Promise.all(asked)) assert.match(ran.stdout, / 403$/);
    assert.equal((await lab.records("approval")).length, 1);
  });

  it("what a command allowed is remembered by a restarted bridge, and machines go on", async () => {
    await policy({});
    const allowed = await lab.run(["egress", "allow", "shop", "files.example.org", "--for", "1h"]);
    assert.equal(allowed.code, 0, allowed.stderr);
    await lab.run(["bridge", "restart"]);
    const view = await lab.json<EgressView>(["egress", "ls", "shop"]);
    assert.deepEqual(
      view.rules.map(({ host, ports }) => [host, ports]),
      [["files.example.org", [443]]],
    );
    await policy({ allow: [rule()] });
    await lab.until("the guest is back", async () => {
      const ran = await lab.sh("shop", ask(`http://localhost:${port}/`));
      return ran.stdout === "hello from the host 200";
    });
  });

  it("the holder of a grant may change, see and approve nothing of it", async () => {
    const { token } = await lab.grant("shop", ["terminal.exec"]);
    const at = `http://127.0.0.1:${await lab.tcpPort()}`;
    for (const [method, path, body] of [
      ["GET", "/v1/machines/shop/egress", undefined],
      ["GET", "/v1/machines/shop/egress/watch", undefined],
      ["POST", "/v1/machines/shop/egress/allow", { host: "evil.example.org" }],
      ["POST", "/v1/machines/shop/egress/deny", { host: "evil.example.org" }],
      ["GET", "/v1/approvals", undefined],
      ["POST", "/v1/approvals/a_0123456789/approve", { digest: `sha256:${"0".repeat(64)}` }],
      ["POST", "/v1/approvals/a_0123456789/deny", {}],
    ] as const) {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const given = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`${at}${path}`, { method, headers, ...given });
      assert.equal(answer.status, 403, path);
      assert.equal(((await answer.json()) as { code: string }).code, "OPERATOR_ONLY", path);
    }
  });
});
