import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type DoorwardClient } from "@doorward/client";
import { DoorwardError, type EvidencePredicate } from "@doorward/contracts";
import {
  approve,
  ask,
  CAPABILITIES,
  codeOf,
  CONFIRM_SECONDS,
  execRequest,
  openActionLab,
  pendingOf,
  recorded,
  workflowRequest,
  writeRequest,
  type ActionLab,
} from "../support/action-lab.ts";

type HostActionRecord = EvidencePredicate<"host-action">;

/** Whatever a call is refused with. */
async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "allowed",
    (error: unknown) => (error instanceof DoorwardError ? error.code : String(error)),
  );
}

describe("no write without a confirmation given on the host", { timeout: 600_000 }, () => {
  let actions: ActionLab;
  let operator: DoorwardClient;
  let port: number;
  let count = 0;

  before(async () => {
    actions = await openActionLab();
    await actions.lab.up(actions.lab.repo("shop"));
    operator = actions.lab.client();
    port = await actions.lab.tcpPort();
  });
  after(async () => {
    await operator[Symbol.asyncDispose]();
    await actions[Symbol.asyncDispose]();
  });

  const fresh = (): string => join(actions.notes, `file-${(count += 1)}`);

  async function mint(subject = "agent:test:1", capabilities = CAPABILITIES) {
    const body = { machine: "shop", subject, operations: ["terminal.exec"], capabilities, for: "1h" };
    return await operator.call("grants.create", { body: body as never });
  }
  const overTcp = (token: string): DoorwardClient => connect({ url: `http://127.0.0.1:${port}`, token });
  const overSocket = (token: string): DoorwardClient => connect({ url: `unix:${actions.lab.socket}`, token });

  for (const [door, open] of [
    ["over TCP", overTcp],
    ["over the bridge's own socket", overSocket],
  ] as const) {
    it(`a token ${door} asks, and can neither see nor answer the question`, async () => {
      const path = fresh();
      const { token } = await mint();
      await using holder = open(token);
      const asked = ask(holder, writeRequest(path, "x"));
      const approval = await asked.waiting;
      const { digest } = await pendingOf(operator, approval);
      const given = { params: { approval }, body: { digest } };
      assert.equal(await refusal(holder.call("approvals.approve", given)), "OPERATOR_ONLY");
      assert.equal(await refusal(holder.call("approvals.list", {})), "OPERATOR_ONLY");
      assert.equal(
        await refusal(holder.call("approvals.deny", { params: { approval }, body: {} })),
        "OPERATOR_ONLY",
      );
      assert.equal(existsSync(path), false);
      await operator.call("approvals.deny", { params: { approval }, body: {} });
      assert.equal(codeOf(await asked.done), "CANCELLED");
      assert.equal(existsSync(path), false);
    });

    it(`the command ${door} with a token can't approve what it asked for`, async () => {
      const { token } = await mint();
      await using holder = overTcp(token);
      const asked = ask(holder, writeRequest(fresh(), "x"));
      const approval = await asked.waiting;
      const url = open === overTcp ? `http://127.0.0.1:${port}` : `unix:${actions.lab.socket}`;
      const env = { DOORWARD_TOKEN: token, DOORWARD_URL: url };
      for (const words of [["approve", approval, "--yes"], ["ls"], ["deny", approval]])
        assert.equal((await actions.lab.run(["action", ...words], { env })).code, 3, words.join(" "));
      assert.equal((await pendingOf(operator, approval)).id, approval);
      await operator.call("approvals.deny", { params: { approval }, body: {} });
      assert.equal(codeOf(await asked.done), "CANCELLED");
    });
  }

  it("without a token there is nothing over TCP", async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/actions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(writeRequest(fresh(), "x")),
    });
    assert.equal(response.status, 401);
  });

  it("the operator's own command without a terminal waits, whatever its standard input says", async () => {
    const path = fresh();
    const file = join(actions.lab.root, "request.json");
    writeFileSync(file, JSON.stringify(writeRequest(path, "x")));
    const ran = actions.lab.run(["action", "run", file], { input: "y\nyes\ny\n" });
    await actions.lab.until("it waits", async () => (await waiting()).length > 0);
    const [pending] = await waiting();
    assert.equal(existsSync(path), false);
    await operator.call("approvals.deny", { params: { approval: pending ?? "" }, body: { reason: "no" } });
    const { code, stdout } = await ran;
    assert.equal(code, 3, stdout);
    assert.match(stdout, /CANCELLED/);
    assert.equal(existsSync(path), false);
  });

  it("capabilities bound a grant, and a narrowed one has no more than its parent", async () => {
    const path = fresh();
    const parent = await mint();
    await using holder = overTcp(parent.token);
    const params = { grant: parent.grant.grantId };
    const child = await holder.call("grants.narrow", {
      params,
      body: { capabilities: ["system.fs.scope.notes"] },
    });
    await using narrowed = overTcp(child.token);
    assert.equal(
      codeOf(await narrowed.call("actions.run", { body: writeRequest(path, "x") })),
      "CAPABILITY_DENIED",
    );
    const wider = { capabilities: [...CAPABILITIES] };
    const again = narrowed.call("grants.narrow", { params: { grant: child.grant.grantId }, body: wider });
    assert.equal(await refusal(again), "GRANT_TOO_WIDE");
    const bare = await mint("agent:test:2", ["system.fs.scope.notes", "system.process.scope.tool"]);
    await using poor = overTcp(bare.token);
    for (const body of [
      writeRequest(path, "x"),
      writeRequest(path, "x", { dryRun: true }),
      writeRequest(join(actions.free, "x"), "x", {}, "free"),
      execRequest(actions, ["touch", "x"]),
      workflowRequest(actions, ["touch", "x"]),
    ])
      assert.equal(codeOf(await poor.call("actions.run", { body })), "CAPABILITY_DENIED");
    assert.equal(existsSync(path), false);
    assert.deepEqual(await waiting(), []);
  });

  it("unknown and aliased capabilities, and those no rule allows, are refused when the grant is made", async () => {
    for (const name of [
      "system.host.write",
      "system.hosts.*",
      "system.fs.mutate",
      "system.workflow.run",
      "SYSTEM.HOSTS.WRITE",
    ])
      assert.equal(await refusal(mint("agent:test:3", [name])), "INPUT_INVALID", name);
    assert.equal(await refusal(mint("agent:test:3", ["system.clipboard.write"])), "GRANT_TOO_WIDE");
  });

  it("a command inside a machine finds no way to the bridge", async () => {
    const { lab } = actions;
    const tries = [
      `exec 3<>/dev/tcp/127.0.0.1/${port}`,
      `exec 3<>/dev/tcp/10.0.2.2/${port}`,
      `exec 3<>/dev/tcp/host.containers.internal/${port}`,
      `exec 3<>/dev/tcp/host.docker.internal/${port}`,
    ];
    for (const line of tries) {
      const ran = await lab.exec("shop", ["bash", "-c", `${line} && echo open`]);
      assert.doesNotMatch(ran.stdout, /open/, line);
    }
    const found = await lab.sh(
      "shop",
      `test -e ${lab.socket} && echo there; command -v doorward; env | grep DOORWARD_TOKEN`,
    );
    assert.equal(found.stdout, "");
    assert.equal((await lab.sh("shop", `test -e ${actions.notes} && echo there`)).stdout, "");
  });

  it("an approval is good once, for its own request", async () => {
    const [first, second] = [fresh(), fresh()];
    const one = ask(operator, writeRequest(first, "x"));
    const two = ask(operator, writeRequest(second, "x"));
    const [a, b] = [await one.waiting, await two.waiting];
    const { digest } = await pendingOf(operator, a);
    const swapped = operator.call("approvals.approve", { params: { approval: b }, body: { digest } });
    assert.equal(await refusal(swapped), "APPROVAL_CHANGED");
    await operator.call("approvals.approve", { params: { approval: a }, body: { digest } });
    assert.equal(codeOf(await one.done), "done");
    assert.equal(readFileSync(first, "utf8"), "x");
    const replayed = operator.call("approvals.approve", { params: { approval: a }, body: { digest } });
    assert.equal(await refusal(replayed), "APPROVAL_NOT_FOUND");
    await operator.call("approvals.deny", { params: { approval: b }, body: {} });
    assert.equal(codeOf(await two.done), "CANCELLED");
    assert.equal(existsSync(second), false);
    const again = ask(operator, writeRequest(first, "x"));
    await operator.call("approvals.deny", { params: { approval: await again.waiting }, body: {} });
    assert.equal(codeOf(await again.done), "CANCELLED");
  });

  it("what changed after it was shown does not run: the file, the program", async () => {
    const path = fresh();
    writeFileSync(path, "old");
    const edit = ask(operator, writeRequest(path, "new"));
    const shown = await edit.waiting;
    writeFileSync(path, "other");
    await approve(operator, shown);
    assert.equal(codeOf(await edit.done), "CANCELLED");
    assert.equal(readFileSync(path, "utf8"), "other");

    const run = ask(operator, execRequest(actions, ["touch", "swapped"]));
    const asked = await run.waiting;
    const text = readFileSync(actions.program, "utf8");
    writeFileSync(actions.program, `${text}\n# changed\n`);
    await approve(operator, asked);
    assert.equal(codeOf(await run.done), "CANCELLED");
    writeFileSync(actions.program, text);
    assert.equal(existsSync(join(actions.work, "swapped")), false);
  });

  it("another text of its scope in the policy withdraws a question, and of another scope does not", async () => {
    const path = fresh();
    const late = ask(operator, writeRequest(path, "new"));
    const other = ask(operator, execRequest(actions, ["touch", "other"]));
    const params = { approval: await late.waiting };
    const kept = await other.waiting;
    actions.repolicy((policy) => policy.replace("{ id: notes,", "{ id: notes, maxFileBytes: 4096,"));
    const response = await late.done;
    assert.equal(codeOf(response), "CANCELLED");
    assert.match(response.ok ? "" : response.error, /its scope was changed in the policy/);
    assert.deepEqual(await waiting(), [kept]);
    const body = { digest: `sha256:${"0".repeat(64)}` };
    assert.equal(await refusal(operator.call("approvals.approve", { params, body })), "APPROVAL_NOT_FOUND");
    assert.equal(existsSync(path), false);
    await approve(operator, kept);
    assert.equal(codeOf(await other.done), "done");
  });

  it("an approval for a time covers this asker, this grant and this very request alone", async () => {
    const { token } = await mint();
    await using holder = overTcp(token);
    const request = workflowRequest(actions, ["touch", "a"]);
    const first = ask(holder, request);
    await approve(operator, await first.waiting, "10m");
    assert.equal(codeOf(await first.done), "done");
    const same = ask(holder, request);
    assert.equal(codeOf(await same.done), "done");
    assert.deepEqual(
      same.events.filter(({ kind }) => kind === "waiting"),
      [],
    );

    const other = await mint("agent:test:2");
    const second = await mint();
    await using stranger = overTcp(other.token);
    await using sameSubject = overTcp(second.token);
    const smuggled = workflowRequest(actions, ["touch", "a"], ["touch", "b"]);
    for (const [client, body] of [
      [stranger, request],
      [sameSubject, request],
      [operator, request],
      [holder, smuggled],
      [holder, workflowRequest(actions, ["touch", "c"])],
      [holder, execRequest(actions, ["touch", "c"])],
    ] as const) {
      const asked = ask(client, body);
      await operator.call("approvals.deny", { params: { approval: await asked.waiting }, body: {} });
      assert.equal(codeOf(await asked.done), "CANCELLED");
    }
    for (const name of ["b", "c"]) assert.equal(existsSync(join(actions.work, name)), false);
  });

  it("a dry run asks nobody, does nothing, and opens nothing for what is no dry run", async () => {
    const path = fresh();
    const correlationId = "same-1";
    const dry = await operator.call("actions.run", {
      body: { correlationId, request: writeRequest(path, "x", { dryRun: true }) },
    });
    assert.ok(dry.ok);
    assert.equal(existsSync(path), false);
    assert.deepEqual(await waiting(), []);
    const real = ask(operator, { correlationId, request: writeRequest(path, "x", { dryRun: false }) });
    await operator.call("approvals.deny", { params: { approval: await real.waiting }, body: {} });
    assert.equal(codeOf(await real.done), "CANCELLED");
    assert.equal(existsSync(path), false);
  });

  it("only the policy's own line for a scope lets it write unasked, and the record says so", async () => {
    const path = join(actions.free, "a");
    const { token } = await mint();
    await using holder = overTcp(token);
    assert.equal(
      codeOf(await holder.call("actions.run", { body: writeRequest(path, "x", {}, "free") })),
      "done",
    );
    assert.equal(readFileSync(path, "utf8"), "x");
    const [record] = await recorded<HostActionRecord>(operator, "host-action");
    assert.deepEqual([record?.confirmation, record?.outcome], ["policy", "succeeded"]);
    const outside = { body: writeRequest(fresh(), "x", {}, "free") };
    assert.equal(codeOf(await holder.call("actions.run", outside)), "SCOPE_VIOLATION");
  });

  it("an end of the grant ends its question", async () => {
    const path = fresh();
    const minted = await mint();
    await using holder = overTcp(minted.token);
    const asked = ask(holder, writeRequest(path, "x"));
    const approval = await asked.waiting;
    await operator.call("grants.revoke", { params: { grant: minted.grant.grantId }, body: {} });
    await actions.lab.until("nothing waits", async () => !(await waiting()).includes(approval));
    await asked.done.catch(() => undefined);
    assert.equal(existsSync(path), false);
  });

  it("approved in another process, the file is written, and the record has intent, decision and outcome", async () => {
    const path = fresh();
    const file = join(actions.lab.root, "write.json");
    const correlationId = "from-a-file-1";
    writeFileSync(file, JSON.stringify({ correlationId, request: writeRequest(path, "written text") }));
    const ran = actions.lab.run(["action", "run", file]);
    await actions.lab.until("it waits", async () => (await waiting()).length > 0);
    const [id = ""] = await waiting();
    const approved = await actions.lab.run(["action", "approve", id]);
    assert.equal(approved.code, 0, approved.stderr);
    assert.match(approved.stderr, /written text/, "it shows what it approves");
    assert.equal((await ran).code, 0);
    assert.equal(readFileSync(path, "utf8"), "written text");
    const mine = (await recorded<HostActionRecord>(operator, "host-action")).filter(
      (record) => record.correlationId === correlationId,
    );
    assert.deepEqual(mine.map(({ event, outcome, approval }) => [event, outcome, approval]).reverse(), [
      ["began", "pending", id],
      ["ended", "succeeded", id],
    ]);
    const decided = (await recorded<EvidencePredicate<"approval">>(operator, "approval")).filter(
      (record) => record.correlationId === correlationId,
    );
    assert.deepEqual(
      decided.map(({ approval, decision, where }) => [approval, decision, where]),
      [[id, "approved", "command"]],
    );
  });

  for (const [key, code, content] of [
    ["n\r", 3, null],
    ["\r", 3, null],
    ["y\r", 0, "typed"],
  ] as const) {
    it(`on a terminal ${JSON.stringify(key)} is ${content === null ? "no" : "yes"}`, async () => {
      const path = fresh();
      const file = join(actions.lab.root, `typed-${count}.json`);
      writeFileSync(file, JSON.stringify(writeRequest(path, "typed")));
      const screen = actions.lab.screen(["action", "run", file]);
      await screen.see("[y/N]");
      assert.match(screen.text, /typed/, "the effect is shown first");
      screen.type(key);
      assert.equal(await screen.ended, code, screen.text);
      assert.equal(existsSync(path) ? readFileSync(path, "utf8") : null, content);
    });
  }

  it("what nobody answers in the policy's time is refused, and nothing is done", async () => {
    const { hash } = await operator.call("policy.show", {});
    actions.repolicy((text) => text.replace(`confirmSeconds: ${CONFIRM_SECONDS}`, "confirmSeconds: 5"));
    const read = async (): Promise<boolean> => (await operator.call("policy.show", {})).hash !== hash;
    await actions.lab.until("the policy is read", read);
    const path = fresh();
    const asked = ask(operator, writeRequest(path, "x"));
    const approval = await asked.waiting;
    assert.equal(codeOf(await asked.done), "CANCELLED");
    assert.equal(existsSync(path), false);
    const params = { approval };
    const body = { digest: `sha256:${"0".repeat(64)}` };
    assert.equal(await refusal(operator.call("approvals.approve", { params, body })), "APPROVAL_NOT_FOUND");
    assert.equal((await recorded<HostActionRecord>(operator, "host-action"))[0]?.confirmation, "expired");
  });

  async function waiting(): Promise<string[]> {
    const { approvals } = await operator.call("approvals.list", {});
    return approvals.map(({ id }) => id);
  }
});
