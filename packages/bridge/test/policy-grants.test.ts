import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation } from "@doorward/contracts";
import type { GrantAsk, PolicyFile } from "../src/policy/index.ts";
import { PolicyLab } from "./policy-lab.ts";

const TEXT = `version: 1
roots: []
profiles:
  quiet: { doors: { terminal: { execution: { operator: true, agent: false, maxConcurrent: 4 } } } }
grants:
  - { to: "agent:codex:*", doors: [terminal], operations: [terminal.agent-exec], for: 8h }
  - { to: "ci:nightly", doors: [terminal], operations: [terminal.exec, terminal.observe], for: 2h, profiles: [default] }
`;

function ask(subject: string, operations: Operation[], hours = 1, profile = "default"): GrantAsk {
  return { subject, doors: ["terminal"], operations, seconds: hours * 3600, profile };
}

async function decide(check: (policy: PolicyFile) => void): Promise<void> {
  using lab = new PolicyLab();
  check(await lab.policy(TEXT));
}

test("the operator may grant to himself, up to 30 days", () =>
  decide((policy) => {
    const all: Operation[] = ["terminal.attach", "terminal.input", "terminal.exec"];
    assert.deepEqual(policy.decideGrant(ask("operator:ada", all, 720)), { rule: "policy.operator" });
    assert.throws(() => policy.decideGrant(ask("operator:ada", all, 721)), { code: "GRANT_TOO_WIDE" });
  }));

test("a rule with a star covers its subjects and no others", () =>
  decide((policy) => {
    const granted = policy.decideGrant(ask("agent:codex:s1", ["terminal.agent-exec"], 8));
    assert.equal(granted.rule, "policy.grants[0]");
    assert.throws(() => policy.decideGrant(ask("agent:codex-evil:s1", ["terminal.agent-exec"])), {
      code: "POLICY_DENIED",
      rule: "policy.grants",
    });
  }));

test("a subject without a star must be the same to the letter", () =>
  decide((policy) => {
    assert.throws(() => policy.decideGrant(ask("ci:nightly2", ["terminal.exec"])), { code: "POLICY_DENIED" });
  }));

test("a grant beyond its rule's operations, time or profiles is refused with the rule", () =>
  decide((policy) => {
    const cases = [
      ask("agent:codex:s1", ["terminal.agent-exec", "terminal.attach"]),
      ask("agent:codex:s1", ["terminal.agent-exec"], 9),
      ask("ci:nightly", ["terminal.exec"], 1, "quiet"),
    ];
    for (const each of cases) {
      assert.throws(
        () => policy.decideGrant(each),
        (error: Error & { code?: string; rule?: string }) => {
          assert.equal(error.code, "GRANT_TOO_WIDE");
          assert.match(error.rule ?? "", /^policy\.grants\[\d\]$/);
          return true;
        },
      );
    }
  }));

test("what a profile's door does not offer is granted to nobody", () =>
  decide((policy) => {
    assert.equal(
      policy.interfaceProfile("quiet", "terminal")?.allowedOperations.includes("terminal.agent-exec"),
      false,
    );
    assert.throws(() => policy.decideGrant(ask("operator:ada", ["terminal.agent-exec"], 1, "quiet")), {
      code: "POLICY_DENIED",
      rule: "policy.profiles.quiet.doors",
    });
    assert.throws(() => policy.decideGrant(ask("operator:ada", ["terminal.exec"], 1, "gone")), {
      code: "PROFILE_NOT_FOUND",
    });
  }));

test("what terminals leave to the operator is granted to nobody else, and said why", async () => {
  using lab = new PolicyLab();
  const profiles = (["deny", "observe", "control"] as const).map((agents) => {
    const attach = `{ allowed: true, agents: ${agents}, maxTerminals: 4, maxViewers: 4, observers: true, scrollbackBytes: 65536 }`;
    return `  ${agents}: { doors: { terminal: { attach: ${attach} } } }`;
  });
  const all = "terminal.attach, terminal.input, terminal.observe, terminal.agent-exec";
  const rule = `  - { to: "agent:codex:*", doors: [terminal], operations: [${all}], for: 8h }`;
  const policy = await lab.policy(
    ["version: 1", "roots: []", "grants:", rule, "profiles:", ...profiles, ""].join("\n"),
  );
  const refused = (profile: string, operation: Operation, subject = "agent:codex:s1"): string => {
    try {
      policy.decideGrant(ask(subject, ["terminal.agent-exec", operation], 1, profile));
      return "granted";
    } catch (error) {
      return (error as { rule?: string }).rule ?? String(error);
    }
  };
  const why = "profile.doors.terminal.attach.agents";
  for (const operation of ["terminal.attach", "terminal.input"] as const)
    assert.deepEqual(
      [refused("deny", operation), refused("observe", operation), refused("control", operation)],
      [why, why, "granted"],
    );
  assert.deepEqual(
    [refused("deny", "terminal.observe"), refused("observe", "terminal.observe")],
    [why, "granted"],
  );
  assert.equal(refused("default", "terminal.attach"), why);
  assert.equal(refused("deny", "terminal.attach", "operator:ada"), "granted");
});
