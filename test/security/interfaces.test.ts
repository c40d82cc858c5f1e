import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "@doorward/client";
import { DoorwardError } from "@doorward/contracts";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { WebSocket } from "ws";
import {
  agentToolDocument,
  interfaceDocument,
  writeDocument,
} from "../../packages/bridge/test/interfaces-lab.ts";
import { AgentClient } from "../support/agent-client.ts";
import { openLab, type Lab } from "../support/lab.ts";

const ALL = ["terminal.attach", "terminal.observe", "terminal.input", "terminal.exec", "terminal.agent-exec"];

describe("documents of the operator against a running bridge", { timeout: 600_000 }, () => {
  let lab: Lab;
  let machine: string;

  before(async () => {
    lab = await openLab();
    machine = await lab.up(lab.repo("shop", { "README.md": "hello\n", ".env": "TOKEN=1\n" }));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const configDir = (): string => join(lab.home, "config");

  /** Puts an interface profile for a door of the default profile in force. */
  async function narrow(
    allowedOperations: readonly string[],
    transportMode = "loopback-websocket",
    kind = "terminal",
  ) {
    const over = { interfaceKind: kind, doorRef: `urn:srcos:${kind}-door:default`, transportMode };
    writeDocument(configDir(), "terminal.json", interfaceDocument({ ...over, allowedOperations }));
    await reload();
  }

  /** Puts an agent-tool door of the default profile in force. */
  async function put(over: Readonly<Record<string, unknown>>): Promise<void> {
    writeDocument(configDir(), "tools.json", agentToolDocument(over));
    await reload();
  }

  async function widen(): Promise<void> {
    rmSync(join(configDir(), "interfaces"), { recursive: true, force: true });
    await reload();
  }

  async function reload(): Promise<void> {
    await using client = lab.client();
    await client.call("policy.reload", {});
  }

  const remote = async (token: string) =>
    connect({ url: `http://127.0.0.1:${String(await lab.tcpPort())}`, token });

  /** Opens a door on the bridge's own socket with a token, as no client of ours does; answers what came of it. */
  function near(token: string, segment: "terminal" | "exec", hello: object): Promise<string> {
    return new Promise((resolve) => {
      const socket = new WebSocket(
        `ws+unix:${lab.socket}:/v1/machines/${machine}/doors/${segment}`,
        [`doorward.${segment}.v1`],
        { headers: { authorization: `Bearer ${token}`, host: "localhost" } },
      );
      socket.on("error", () => undefined);
      socket.once("unexpected-response", (_request, response) => resolve(String(response.statusCode)));
      socket.once("open", () => socket.send(JSON.stringify(hello)));
      socket.on("message", (data: Buffer, isBinary) => {
        if (!isBinary && /"type":"exit"/.test(data.toString())) resolve("exit");
      });
      socket.once("close", (_code, reason: Buffer) => resolve(reason.toString()));
    });
  }

  async function codeOf(work: Promise<unknown>): Promise<string> {
    return await work.then(
      () => "done",
      (error: unknown) => (error instanceof DoorwardError ? error.code : String(error)),
    );
  }

  it("an operation outside the interface profile is granted to nobody, and used by nobody over either way", async () => {
    await narrow(["terminal.agent-exec"]);
    assert.equal(await codeOf(lab.grant(machine, ["terminal.exec"])), "GRANT_TOO_WIDE");
    assert.equal(await codeOf(lab.grant(machine, ["terminal.exec"], "1h", "operator:ada")), "GRANT_TOO_WIDE");
    assert.equal(await codeOf(lab.exec(machine, ["true"])), "DOOR_NOT_OFFERED", "the operator's own command");
    const { token } = await lab.grant(machine, ["terminal.agent-exec"]);
    await using client = await remote(token);
    assert.equal((await client.exec(machine, ["true"])).code, 0);
    const terminal = { id: "t_00000000000000000000" };
    assert.equal(
      await codeOf(client.attachTerminal(machine, { terminal: terminal.id, data: () => undefined })),
      "OPERATION_NOT_GRANTED",
    );
    assert.equal(await near(token, "exec", { type: "exec", argv: ["true"] }), "exit");
    assert.equal(await near(token, "terminal", { type: "hello", mode: "attach", terminal }), "403");
    await widen();
    assert.equal((await lab.exec(machine, ["true"])).code, 0);
  });

  it("an interface profile that narrows cuts live sessions that hold more, the operator's own too", async () => {
    const { token } = await lab.grant(machine, ["terminal.exec", "terminal.agent-exec"]);
    await using agent = await remote(token);
    await using operator = lab.client();
    const running = [
      codeOf(agent.exec(machine, ["sleep", "60"])),
      codeOf(operator.exec(machine, ["sleep", "60"])),
    ];
    await lab.until("both run", async () => {
      await using client = lab.client();
      return (await client.call("bridge.status", {})).sockets === 2;
    });
    await narrow(["terminal.attach"]);
    assert.deepEqual(await Promise.all(running), ["GRANT_REVOKED", "GRANT_REVOKED"]);
    // A grant that ends is stored, then cuts what is open, then is recorded.
    await lab.until("the end is recorded", async () =>
      /secure-host-interface:test/.test((await lab.records("grant-revoked"))[0]?.summary ?? ""),
    );
    await widen();
  });

  it("a door whose transport is the socket alone refuses tokens over TCP, and cuts who came that way", async () => {
    const { token } = await lab.grant(machine, ["terminal.agent-exec"]);
    await using far = await remote(token);
    const running = codeOf(far.exec(machine, ["sleep", "60"]));
    await lab.until("it runs", async () => {
      await using client = lab.client();
      return (await client.call("bridge.status", {})).sockets === 1;
    });
    await narrow(ALL, "unix-socket");
    assert.equal(await running, "POLICY_DENIED");
    assert.equal(await codeOf(far.exec(machine, ["true"])), "POLICY_DENIED");
    assert.equal(await near(token, "exec", { type: "exec", argv: ["true"] }), "exit");
    const [denial] = await lab.records("denial");
    assert.match(denial?.summary ?? "", /POLICY_DENIED|transport/);
    await widen();
  });

  it("agent tools whose transport is the socket alone refuse tokens over TCP, and cut who came that way", async () => {
    const operations = ["agent-tool.list", "agent-tool.read", "agent-tool.exec"];
    const body = { machine, subject: "operator:ada", operations, for: "1h" };
    await using operator = lab.client();
    const { token, grant } = await operator.call("grants.create", { body: body as never });
    await using far = await remote(token);
    await using agent = await AgentClient.open(far, machine);
    assert.equal((await agent.answer("run_command", { command: "true" }))["exit_code"], 0);
    const url = `http://127.0.0.1:${String(await lab.tcpPort())}/v1/machines/${machine}/doors/agent-tool/mcp`;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const overHttp = async (): Promise<string> => {
      const answer = await fetch(url, { method: "POST", headers, body: "{}" });
      return `${String(answer.status)} ${((await answer.json()) as { code?: string }).code ?? ""}`;
    };
    assert.doesNotMatch(await overHttp(), /POLICY_DENIED/);
    const running = agent.call("run_command", { command: "sleep 60" }).then(
      () => "answered",
      () => "cut",
    );
    await lab.until("it is asked", async () => (await operator.call("bridge.status", {})).sockets >= 1);
    await narrow(operations, "unix-socket", "agent-tool");
    assert.equal(await running, "cut");
    assert.equal(await overHttp(), "403 POLICY_DENIED");
    assert.equal(await codeOf(AgentClient.open(far, machine)), "POLICY_DENIED");
    const { status } = await operator.call("grants.get", { params: { grant: grant.grantId } });
    assert.equal(status, "active", "the grant is as good as before on the bridge's own socket");
    const terminal = await lab.grant(machine, ["terminal.agent-exec"]);
    await using beside = await remote(terminal.token);
    assert.equal((await beside.exec(machine, ["true"])).code, 0, "another door has a transport of its own");
    await narrow(["agent-tool.list", "agent-tool.read"], "loopback-http", "agent-tool");
    const ended = await operator.call("grants.get", { params: { grant: grant.grantId } });
    assert.match(ended.revokedReason ?? "", /secure-host-interface:test|agent-tool\.exec/);
    await widen();
  });

  it("an agent-tool door that narrows cuts the grants that hold what it does not offer any more", async () => {
    const tools = async (operations: readonly string[], named?: readonly string[]) => {
      await using client = lab.client();
      const body = {
        machine,
        subject: "operator:ada",
        operations,
        for: "1h",
        ...(named && { tools: named }),
      };
      return (await client.call("grants.create", { body: body as never })).grant.grantId;
    };
    const ended = async (id: string): Promise<string> => {
      await using client = lab.client();
      const { status, revokedReason } = await client.call("grants.get", { params: { grant: id } });
      return `${status}: ${revokedReason ?? ""}`;
    };
    const reader = await tools(["agent-tool.read"]);
    const runner = await tools(["agent-tool.read", "agent-tool.exec"]);
    const differ = await tools(["agent-tool.read"], ["git_diff"]);
    await put({ allowedOperations: ["agent-tool.list", "agent-tool.read"] });
    assert.match(await ended(runner), /^revoked: .*"agent-tool\.exec"/);
    assert.match(await ended(differ), /^active/);
    await put({ toolAllowances: [{ toolId: "local-shell", tools: ["read_file"] }] });
    assert.match(await ended(differ), /^revoked: agent-tool\.toolAllowances: .*"git_diff"/);
    assert.match(await ended(reader), /^active/, "which tools it may call is judged at each call");
    assert.equal(await codeOf(tools(["agent-tool.read"], ["git_diff"])), "GRANT_TOO_WIDE");
    await put({ toolIds: ["codex"] });
    assert.match(await ended(reader), /^revoked: agent-tool\.toolIds: .*"local-shell" is none of codex/);
    assert.equal(await codeOf(tools(["agent-tool.read"])), "GRANT_TOO_WIDE");
    await put({ registryGrantRefs: [{ toolId: "codex", grantRef: "grant://example/codex" }] });
    assert.equal(await codeOf(tools(["agent-tool.read"])), "GRANT_TOO_WIDE");
    assert.equal(await codeOf(put({ allowedOperations: ["agent-tool.plugin"] })), "DOOR_NOT_BUILT");
    await widen();
    assert.match(await ended(await tools(["agent-tool.exec"])), /^active/);
  });

  it("a changed agent-tool door leaves a machine as it runs; launched again, it has the door of now", async () => {
    const view = async () => {
      await using client = lab.client();
      const { machines } = await client.call("machines.list", {});
      const found = machines.find(({ name }) => name === machine);
      assert.ok(found !== undefined);
      return found;
    };
    const before = await view();
    await put({ hostMutationPolicy: "deny" });
    assert.equal(await lab.up(join(lab.sources, "shop")), machine, "no other machine is made for it");
    assert.deepEqual([await view()], [before]);
    for (const command of ["stop", "start"]) assert.equal((await lab.run([command, machine])).code, 0);
    assert.notEqual((await view()).fingerprint, before.fingerprint);
    const diff = await lab.run(["evidence", "show", "--diff", machine]);
    assert.match(diff.stdout, /profile\.doors\.agent-tool\.hostMutationPolicy.*approval-required.*deny/);
    await widen();
  });

  it("grant create and narrow name tools, and refuse those that do not fit", async () => {
    const create = (...args: readonly string[]) =>
      lab.run(["grant", "create", machine, "--to", "operator:ada", "--for", "1h", "--json", ...args]);
    const made = await create("--tool", "read_file,git_diff");
    assert.equal(made.code, 0, made.stderr);
    const { grant } = JSON.parse(made.stdout) as {
      grant: { grantId: string; operations: string[]; tools: string[] };
    };
    assert.deepEqual(grant.operations, ["agent-tool.list", "agent-tool.read"]);
    assert.deepEqual(grant.tools, ["read_file", "git_diff"]);
    const narrow = async (tool: string) => await lab.run(["grant", "narrow", grant.grantId, "--tool", tool]);
    assert.match((await narrow("read_file")).stdout, /tools +read_file\n/);
    const wider = await narrow("find_files");
    assert.deepEqual([wider.code, /GRANT_TOO_WIDE|not within its parent/.test(wider.stderr)], [3, true]);
    const refusals = [
      [["--tool", "rm"], 2],
      [["--tool", "run_command", "--op", "agent-tool.read"], 2],
      [["--tool", "read_file", "--op", "agent-tool.read,agent-tool.exec"], 2],
      [["--tool", "read_file", "--door", "terminal"], 2],
      [["--tool", "run_command", "--path", join(lab.sources, "shop", ".git")], 3],
    ] as const;
    for (const [args, code] of refusals) assert.equal((await create(...args)).code, code, args.join(" "));
  });

  it("a bad document leaves the last good policy in force, and the bridge says so", async () => {
    await narrow(["terminal.exec"]);
    writeFileSync(join(lab.home, "config", "interfaces", "b.json"), '{"type":"BrowserDoor"}', {
      mode: 0o600,
    });
    assert.equal(await codeOf(reload()), "DOOR_NOT_BUILT");
    await using client = lab.client();
    const { problems } = await client.call("bridge.status", {});
    assert.match(problems.join("\n"), /b\.json": 1:2: type: this build has no door for "BrowserDoor"/);
    assert.equal(await codeOf(lab.grant(machine, ["terminal.agent-exec"])), "GRANT_TOO_WIDE");
    await widen();
  });

  it("contracts ls and show name the documents in force, and those are valid by the published schemas", async () => {
    await narrow(["terminal.exec"], "unix-socket");
    const listed = await lab.json<{
      contracts: { id: string; type: string; source: string; document: object }[];
    }>(["contracts", "ls"]);
    assert.deepEqual(
      listed.contracts.map(({ type, source }) => `${type} ${source}`),
      [
        "AgentMachineProfile derived",
        "TerminalDoor derived",
        "AgentToolDoor derived",
        "SecureHostInterfaceProfile file",
        "SecureHostInterfaceProfile derived",
      ],
    );
    const files = listed.contracts.map(({ document }, at) => {
      const path = join(lab.root, `contract-${at}.json`);
      writeFileSync(path, JSON.stringify(document));
      return path;
    });
    assert.equal((await lab.run(["contracts", "validate", ...files])).code, 0);
    const shown = await lab.run(["contracts", "show", "SecureHostInterfaceProfile", "default"]);
    assert.match(shown.stdout, /"transportMode": "unix-socket"/);
    const tools = await lab.run(["contracts", "show", "AgentToolDoor"]);
    assert.match(tools.stdout, /"hostMutationPolicy": "approval-required"/);
    assert.equal((await lab.run(["contracts", "show", "urn:srcos:terminal-door:gone"])).code, 4);
    await widen();
  });

  it("grants, fingerprints, records and views of a running bridge are valid by the published schemas", async () => {
    await using client = lab.client();
    const body = { machine, subject: "operator:ada", operations: ["agent-tool.read"], for: "1h" };
    const { grant } = await client.call("grants.create", { body: body as never });
    const view = await client.call("grants.get", { params: { grant: grant.grantId } });
    const { machines } = await client.call("machines.list", {});
    const launched = machines.find(({ name }) => name === machine);
    const index = String(launched?.evidence);
    const shown = await lab.json<{ statement: { predicate: { fingerprint: object } }; envelope: object }>([
      "evidence",
      "show",
      index,
    ]);
    const { statement, envelope } = shown;
    const emitted: readonly [type: string, document: unknown][] = [
      ["HostInterfaceGrant", grant],
      ["GrantView", view],
      ["MachineView", launched],
      ["EvidenceStatement", statement],
      ["EvidenceEnvelope", envelope],
      ["AgentMachineFingerprint", statement.predicate.fingerprint],
    ];
    for (const [type, document] of emitted) {
      const path = join(lab.root, `emitted-${type}.json`);
      writeFileSync(path, JSON.stringify(document));
      const judged = await lab.run(["contracts", "validate", path, "--type", type]);
      assert.equal(judged.code, 0, judged.stdout);
      writeFileSync(path, JSON.stringify({ ...(document as object), sudo: true }));
      const refused = await lab.run(["contracts", "validate", path, "--type", type]);
      assert.deepEqual([refused.code, /\/sudo: /.test(refused.stdout)], [1, true], refused.stdout);
    }
  });

  it("the launch left mount evidence that AgentPlane's published schema accepts, and its record names", async () => {
    const printed = await lab.run(["inspect", machine, "--mount-evidence", "--json"]);
    assert.equal(printed.code, 0, printed.stderr);
    const document = JSON.parse(printed.stdout) as Record<string, unknown>;
    const schema = JSON.parse(
      readFileSync(
        new URL("../../packages/contracts/schemas/AgentMachineMountEvidence.json", import.meta.url),
        "utf8",
      ),
    ) as object;
    const ajv = new Ajv2020({ strict: true });
    addFormats.default(ajv);
    assert.ok(ajv.validate(schema, document), JSON.stringify(ajv.errors));
    const mounts = document["mounts"] as { agentPath: string; contentHash?: string }[];
    assert.ok(mounts.some(({ agentPath }) => agentPath === "/workspace/shop"));
    const digested = mounts.filter(({ contentHash }) => contentHash !== undefined);
    assert.deepEqual(
      digested.map(({ agentPath }) => agentPath),
      ["/opt/dw"],
      "no digest is said of what it is not of",
    );
    assert.equal(document["storageBackend"], "native-bind");
    assert.doesNotMatch(printed.stdout, new RegExp(join(lab.root, "user")), "the home folder is redacted");
    const denied = document["deniedAttempts"] as { pathRef: string; severity: string }[];
    assert.deepEqual(
      denied.map(({ pathRef, severity }) => `${severity} ${pathRef}`),
      ["warn /workspace/shop/.env"],
    );
  });

  it("mount evidence is part of an export, and a changed one is found", async () => {
    const { evidence } = await lab.machine(machine);
    const record = await lab.json<{
      statement: { predicate: { mountEvidence: { digest: string; path: string } } };
    }>(["evidence", "show", String(evidence)]);
    const { path } = record.statement.predicate.mountEvidence;
    const out = join(lab.root, "bundle");
    assert.equal((await lab.run(["evidence", "export", out])).code, 0);
    assert.match(readFileSync(join(out, path), "utf8"), /AgentMachineMountEvidence/);
    assert.ok(readdirSync(join(out, "referenced")).length > 0);
    writeFileSync(join(lab.evidence, path), '{"kind":"AgentMachineMountEvidence"}');
    const ran = await lab.run(["inspect", machine, "--mount-evidence"]);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /not what the launch record says/);
  });
});
