import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DenialError } from "@doorward/contracts";
import { connected, EgressLab, eventually, internal, of, refusal, SHOP, signal } from "./egress-lab.ts";

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

  it("refuses a host whose authorities can't be read, says why, and reads them again when the file is another one", async () => {
    await using lab = await EgressLab.open({});
    const ca = join(lab.base, "ca.pem");
    const pem = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
    await lab.reload({ egress: { allow: [{ host: "api.example.com", ca }] } });
    const decide = () => lab.egress.gate.decide(lab.target("api.example.com", 443), signal);
    const gone = await refusal(decide());
    assert.deepEqual(
      [gone.code, gone.message, gone.hint],
      ["EGRESS_DENIED", `Cannot use the authorities in "${ca}": it does not exist`, `ls -l ${ca}`],
    );
    execFileSync("mkfifo", [ca]);
    assert.match((await refusal(decide())).message, /it is not a regular file$/);
    rmSync(ca);
    for (const text of ["AA==", "BB=="]) {
      writeFileSync(`${ca}.new`, pem(text));
      renameSync(`${ca}.new`, ca);
      assert.equal((await decide()).ca, pem(text));
      assert.equal((await decide()).ca, pem(text));
    }
    rmSync(ca);
    assert.match((await refusal(decide())).message, /it does not exist$/);
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

  it("caps connections of a machine, and bytes of a rule", async () => {
    await using lab = await EgressLab.open({}, { limits: { perMachine: 2 } });
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
    for (const { connection } of [one, two]) connection[Symbol.dispose]();
    assert.equal(lab.egress.gate.open(SHOP.id), 0);
  });

  it("caps the time without a byte", async () => {
    await using lab = await EgressLab.open({}, { limits: { idleMs: 150 } });
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1" });
    await lab.reload({ egress: { allow: [internal("a.corp", port)] } });
    const { cut } = await connected(lab, "a.corp", port);
    await eventually(() => cut.length === 1, "an idle connection is cut");
    assert.equal(cut[0]?.code, "TIMED_OUT");
    assert.equal(lab.egress.gate.open(SHOP.id), 0);
  });

  it("caps the bytes of a connection whose rule says nothing, and a rule may allow more", async () => {
    await using lab = await EgressLab.open({}, { limits: { connectionMiB: 1 } });
    const port = await lab.server();
    lab.hosts({ "a.corp": "127.0.0.1", "b.corp": "127.0.0.1" });
    const allow = [internal("a.corp", port), { ...internal("b.corp", port), maxMiB: 2 }];
    await lab.reload({ egress: { allow } });
    const [capped, more] = [await connected(lab, "a.corp", port), await connected(lab, "b.corp", port)];
    for (const { connection } of [capped, more]) connection.received(1_100_000);
    assert.deepEqual(
      [capped, more].map(({ cut }) => cut.map(({ code }) => code)),
      [["EGRESS_DENIED"], []],
    );
    for (const { connection } of [capped, more]) connection[Symbol.dispose]();
  });
});
