import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { DoorwardError, type GrantRequest, type PolicyGrantRule } from "@doorward/contracts";
import type { Caller } from "../src/gateway/index.ts";
import { grantHandlers } from "../src/daemon/handlers/grants.ts";
import { GrantAuthority } from "../src/grants/index.ts";
import type { MachineRecord, Machines } from "../src/machines/life/index.ts";
import { PolicyFile } from "../src/policy/index.ts";
import { Store } from "../src/store/index.ts";
import { Ledgered, OPERATOR, SILENT, withCode } from "./grants-lab.ts";
import { machineRecord } from "./machine-record.ts";
import { PolicyLab } from "./policy-lab.ts";

const WRITTEN =
  "# mine\nversion: 1\nroots: []\ngrants:\n  - { to: 'ci:other', doors: [terminal], operations: [terminal.exec], for: 1h } # kept\n";
const RULE: PolicyGrantRule = {
  to: "agent:codex:s1",
  doors: ["terminal"],
  operations: ["terminal.agent-exec"],
  for: "1h",
  profiles: ["default"],
};
const ASKED: GrantRequest = {
  machine: "shop",
  subject: "agent:codex:s1",
  operations: ["terminal.agent-exec"],
  for: "1h",
};
const ATTACH = ["terminal.agent-exec", "terminal.attach"] as const;

const SHOP = machineRecord();

type CreateCall = Parameters<ReturnType<typeof grantHandlers>["grants.create"]>[0];

/** The handler of the route, with a real policy file and real grants. */
class RuleLab {
  readonly policies: PolicyLab;
  readonly evidence = new Ledgered();
  readonly hashes: string[] = [];
  /** Whether the machine is removed while the new policy is put into force. */
  removing = false;
  readonly policy: PolicyFile;
  readonly #create: ReturnType<typeof grantHandlers>["grants.create"];

  private constructor(t: TestContext, policies: PolicyLab, policy: PolicyFile) {
    this.policies = policies;
    this.policy = policy;
    const store = Store.open({ dir: policies.stateDir, log: SILENT });
    const { evidence } = this;
    const grants = GrantAuthority.open({ store, policy, evidence, machineName: () => "shop", log: SILENT });
    const listening = policy.onEvent((event) => event.kind === "changed" && this.hashes.push(event.hash));
    let removed = false;
    const get = (): MachineRecord => {
      if (!removed) return SHOP;
      throw new DoorwardError({ code: "MACHINE_NOT_FOUND", message: "Cannot use the machine: it is gone" });
    };
    const machines = { get } as unknown as Machines;
    const settled = (): Promise<void> => {
      grants.rejudge(policy);
      removed = this.removing;
      if (removed) grants.endAllOfMachine(SHOP.id, "removed");
      return Promise.resolve();
    };
    this.#create = grantHandlers(grants, policy, settled, () => Promise.resolve(machines))["grants.create"];
    t.after(async () => {
      listening[Symbol.dispose]();
      await grants[Symbol.asyncDispose]();
      store.close();
      policies[Symbol.dispose]();
    });
  }

  static async open(t: TestContext, text: string | null = WRITTEN): Promise<RuleLab> {
    const policies = new PolicyLab();
    const policy = text === null ? await PolicyFile.load(policies) : await policies.policy(text);
    return new RuleLab(t, policies, policy);
  }

  create(asked: Partial<GrantRequest> = {}) {
    const caller = { kind: "operator", subject: OPERATOR } as unknown as Caller;
    const body = { ...ASKED, rule: RULE, ...asked };
    const call = { body, caller, params: {}, query: {}, signal: new AbortController().signal };
    return this.#create(call as unknown as CreateCall);
  }

  /** Asserts that the file and the policy in force are as they were. */
  unchanged(text: string | null = WRITTEN, hash = this.policy.hash): void {
    const { file } = this.policies;
    assert.equal(existsSync(file) ? readFileSync(file, "utf8") : null, text);
    assert.equal(this.policy.hash, hash);
  }
}

test("the rule that a grant lacks is added with it, and the rest of the file stays", async (t) => {
  const lab = await RuleLab.open(t);
  const { grant } = await lab.create();
  assert.equal(grant.policyHash, lab.policy.hash);
  assert.deepEqual(lab.policy.policy.grants?.at(-1), RULE);
  assert.equal(lab.evidence.of("minted")[0]?.["rule"], "policy.grants[1]");
  const text = readFileSync(lab.policies.file, "utf8");
  assert.match(text, /^# mine\n/);
  assert.match(text, /# kept$/m);
});

test("a grant that a rule covers already adds none", async (t) => {
  const lab = await RuleLab.open(t);
  await lab.create();
  const text = readFileSync(lab.policies.file, "utf8");
  await lab.create();
  lab.unchanged(text);
});

test("a grant that is refused for another reason leaves no rule, and says that reason", async (t) => {
  const lab = await RuleLab.open(t);
  const { hash } = lab.policy;
  const rule = { ...RULE, operations: [...ATTACH] };
  await assert.rejects(
    lab.create({ operations: [...ATTACH], rule }),
    (error: Error & { rule?: string }) => error.rule === "profile.doors.terminal.attach.agents",
  );
  lab.unchanged(WRITTEN, hash);
  assert.deepEqual(lab.hashes, []);
});

test("a rule that does not cover the grant is not added", async (t) => {
  const lab = await RuleLab.open(t);
  await assert.rejects(lab.create({ for: "2h" }), withCode("GRANT_TOO_WIDE", /at most 1h/));
  await assert.rejects(lab.create({ rule: { ...RULE, to: "ci:x" } }), withCode("GRANT_TOO_WIDE"));
  lab.unchanged();
});

test("a rule that the policy can't have is refused and not added", async (t) => {
  const lab = await RuleLab.open(t);
  await assert.rejects(lab.create({ rule: { ...RULE, profiles: ["gone"] } }), withCode("POLICY_INVALID"));
  lab.unchanged();
});

test("a grant whose record can't be written leaves no rule", async (t) => {
  const lab = await RuleLab.open(t);
  const { hash } = lab.policy;
  lab.evidence.failing = true;
  await assert.rejects(lab.create(), withCode("EVIDENCE_UNWRITABLE"));
  lab.unchanged(WRITTEN, hash);
  assert.equal(lab.hashes.at(-1), hash);
});

test("where there was no policy file, none is left of a grant that failed", async (t) => {
  const lab = await RuleLab.open(t, null);
  lab.evidence.failing = true;
  await assert.rejects(lab.create(), withCode("EVIDENCE_UNWRITABLE"));
  lab.unchanged(null);
  assert.equal(lab.policy.exists, false);
});

test("what somebody wrote into the file meanwhile is not overwritten when the grant fails", async (t) => {
  const lab = await RuleLab.open(t);
  lab.evidence.failing = true;
  let open = (): void => undefined;
  lab.evidence.gate = new Promise((resolve) => (open = resolve));
  const written = new Promise<void>((resolve) => {
    const listening = lab.policy.onEvent(() => {
      listening[Symbol.dispose]();
      resolve();
    });
  });
  const refused = assert.rejects(lab.create(), withCode("EVIDENCE_UNWRITABLE"));
  await written;
  appendFileSync(lab.policies.file, "# by hand\n");
  const text = readFileSync(lab.policies.file, "utf8");
  open();
  await refused;
  lab.unchanged(text);
});

test("a machine that is removed while its grant is decided about is granted to nobody", async (t) => {
  const lab = await RuleLab.open(t);
  lab.removing = true;
  await assert.rejects(lab.create(), withCode("MACHINE_NOT_FOUND"));
  assert.deepEqual(lab.evidence.of("minted"), []);
  lab.unchanged();
});
