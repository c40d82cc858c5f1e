import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DoorwardError } from "@doorward/contracts";
import { BY, EgressLab, eventually, LAB, of, refusal, SHOP, signal } from "./egress-lab.ts";

describe("allowances by command", () => {
  it("open a host for one machine only, are recorded with who gave them, and end in time", async () => {
    await using lab = await EgressLab.open({ egress: { presets: [] } });
    await lab.egress.allow(SHOP, { host: "*.example.com", ports: [443], seconds: 5 }, BY);
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

  it("under a wider denial an allowance opens what it names alone, for its time, and a later denial ends it", async () => {
    await using lab = await EgressLab.open({
      egress: { allow: [{ host: "*.example.com", ports: [443, 8443] }] },
    });
    const reached = (host: string, port = 443): Promise<boolean> =>
      lab.egress.gate.decide(lab.target(host, port), signal).then(
        () => true,
        () => false,
      );
    await lab.egress.deny(SHOP, "*.example.com", BY);
    await lab.egress.allow(SHOP, { host: "a.example.com", ports: [443], seconds: null }, BY);
    assert.deepEqual(
      [await reached("a.example.com"), await reached("a.example.com", 8443), await reached("b.example.com")],
      [true, false, false],
    );
    assert.deepEqual(lab.egress.view(SHOP).deny, ["*.example.com"]);
    const { ended } = await lab.egress.deny(SHOP, "*.example.com", BY);
    assert.equal(ended.length, 1);
    assert.equal(await reached("a.example.com"), false);
  });

  it("a wider allowance opens no hole in a narrower denial, and one for a time or for fewer ports leaves the denial", async () => {
    await using lab = await EgressLab.open({
      egress: { allow: [{ host: "a.example.com", ports: [443, 8443] }] },
    });
    const decide = (port = 443) => lab.egress.gate.decide(lab.target("a.example.com", port), signal);
    await lab.egress.deny(SHOP, "a.example.com", BY);
    await lab.egress.allow(SHOP, { host: "*.example.com", ports: [443], seconds: null }, BY);
    await refusal(decide());
    await lab.egress.allow(SHOP, { host: "a.example.com", ports: [443], seconds: null }, BY);
    await decide();
    await refusal(decide(8443));
    await lab.egress.deny(SHOP, "a.example.com", BY);
    await lab.egress.allow(SHOP, { host: "a.example.com", ports: [443, 8443], seconds: 5 }, BY);
    await decide(8443);
    await eventually(
      () =>
        lab.egress
          .view(SHOP)
          .allowances.every(({ effect, host }) => effect === "deny" || host.startsWith("*")),
      "its end",
    );
    await refusal(decide());
    await lab.egress.allow(SHOP, { host: "a.example.com", ports: [443, 8443], seconds: null }, BY);
    assert.deepEqual(lab.egress.view(SHOP).deny, []);
  });

  it("end by the clock, with a cut, also when the disk takes no change", async () => {
    await using lab = await EgressLab.open({});
    await lab.egress.allow(SHOP, { host: "a.example.com", ports: [443], seconds: 5 }, BY);
    const permit = await lab.egress.gate.decide(lab.target("a.example.com", 443), signal);
    const cut: DoorwardError[] = [];
    using _live = lab.egress.gate.track(permit, (reason) => cut.push(reason));
    lab.store.close();
    await eventually(() => cut.length === 1, "a cut");
    await refusal(lab.egress.gate.decide(lab.target("a.example.com", 443), signal));
  });
});
