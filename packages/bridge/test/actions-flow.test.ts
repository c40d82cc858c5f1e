import assert from "node:assert/strict";
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ActionEvent, HostActionResponse } from "@doorward/contracts";
import { takeIn } from "../src/actions/intake.ts";
import { FlowLab } from "./actions-flow-lab.ts";

type Failure = Extract<HostActionResponse, { ok: false }>;

function failure(response: HostActionResponse): Failure {
  assert.ok(!response.ok, JSON.stringify(response));
  return response;
}

const write = (lab: FlowLab, name: string, content: string, dryRun = false) => ({
  action: "system.fs.mutate",
  payload: {
    scope: "notes",
    dryRun,
    operations: [{ type: "writeFile", path: join(lab.files, name), content }],
  },
});
const exec = (lab: FlowLab, args: string[], more: object = {}) => ({
  action: "system.process.exec",
  payload: { scope: "tool", command: lab.program, args, ...more },
});
const workflow = (
  lab: FlowLab,
  steps: { id: string; args: string[]; onError?: string }[],
  more: object = {},
) => ({
  action: "system.workflow.run",
  payload: {
    scope: "tool",
    kind: "process-sequence",
    title: "Some steps",
    steps: steps.map((step) => ({ title: step.id, command: lab.program, ...step })),
    ...more,
  },
});

describe("intake", () => {
  const request = { action: "system.clipboard.read", payload: {} };
  const inner = { correlationId: "my-1", request };

  it("accepts the five envelope shapes and keeps correlation ids as they are", () => {
    for (const shape of [inner, { ok: true, result: inner }, { content: inner }, { data: inner }]) {
      const taken = takeIn(shape);
      assert.ok(taken.kind === "request");
      assert.equal(taken.correlationId, "my-1");
    }
    const bare = takeIn(request);
    assert.match(bare.kind === "request" ? bare.correlationId : "", /^priv-\d{13}-[0-9a-f]{12}$/);
  });

  it("answers a forwarded failure of a backend instead of executing it", () => {
    for (const raw of [
      { ok: false, result: inner },
      { success: false, error: "x" },
      { ...inner, error: "x" },
    ]) {
      const taken = takeIn(raw);
      assert.ok(taken.kind === "failure" && !taken.response.ok);
      assert.equal(taken.response.code, "PLUGIN_BACKEND_HANDLER_FAILED");
    }
  });

  it("refuses what is ambiguous, unknown, unsafe or meaningless", () => {
    const hosts = (record: object) => ({ action: "system.hosts.write", payload: { records: [record] } });
    const refused: unknown[] = [
      ...[null, 3, "x", [], {}, { action: "system.root", payload: {} }, { ...request, shell: true }],
      { ...inner, result: inner },
      { ...inner, shell: true },
      { correlationId: "a b", request },
      { correlationId: "x".repeat(121), request },
      { action: "system.clipboard.read", payload: [] },
      { action: "system.clipboard.write", payload: { text: "  " } },
      hosts({ address: ":::::", hostname: "a" }),
      hosts({ address: "cafe", hostname: "a" }),
      hosts({ address: "::1", hostname: "a..b" }),
      hosts({ address: "::1", hostname: "-" }),
      hosts({ address: "::1", hostname: "a", comment: "x\n1.2.3.4 bank" }),
      JSON.parse('{"action":"system.clipboard.read","payload":{},"__proto__":{}}'),
    ];
    for (const raw of refused) assert.throws(() => takeIn(raw), { name: "ActionError" }, JSON.stringify(raw));
  });
});

describe("the flow of a host action", () => {
  it("asks capabilities before it looks at scopes", async () => {
    await using lab = await FlowLab.open();
    const response = failure(
      await lab.perform(exec(lab, ["say"]), "approve", lab.asker("system.process.exec")),
    );
    assert.equal(response.code, "CAPABILITY_DENIED");
    assert.deepEqual(response.details, {
      requiredCapabilities: ["system.process.exec", "system.process.scope.tool"],
      missingCapabilities: ["system.process.scope.tool"],
      scope: "tool",
      command: lab.program,
    });
    const clipboard = { action: "system.clipboard.read", payload: {} };
    const writer = lab.asker("system.clipboard.write");
    assert.equal(failure(await lab.perform(clipboard, "approve", writer)).code, "CAPABILITY_DENIED");
    assert.deepEqual(
      lab.hostActions().map(({ decision }) => decision),
      ["denied", "denied"],
    );
  });

  it("refuses a scope that the policy has not, and what lies outside of one", async () => {
    await using lab = await FlowLab.open();
    const other = {
      action: "system.fs.mutate",
      payload: { ...write(lab, "a", "b").payload, scope: "other" },
    };
    assert.equal(failure(await lab.perform(other)).code, "SCOPE_DENIED");
    symlinkSync("/etc", join(lab.files, "link"));
    const escape = failure(await lab.perform(write(lab, "link/evil", "x")));
    assert.equal(escape.code, "SCOPE_VIOLATION");
    assert.equal(existsSync("/etc/evil"), false);
    const preload = failure(await lab.perform(exec(lab, ["say"], { env: { LD_PRELOAD: "/x.so" } })));
    assert.deepEqual(
      (preload.details?.["scopeViolation"] as { reason: string }).reason,
      "ENV_KEYS_NOT_ALLOWED",
    );
    const late = failure(await lab.perform(exec(lab, ["say"], { timeoutMs: 121_000 })));
    assert.equal(
      (late.details?.["scopeViolation"] as { reason: string }).reason,
      "TIMEOUT_EXCEEDS_SCOPE_CEILING",
    );
    assert.equal(lab.approvals.list().length, 0);
  });

  it("plans a dry run without confirmation and without effect", async () => {
    await using lab = await FlowLab.open();
    const events: ActionEvent[] = [];
    const dry = await lab.perform(write(lab, "a.txt", "hello", true), "wait", lab.operator(), (e) =>
      events.push(e),
    );
    assert.ok(dry.ok);
    assert.equal(existsSync(join(lab.files, "a.txt")), false);
    assert.deepEqual(events, []);
    const run = await lab.perform(exec(lab, ["say", "x"], { dryRun: true }), "wait");
    assert.deepEqual(run.ok && run.result, {
      ...{ dryRun: true, command: lab.program, args: ["say", "x"], cwd: lab.work, scope: "tool" },
    });
    const steps = await lab.perform(workflow(lab, [{ id: "one", args: ["say"] }], { dryRun: true }), "wait");
    assert.ok(steps.ok);
  });

  it("writes after a confirmation and never without one", async () => {
    await using lab = await FlowLab.open();
    const path = join(lab.files, "a.txt");
    assert.equal(failure(await lab.perform(write(lab, "a.txt", "no"), "deny")).code, "CANCELLED");
    assert.equal(existsSync(path), false);
    assert.ok((await lab.perform(write(lab, "a.txt", "yes"))).ok);
    assert.equal(lab.read(path), "yes");
    const [denied, began, ended] = lab.hostActions();
    assert.deepEqual(
      [denied, began, ended].map((r) => [r?.event, r?.confirmation, r?.outcome]),
      [
        ["ended", "denied", "cancelled"],
        ["began", "approved", "pending"],
        ["ended", "approved", "succeeded"],
      ],
    );
    assert.equal(JSON.stringify(lab.records).includes('"yes"'), false);
  });

  it("does not run what changed between the approval and its use", async () => {
    await using lab = await FlowLab.open();
    const path = join(lab.files, "a.txt");
    writeFileSync(path, "old");
    const work = lab.perform(write(lab, "a.txt", "new"), "wait", lab.operator(), (event) => {
      if (event.kind !== "waiting") return;
      writeFileSync(path, "other");
      void lab.decide(event.approval, "approve");
    });
    assert.equal(failure(await work).code, "CANCELLED");
    assert.equal(lab.read(path), "other");
    const changed = lab.perform(write(lab, "a.txt", "new"), "wait", lab.operator(), (event) => {
      if (event.kind !== "waiting") return;
      const [scope] = lab.policy.actions?.files ?? [];
      const files = [{ ...scope!, maxFileBytes: 10 }];
      lab.policy = { ...lab.policy, actions: { ...lab.policy.actions, files } };
      void lab.decide(event.approval, "approve");
    });
    assert.equal(failure(await changed).code, "CANCELLED");
    assert.equal(lab.read(path), "other");
  });

  it("does not run under a grant that ended while it waited", async () => {
    await using lab = await FlowLab.open();
    const asker = lab.asker("system.hosts.write", "system.fs.scope.notes");
    let over = false;
    const grant = {
      ...asker.grant!,
      check: () => {
        if (over) throw new Error("the grant expired");
      },
    };
    const work = lab.perform(write(lab, "a.txt", "new"), "wait", { ...asker, grant }, (event) => {
      if (event.kind !== "waiting") return;
      over = true;
      void lab.decide(event.approval, "approve");
    });
    assert.equal(failure(await work).code, "CAPABILITY_DENIED");
    assert.equal(existsSync(join(lab.files, "a.txt")), false);
  });

  it("withdraws the question when the caller goes away", async () => {
    await using lab = await FlowLab.open();
    const caller = new AbortController();
    const response = await lab.actions.perform(
      lab.operator(),
      write(lab, "a", "b"),
      caller.signal,
      (event) => {
        if (event.kind === "waiting") caller.abort();
      },
    );
    assert.equal(failure(response).code, "CANCELLED");
    assert.deepEqual(lab.approvals.list(), []);
  });

  it("runs a program, and answers its exit with the typed result", async () => {
    await using lab = await FlowLab.open();
    const ran = await lab.perform(exec(lab, ["say", "hello"]));
    assert.ok(ran.ok, JSON.stringify(ran));
    assert.equal((ran.result as { stdout: string }).stdout, "said hello\n");
    const bad = failure(await lab.perform(exec(lab, ["fail", "x"])));
    assert.equal(bad.code, "PROCESS_EXIT_NON_ZERO");
    assert.equal((bad.result as { exitCode: number }).exitCode, 3);
    const late = failure(await lab.perform(exec(lab, ["sleep"], { timeoutMs: 200 })));
    assert.equal(late.code, "TIMEOUT");
    assert.equal(JSON.stringify(lab.records).includes("said hello"), false);
  });

  it("edits the hosts file within its section, under both names of the action", async () => {
    await using lab = await FlowLab.open();
    const records = [{ address: "10.1.2.3", hostname: "app.test", comment: "dev" }];
    for (const action of ["system.host.write", "system.hosts.write"])
      assert.ok((await lab.perform({ action, payload: { records, tag: "dev" } })).ok);
    assert.match(lab.read(lab.hostsPath), /10\.1\.2\.3[ \t]+app\.test/);
    assert.deepEqual(new Set(lab.hostActions().map(({ action }) => action)), new Set(["system.hosts.write"]));
  });

  it("says that there is no clipboard, and closes what the policy has not opened", async () => {
    await using lab = await FlowLab.open();
    const read = failure(await lab.perform({ action: "system.clipboard.read", payload: {} }));
    assert.equal(read.code, "CLIPBOARD_UNSUPPORTED");
    const write = failure(await lab.perform({ action: "system.clipboard.write", payload: { text: "x" } }));
    assert.equal(write.code, "SCOPE_DENIED");
  });
});

describe("an approval for a time", () => {
  it("covers this very request of this asker, and no changed one", async () => {
    await using lab = await FlowLab.open();
    let asked = 0;
    const listen = (answer: "lasting" | "deny") => (event: ActionEvent) => {
      if (event.kind !== "waiting") return;
      asked += 1;
      void lab.decide(event.approval, answer === "deny" ? "deny" : "approve", answer === "deny" ? null : 600);
    };
    const can = ["system.hosts.write", "system.fs.scope.notes"];
    const me = lab.asker(...can);
    assert.ok((await lab.perform(write(lab, "a", "x"), "wait", me, listen("lasting"))).ok);
    assert.ok((await lab.perform(write(lab, "a", "x"), "wait", me, listen("deny"))).ok);
    assert.equal(asked, 1);
    assert.equal(lab.hostActions().at(-1)?.confirmation, "session-approved");
    const others = [
      [write(lab, "a", "y"), me],
      [write(lab, "a", "x"), { ...me, subject: "agent:codex:s2" }],
      [write(lab, "a", "x"), { ...me, grant: { ...me.grant!, id: "g_bbbbbbbbbb234567" } }],
    ] as const;
    for (const [raw, asker] of others)
      assert.equal(failure(await lab.perform(raw, "wait", asker, listen("deny"))).code, "CANCELLED");
    assert.equal(asked, 4);
    assert.equal(lab.read(join(lab.files, "a")), "x");
  });
});

describe("workflows", () => {
  it("judge every step before the first runs", async () => {
    await using lab = await FlowLab.open();
    const steps = [
      { id: "one", args: ["touch", "made"] },
      { id: "two", args: ["evil"] },
    ];
    const response = failure(await lab.perform({ correlationId: "w-1", request: workflow(lab, steps) }));
    assert.equal(response.code, "STEP_SCOPE_VIOLATION");
    assert.equal(response.details?.["stepId"], "two");
    assert.equal(response.details["stepCorrelationId"], "w-1:step:2:two");
    assert.equal(existsSync(join(lab.work, "made")), false);
  });

  it("abort at a failed step, and list the skipped", async () => {
    await using lab = await FlowLab.open();
    const steps = ["say", "fail", "touch"].map((word, at) => ({ id: `s${at}`, args: [word, "made"] }));
    const events: ActionEvent[] = [];
    const work = lab.perform(workflow(lab, steps), "approve", lab.operator(), (e) => events.push(e));
    const response = failure(await work);
    assert.equal(response.code, "STEP_FAILED");
    const {
      status,
      summary,
      steps: listed,
    } = response.details as {
      status: string;
      summary: object;
      steps: { status: string; code?: string }[];
    };
    assert.equal(status, "partial");
    assert.deepEqual(summary, { totalSteps: 3, completedSteps: 1, failedSteps: 1, skippedSteps: 1 });
    assert.deepEqual(
      listed.map((step) => [step.status, step.code]),
      [
        ["completed", undefined],
        ["failed", "EXIT_CODE"],
        ["skipped", undefined],
      ],
    );
    assert.equal(existsSync(join(lab.work, "made")), false);
    const [report] = lab.actions.reports(null);
    assert.deepEqual(
      report?.workflow?.steps.map((step) => step.status),
      ["completed", "failed", "skipped"],
    );
    assert.equal(lab.hostActions().filter(({ event }) => event === "step").length, 3);
  });

  it("go on after a failed step that says so, and are ok then", async () => {
    await using lab = await FlowLab.open();
    const steps = [
      { id: "a", args: ["fail"], onError: "continue" },
      { id: "b", args: ["touch", "made"] },
    ];
    const response = await lab.perform(workflow(lab, steps));
    assert.ok(response.ok, JSON.stringify(response));
    assert.equal((response.result as { status: string }).status, "partial");
    assert.ok(existsSync(join(lab.work, "made")));
  });
});
