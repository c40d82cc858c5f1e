import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { EgressTraffic } from "@doorward/contracts";
import { connected, EgressLab, eventually, internal, of, refusal, SHOP, signal } from "./egress-lab.ts";

describe("evidence of egress", () => {
  it("is grouped by host, address, port, rule and decision, with bytes and names of secrets, and never a path of a host that is not opened", async () => {
    await using lab = await EgressLab.open({});
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1", "b.corp": "127.0.0.1" });
    await lab.reload({
      egress: { allow: [internal("a.corp", port), { ...internal("b.corp", port), tls: "open" }] },
    });
    for (let at = 0; at < 5; at += 1) {
      const { connection, close } = await connected(lab, "a.corp", port);
      connection.sent(10);
      connection.received(100);
      connection.usedSecret("GITHUB_TOKEN");
      connection.request("GET", "/secret/path", 200);
      connection[Symbol.dispose]();
      close();
    }
    const opened = await connected(lab, "b.corp", port);
    for (let at = 0; at < 3; at += 1) opened.connection.request("GET", "/npm/left-pad?token=x", 200);
    opened.close();
    opened.connection[Symbol.dispose]();
    await lab.egress.end(SHOP.id, "test");
    const [blind, open] = of(lab, "egress");
    assert.ok(blind !== undefined && open !== undefined);
    assert.deepEqual(
      [
        blind.connections,
        blind.sent,
        blind.received,
        blind.secrets,
        blind.requests,
        blind.address,
        blind.decision,
        blind.subject,
      ],
      [5, 50, 500, ["GITHUB_TOKEN"], [], "127.0.0.1", "allowed", "operator:ada"],
    );
    assert.deepEqual(open.requests, [{ method: "GET", path: "/npm/left-pad", status: 200, count: 3 }]);
    assert.doesNotMatch(JSON.stringify(lab.records), /token=x|secret\/path/);
  });

  it("of the first refusal of a host is written at once, of further ones grouped", async () => {
    await using lab = await EgressLab.open({});
    for (let at = 0; at < 20; at += 1)
      await refusal(lab.egress.gate.decide(lab.target("x.example.com", 443), signal));
    assert.deepEqual(
      of(lab, "egress").map(({ connections, code, decision }) => [connections, code, decision]),
      [[1, "EGRESS_DENIED", "refused"]],
    );
    await lab.egress.end(SHOP.id, "test");
    assert.equal(of(lab, "egress").at(-1)?.connections, 19);
  });

  it("stays bounded when a machine asks for ever new hosts", async () => {
    await using lab = await EgressLab.open({});
    for (let at = 0; at < 3000; at += 1)
      await refusal(lab.egress.gate.decide(lab.target(`h${at}.example.com`, 443), signal));
    await lab.egress.end(SHOP.id, "test");
    const all = of(lab, "egress");
    assert.equal(
      all.reduce((sum, { connections }) => sum + connections, 0),
      3000,
    );
    assert.ok(lab.egress.view(SHOP).refused.length <= 500);
    assert.ok(all.length < 1000, `${all.length} records`);
  });
});

describe("a watch", () => {
  it("tells what is known, then each change, and ends with its reader", async () => {
    await using lab = await EgressLab.open({});
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1" });
    await lab.reload({ egress: { allow: [internal("a.corp", port)] } });
    await refusal(lab.egress.gate.decide(lab.target("x.example.com", 443), signal));
    const events: EgressTraffic[] = [];
    const reader = new AbortController();
    let slow = true;
    const watching = lab.egress.watch(
      SHOP,
      (event) => (slow ? false : events.push(event) > 0),
      reader.signal,
    );
    await delay(300);
    slow = false;
    const { connection, close } = await connected(lab, "a.corp", port);
    connection.sent(7);
    await eventually(() => events.some(({ host, sent }) => host === "a.corp" && sent === 7), "traffic");
    close();
    connection[Symbol.dispose]();
    await eventually(() => events.some(({ host, open }) => host === "a.corp" && open === 0), "its end");
    assert.ok(
      events.some(
        ({ host, decision, rule }) =>
          host === "x.example.com" && decision === "refused" && rule === "EGRESS_DENIED",
      ),
    );
    reader.abort();
    assert.equal(await watching, "the caller went away");
  });
});
