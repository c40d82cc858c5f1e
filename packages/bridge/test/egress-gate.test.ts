import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DenialError, DoorwardError, type EgressTraffic, type EvidenceInput } from "@doorward/contracts";
import type { EgressConnection } from "../src/egress/ports.ts";
import { decide, effectiveRules, matches } from "../src/egress/rules.ts";
import { EGRESS_PRESET_RULES } from "../src/egress/presets.ts";
import { EgressLab, LAB, SHOP } from "./egress-lab.ts";

const { signal } = new AbortController();
const BY = { subject: "operator:ada", correlationId: "c1" };

async function refusal(work: Promise<unknown>): Promise<DoorwardError> {
  const error: unknown = await work.then(
    () => assert.fail("it was allowed"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DoorwardError, String(error));
  return error;
}

function internal(host: string, port: number, range = "127.0.0.0/8"): object {
  return { host, ports: [port], addresses: [range] };
}

/** A connection as the proxy holds it: decided, dialled and tracked. */
async function connected(
  lab: EgressLab,
  host: string,
  port: number,
): Promise<{ connection: EgressConnection; cut: DoorwardError[]; close: () => void }> {
  const cut: DoorwardError[] = [];
  const permit = await lab.egress.gate.decide(lab.target(host, port), signal);
  const { socket, address } = await lab.egress.gate.dial(permit, signal);
  const connection = lab.egress.gate.track(permit, (reason) => {
    cut.push(reason);
    socket.destroy();
    connection[Symbol.dispose]();
  });
  connection.dialled(address);
  return { connection, cut, close: () => socket.destroy() };
}

function of<T extends EvidenceInput["type"]>(lab: EgressLab, type: T): Extract<EvidenceInput, { type: T }>[] {
  return lab.records.filter((record): record is Extract<EvidenceInput, { type: T }> => record.type === type);
}

async function eventually(fact: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (fact()) return;
    await delay(10);
  }
  assert.fail(`never: ${what}`);
}

describe("rules", () => {
  const none = { presets: [], allow: [], deny: [], askSeconds: 0 };
  const rules = (allow: object[], deny: string[] = []) =>
    effectiveRules({
      policy: { ...none, allow: allow as never, deny },
      profile: { name: "default", egress: none },
      allowances: [],
    });

  it("a wildcard stands for exactly one label", () => {
    assert.equal(matches("*.example.com", "a.example.com"), true);
    for (const host of [
      "example.com",
      "a.b.example.com",
      ".example.com",
      "aexample.com",
      "a.example.com.evil.org",
    ]) {
      assert.equal(matches("*.example.com", host), false, host);
    }
  });

  it("a denial wins over every rule, also a wildcard over an exact one", () => {
    const made = rules([{ host: "a.example.com" }], ["*.example.com"]);
    assert.equal(decide(made, "a.example.com", 443).kind, "denied");
  });

  it("ports count: 443 alone unless a rule says otherwise", () => {
    assert.equal(decide(rules([{ host: "a.example.com" }]), "a.example.com", 443).kind, "allowed");
    for (const port of [80, 22, 8443])
      assert.equal(decide(rules([{ host: "a.example.com" }]), "a.example.com", port).kind, "unknown");
  });

  it("the exact and the restricted rule decide before the wide ones", () => {
    const verdict = decide(
      rules([
        { host: "*.example.com" },
        { host: "a.example.com" },
        { host: "a.example.com", tls: "open", methods: ["GET"] },
      ]),
      "a.example.com",
      443,
    );
    assert.deepEqual(verdict.kind === "allowed" && verdict.rule.methods, ["GET"]);
  });

  it("presets name single hosts of the public internet, none by wildcard", () => {
    for (const rule of Object.values(EGRESS_PRESET_RULES).flat()) {
      assert.match(rule.host, /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/);
      assert.equal(rule.addresses, undefined);
    }
  });
});

describe("the gate", () => {
  it("refuses everything when no rule says otherwise, and names the command", async () => {
    await using lab = await EgressLab.open({});
    for (const [host, port, hint] of [
      ["registry.npmjs.org", 443, "doorward egress allow shop registry.npmjs.org"],
      ["Example.COM.", 80, "doorward egress allow shop example.com --port 80"],
    ] as const) {
      const error = await refusal(lab.egress.gate.decide(lab.target(host, port), signal));
      assert.deepEqual([error.code, error.hint], ["EGRESS_DENIED", hint]);
      assert.ok(error instanceof DenialError);
    }
  });

  it("refuses addresses and local names before any rule, with no command that would help", async () => {
    await using lab = await EgressLab.open({ egress: { presets: ["npm"] } });
    for (const host of [
      "127.0.0.1",
      "2130706433",
      "[::1]",
      "localhost",
      "db",
      "x.internal",
      "169.254.169.254",
    ]) {
      const error = await refusal(lab.egress.gate.decide(lab.target(host, 443), signal));
      assert.equal(error.code, "EGRESS_ADDRESS_DENIED", host);
      assert.doesNotMatch(error.hint ?? "", /egress allow m/);
    }
    assert.ok(lab.egress.view(SHOP).refused.every(({ command }) => command === null));
  });

  it("reaches an internal target by its rule alone, at an address that it checked", async () => {
    await using lab = await EgressLab.open({});
    const port = await lab.server("127.0.0.3");
    lab.hosts({ "registry.corp": "127.0.0.3" });
    await refusal(lab.egress.gate.decide(lab.target("registry.corp", port), signal));
    await lab.reload({ egress: { allow: [internal("registry.corp", port)] } });
    const permit = await lab.egress.gate.decide(lab.target("registry.corp", port), signal);
    const { socket, address } = await lab.egress.gate.dial(permit, signal);
    assert.equal(address, "127.0.0.3");
    socket.destroy();
    lab.hosts({ "registry.corp": "127.0.0.3", "registry.corp ": "10.0.0.1" });
    lab.hosts({ "registry.corp": "10.0.0.1" });
    assert.equal((await refusal(lab.egress.gate.dial(permit, signal))).code, "EGRESS_ADDRESS_DENIED");
  });

  it("refuses a public name that the host's own hosts file sends to a special address", async () => {
    await using lab = await EgressLab.open({ egress: { presets: ["npm"] } });
    lab.hosts({ "registry.npmjs.org": "127.0.0.1" });
    const permit = await lab.egress.gate.decide(lab.target("registry.npmjs.org", 443), signal);
    assert.equal(permit.rule, "preset npm");
    assert.equal((await refusal(lab.egress.gate.dial(permit, signal))).code, "EGRESS_ADDRESS_DENIED");
  });

  it("tries the next checked address when one does not answer", async () => {
    await using lab = await EgressLab.open({});
    const port = await lab.server("127.0.0.9");
    await lab.reload({ egress: { allow: [internal("two.corp", port)] } });
    lab.hosts({ "two.corp": "127.0.0.8", "two.corp two.corp": "127.0.0.9" });
    const { connection, close } = await connected(lab, "two.corp", port);
    close();
    connection[Symbol.dispose]();
    await lab.stop();
    assert.equal(of(lab, "egress").at(-1)?.address, "127.0.0.9");
    await lab.start();
  });

  it("cuts live connections before a reload that narrows returns, and leaves the others", async () => {
    await using lab = await EgressLab.open({});
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1", "b.corp": "127.0.0.1" });
    await lab.reload({ egress: { allow: [internal("a.corp", port), internal("b.corp", port)] } });
    const one = await connected(lab, "a.corp", port);
    const other = await connected(lab, "b.corp", port);
    await lab.reload({ egress: { allow: [internal("b.corp", port)], presets: ["npm"] } });
    assert.deepEqual(
      one.cut.map(({ code }) => code),
      ["EGRESS_DENIED"],
    );
    assert.deepEqual(other.cut, []);
    await lab.reload({ egress: { allow: [{ ...internal("b.corp", port), addresses: ["127.0.0.1/32"] }] } });
    assert.equal(other.cut.length, 1);
    other.close();
  });

  it("cuts when a denial is added, when a profile goes, and when a machine ends", async () => {
    await using lab = await EgressLab.open({});
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1" });
    const allow = [internal("a.corp", port)];
    await lab.reload({ profiles: { default: { egress: { allow } } } });
    const denied = await connected(lab, "a.corp", port);
    await lab.reload({ profiles: { default: { egress: { allow } } }, egress: { deny: ["a.corp"] } });
    assert.equal(denied.cut.length, 1);
    await lab.reload({ profiles: { default: { egress: { allow } } } });
    const ended = await connected(lab, "a.corp", port);
    lab.machines.delete(SHOP.id);
    await lab.egress.end(SHOP.id, "stopped");
    assert.deepEqual(
      ended.cut.map(({ code }) => code),
      ["MACHINE_NOT_RUNNING"],
    );
    assert.equal(
      (await refusal(lab.egress.gate.decide(lab.target("a.corp", port), signal))).code,
      "MACHINE_NOT_RUNNING",
    );
  });

  it("refuses to dial or track by a permit whose rule has gone since", async () => {
    await using lab = await EgressLab.open({ egress: { presets: ["npm"] } });
    const permit = await lab.egress.gate.decide(lab.target("registry.npmjs.org", 443), signal);
    await lab.reload({});
    assert.equal((await refusal(lab.egress.gate.dial(permit, signal))).code, "EGRESS_DENIED");
    assert.throws(() => lab.egress.gate.track(permit, () => undefined), { code: "EGRESS_DENIED" });
    assert.throws(() => lab.egress.gate.track({ ...permit }, () => undefined), { code: "INTERNAL" });
  });

  it("caps connections of a machine, bytes of a rule, and time without a byte", async () => {
    await using lab = await EgressLab.open({}, { limits: { perMachine: 2, idleMs: 150 } });
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1" });
    await lab.reload({ egress: { allow: [{ ...internal("a.corp", port), maxMiB: 1 }] } });
    const one = await connected(lab, "a.corp", port);
    const two = await connected(lab, "a.corp", port);
    await assert.rejects(connected(lab, "a.corp", port), { code: "RATE_LIMITED" });
    one.connection.sent(1_000_000);
    assert.equal(one.cut.length, 0);
    one.connection.received(100_000);
    assert.deepEqual(
      one.cut.map(({ code }) => code),
      ["EGRESS_DENIED"],
    );
    await eventually(() => two.cut.length === 1, "an idle connection is cut");
    assert.equal(two.cut[0]?.code, "TIMED_OUT");
    assert.equal(lab.egress.gate.open(SHOP.id), 0);
  });
});

describe("allowances by command", () => {
  it("open a host for one machine only, are recorded with who gave them, and end in time", async () => {
    await using lab = await EgressLab.open({ egress: { presets: [] } });
    await lab.egress.allow(SHOP, { host: "*.example.com", ports: [443], seconds: 1 }, BY);
    const permit = await lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    assert.match(permit.rule, /^allowed until 2/);
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 443, LAB), signal));
    const cut: DoorwardError[] = [];
    using _live = lab.egress.gate.track(permit, (reason) => cut.push(reason));
    await eventually(() => cut.length === 1, "its end cuts what lives by it");
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 443), signal));
    await eventually(() => of(lab, "egress-change").length === 2, "its end is recorded");
    assert.deepEqual(
      of(lab, "egress-change").map(({ change, subject, host, connectionsCut }) => [
        change,
        subject,
        host,
        connectionsCut,
      ]),
      [
        ["allowed", "operator:ada", "*.example.com", 0],
        ["ended", "operator:bridge", "*.example.com", 1],
      ],
    );
  });

  it("survive a restart, and are gone with their machine", async () => {
    await using lab = await EgressLab.open({});
    await lab.egress.allow(SHOP, { host: "a.example.com", ports: [443, 8443], seconds: null }, BY);
    await lab.stop();
    await lab.start();
    assert.equal(
      (await lab.egress.gate.decide(lab.target("a.example.com", 8443), signal)).rule,
      "allowed by command",
    );
    lab.egress.forget(SHOP.id);
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 8443), signal));
  });

  it("never open what the policy denies, a local name, an address or a whole top-level domain", async () => {
    await using lab = await EgressLab.open({ egress: { deny: ["evil.example.com"] } });
    for (const [host, code] of [
      ["evil.example.com", "POLICY_DENIED"],
      ["localhost", "EGRESS_ADDRESS_DENIED"],
      ["10.0.0.1", "EGRESS_ADDRESS_DENIED"],
      ["*.internal", "EGRESS_ADDRESS_DENIED"],
      ["*.com", "EGRESS_ADDRESS_DENIED"],
      ["0x7f.1", "EGRESS_ADDRESS_DENIED"],
    ] as const) {
      const error = await refusal(lab.egress.allow(SHOP, { host, ports: [443], seconds: null }, BY));
      assert.equal(error.code, code, host);
    }
    // A wildcard does not get around a denial that lies in it.
    await lab.egress.allow(SHOP, { host: "*.example.com", ports: [443], seconds: null }, BY);
    await refusal(lab.egress.gate.decide(lab.target("evil.example.com", 443), signal));
  });

  it("are not in force when they could not be recorded", async () => {
    await using lab = await EgressLab.open({});
    lab.failing = true;
    await assert.rejects(lab.egress.allow(SHOP, { host: "a.example.com", ports: [443], seconds: null }, BY));
    lab.failing = false;
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 443), signal));
  });

  it("a denial by command beats a preset, cuts at once, and ends when the host is allowed again", async () => {
    await using lab = await EgressLab.open({ egress: { presets: ["npm"] } });
    const permit = await lab.egress.gate.decide(lab.target("registry.npmjs.org", 443), signal);
    const cut: DoorwardError[] = [];
    using _live = lab.egress.gate.track(permit, (reason) => cut.push(reason));
    const { cut: count } = await lab.egress.deny(SHOP, "registry.npmjs.org", BY);
    assert.deepEqual([count, cut.length], [1, 1]);
    assert.equal(
      (await refusal(lab.egress.gate.decide(lab.target("registry.npmjs.org", 443), signal))).code,
      "EGRESS_DENIED",
    );
    await lab.egress.allow(SHOP, { host: "registry.npmjs.org", ports: [443], seconds: null }, BY);
    await lab.egress.gate.decide(lab.target("registry.npmjs.org", 443), signal);
  });
});

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

describe("asking", () => {
  const ask = { egress: { askSeconds: 30 } };

  it("one question lists all hosts that a machine waits for, and its approval allows them all for the chosen time", async () => {
    await using lab = await EgressLab.open(ask);
    const hosts = ["registry.example.com", "cdn.example.com", "git.example.com"];
    const waiting = hosts.flatMap((host) =>
      [0, 1, 2].map(() => lab.egress.gate.decide(lab.target(host, 443), signal)),
    );
    await eventually(() => lab.approvals.list()[0]?.lines.length === 4, "three hosts and what it means");
    const [question, ...more] = lab.approvals.list();
    assert.ok(question !== undefined && more.length === 0);
    assert.deepEqual(lab.notified.length, 1);
    assert.deepEqual(
      question.lines.slice(0, 3),
      hosts.map((host) => `${host} port 443`),
    );
    await lab.approvals.approve(question.id, {
      digest: question.digest,
      by: "operator:ada",
      seconds: 600,
      where: "command",
    });
    for (const permit of await Promise.all(waiting)) assert.match(permit.rule, /^allowed until/);
    assert.equal(of(lab, "approval").length, 1);
    await eventually(() => of(lab, "egress-change").length === 3, "each host is recorded");
    assert.ok(
      of(lab, "egress-change").every(
        ({ subject, expiresAt }) => subject === "operator:ada" && expiresAt !== null,
      ),
    );
    assert.deepEqual(lab.egress.view(SHOP).refused, []);
  });

  it("what was shown before another host came is not approved", async () => {
    await using lab = await EgressLab.open(ask);
    const one = lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    const shown = lab.approvals.list()[0];
    const two = lab.egress.gate.decide(lab.target("b.example.com", 443), signal);
    await eventually(() => lab.approvals.list()[0]?.lines.length === 3, "both hosts");
    assert.ok(shown !== undefined);
    const given = { digest: shown.digest, by: "operator:ada", seconds: null, where: "command" } as const;
    await assert.rejects(lab.approvals.approve(shown.id, given), { code: "APPROVAL_CHANGED" });
    await lab.approvals.deny(shown.id, "operator:ada", "not these", "command");
    for (const work of [one, two]) {
      const error = await refusal(work);
      assert.equal(error.code, "EGRESS_DENIED");
      assert.match(error.message, /not these/);
    }
  });

  it("a refusal is final: the same host is refused at once and not asked again", async () => {
    await using lab = await EgressLab.open(ask);
    const work = lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    await lab.approvals.deny(lab.approvals.list()[0]?.id ?? "", "operator:ada", null, "command");
    await refusal(work);
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 443), signal));
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("nobody's answer is a no, and two machines are two questions", async () => {
    await using lab = await EgressLab.open({ egress: { askSeconds: 1 } });
    const works = [SHOP, LAB].map((machine) =>
      lab.egress.gate.decide(lab.target("a.example.com", 443, machine), signal),
    );
    await eventually(() => lab.approvals.list().length === 2, "two questions");
    for (const work of works) assert.equal((await refusal(work)).code, "EGRESS_DENIED");
    await eventually(() => of(lab, "approval").length === 2, "both are recorded");
    assert.ok(of(lab, "approval").every(({ decision, where }) => decision === "expired" && where === "time"));
  });

  it("denied hosts, addresses and local names are never asked about", async () => {
    await using lab = await EgressLab.open({ egress: { askSeconds: 30, deny: ["evil.example.com"] } });
    for (const host of ["evil.example.com", "10.0.0.1", "localhost", "bad host"]) {
      await refusal(lab.egress.gate.decide(lab.target(host, 443), signal));
    }
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("a connection that goes away stops waiting; the question stays for the next", async () => {
    await using lab = await EgressLab.open(ask);
    const gone = new AbortController();
    const work = lab.egress.gate.decide(lab.target("a.example.com", 443), gone.signal);
    await eventually(() => lab.approvals.list().length === 1, "a question");
    gone.abort();
    await assert.rejects(work);
    assert.equal(lab.approvals.list().length, 1);
    await lab.egress.end(SHOP.id, "stopped");
    await eventually(() => lab.approvals.list().length === 0, "it goes with the machine");
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

describe("a policy's egress", () => {
  for (const [what, egress] of [
    ["an address without a range", { allow: [{ host: "10.0.0.1" }] }],
    ["a local name without addresses", { allow: [{ host: "registry.internal" }] }],
    ["a single label without addresses", { allow: [{ host: "registry" }] }],
    ["an encoded address", { allow: [{ host: "0x7f.1", addresses: ["127.0.0.0/8"] }] }],
    ["a whole top-level domain", { allow: [{ host: "*.com" }] }],
    ["every address", { allow: [{ host: "a.corp", addresses: ["0.0.0.0/0"] }] }],
    ["paths without opening TLS", { allow: [{ host: "a.example.com", paths: ["/x"] }] }],
    ["methods without opening TLS", { allow: [{ host: "a.example.com", methods: ["GET"] }] }],
    ["an unknown preset", { presets: ["everything"] }],
    ["broken punycode", { allow: [{ host: "xn--a.com" }] }],
  ] as const) {
    it(`with ${what} is not loaded`, async () => {
      await assert.rejects(EgressLab.open({ egress }), { code: "POLICY_INVALID" });
    });
  }
});
