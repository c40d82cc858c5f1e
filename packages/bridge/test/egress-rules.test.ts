import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decide, effectiveRules, matches } from "../src/egress/rules.ts";
import { EGRESS_PRESET_RULES } from "../src/egress/presets.ts";
import { EgressLab } from "./egress-lab.ts";

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
