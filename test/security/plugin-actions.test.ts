import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError, ROUTES, type EvidencePredicate, type MintedGrant } from "@doorward/contracts";
import type { PrivilegedActionResponse } from "@doorward/plugin-sdk";
import { approve, pendingOf, recorded, writeRequest } from "../support/action-lab.ts";
import {
  noPluginLab,
  openPluginLab,
  ownHosts,
  PLUGIN_CAPABILITIES,
  type PluginLab,
} from "../support/plugin-lab.ts";
import { ACT_NAMES, asNobody, bundlePlugin, PluginProcess, type ActName } from "../support/plugin-process.ts";

type HostActionRecord = EvidencePredicate<"host-action">;

const PLUGIN = "plugin:acme.tool";

/** The capability that each action can't be done without. */
const NEEDED: Readonly<Record<ActName, readonly string[]>> = {
  clipboardWrite: ["system.clipboard.write"],
  clipboardRead: ["system.clipboard.read"],
  hosts: ["system.hosts.write"],
  files: ["system.hosts.write", "system.fs.scope.notes"],
  process: ["system.process.exec", "system.process.scope.tool"],
  workflow: ["system.process.exec", "system.process.scope.tool"],
};

describe(
  "a plugin in a process of its own, with the SDK as it is published",
  { skip: noPluginLab, timeout: 600_000 },
  () => {
    let opened: PluginLab;
    let operator: DoorwardClient;
    let program: string;
    let url: string;
    let count = 0;

    before(async () => {
      opened = await openPluginLab();
      const { lab } = opened.actions;
      await lab.up(lab.repo("shop"));
      await lab.up(lab.repo("other"));
      operator = lab.client();
      url = `http://127.0.0.1:${String(await lab.tcpPort())}`;
      program = await bundlePlugin(lab.root);
    });
    after(async () => {
      await operator[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
    });

    async function mint(
      capabilities: readonly string[] = PLUGIN_CAPABILITIES,
      { subject = PLUGIN, machine = "shop", time = "1h" } = {},
    ): Promise<MintedGrant> {
      const body = { machine, subject, operations: ["terminal.observe"], capabilities, for: time };
      return await operator.call("grants.create", { body: body as never });
    }

    const startWith = (token: string): PluginProcess => new PluginProcess(program, { url, token });

    function input(dryRun = false) {
      const text = `made-${String((count += 1))}`;
      const { notes, program: tool } = opened.actions;
      return { text, path: join(notes, text), program: tool, dryRun };
    }

    async function waiting(): Promise<string[]> {
      return (await operator.call("approvals.list", {})).approvals.map(({ id }) => id);
    }

    async function firstWaiting(): Promise<string> {
      await opened.actions.lab.until("it waits", async () => (await waiting()).length > 0);
      return (await waiting())[0] ?? "";
    }

    async function recordsOf(correlationId: string): Promise<HostActionRecord[]> {
      const all = await recorded<HostActionRecord>(operator, "host-action", 40);
      return all.filter((record) => record.correlationId.startsWith(correlationId));
    }

    it("does all six actions, each after an approval on the host; records name the plugin", async () => {
      const before = ownHosts();
      const { token } = await mint();
      await using plugin = startWith(token);
      const results = new Map<ActName, unknown>();
      const inputs = new Map(ACT_NAMES.map((name) => [name, input()]));
      for (const [name, given] of inputs) {
        const done = plugin.act(name, given, `six-${name}`);
        const id = await firstWaiting();
        assert.equal((await pendingOf(operator, id)).requestedBy, PLUGIN);
        await approve(operator, id);
        const response = await done;
        assert.ok(response.ok, `${name}: ${JSON.stringify(response)}`);
        results.set(name, response.result);
      }
      const { actions, hostsFile } = opened;
      const textOf = (name: ActName): string => inputs.get(name)?.text ?? "";
      assert.deepEqual(results.get("clipboardRead"), { text: textOf("clipboardWrite") });
      const hosts = readFileSync(hostsFile, "utf8");
      assert.match(hosts, /^# BEGIN FDO:acme\.tool:tests$/m, "a section of its own");
      assert.match(hosts, new RegExp(`^127\\.0\\.0\\.9\\s+${textOf("hosts")}\\.test$`, "m"));
      assert.equal(ownHosts(), before, "the test writes a copy");
      assert.equal(readFileSync(join(actions.notes, textOf("files")), "utf8"), textOf("files"));
      for (const made of [textOf("process"), `${textOf("workflow")}-a`, `${textOf("workflow")}-b`])
        assert.ok(existsSync(join(actions.work, made)), made);
      for (const name of ACT_NAMES)
        for (const record of await recordsOf(`six-${name}`)) {
          assert.deepEqual(record.plugin, { id: "acme.tool", version: null, digest: null });
          assert.deepEqual([record.subject, record.via], [PLUGIN, "plugin"]);
          assert.equal(record.confirmation, "approved");
        }
      assert.equal((await recordsOf("six-workflow")).length, 4, "its beginning, two steps, its end");
    });

    it("plans all six as a dry run: nobody is asked, nothing is done", async () => {
      const { token } = await mint();
      await using plugin = startWith(token);
      const hosts = readFileSync(opened.hostsFile, "utf8");
      for (const name of ACT_NAMES) {
        const given = input(true);
        const response = await plugin.act(name, given, `dry-${name}`);
        assert.ok(response.ok, `${name}: ${JSON.stringify(response)}`);
        assert.deepEqual(await waiting(), []);
        assert.equal(existsSync(given.path), false);
        const [record] = await recordsOf(`dry-${name}`);
        assert.deepEqual([record?.dryRun, record?.plugin?.id], [true, "acme.tool"]);
      }
      assert.equal(readFileSync(opened.hostsFile, "utf8"), hosts);
    });

    it("shows its token to nobody: neither by its arguments nor by its environment", async () => {
      const { token } = await mint();
      await using plugin = startWith(token);
      await plugin.act("clipboardRead", input(true), "seen");
      assert.equal(plugin.visible.includes("dwg_"), false);
    });

    for (const name of ACT_NAMES)
      for (const capability of NEEDED[name])
        it(`can't do ${name} without ${capability}, and learns nothing of scopes before that`, async () => {
          const { token } = await mint(PLUGIN_CAPABILITIES.filter((one) => one !== capability));
          await using plugin = startWith(token);
          for (const dryRun of [false, true]) {
            const given = { ...input(dryRun), path: "/etc/shadow", program: "/bin/sh" };
            assert.equal(codeIn(await plugin.act(name, given, "denied")), "CAPABILITY_DENIED");
          }
          assert.deepEqual(await waiting(), []);
          const [record] = await recordsOf("denied");
          assert.deepEqual([record?.outcome, record?.plugin?.id], ["refused", "acme.tool"]);
        });

    it("reads no clipboard with the right to write it alone", async () => {
      const { token } = await mint(["system.clipboard.write"]);
      await using plugin = startWith(token);
      const response = await plugin.act("clipboardRead", input(), "read-with-write");
      assert.equal(codeIn(response), "CAPABILITY_DENIED");
    });

    it("gets no grant with a capability that no rule gives plugins of its name", async () => {
      for (const [subject, capabilities] of [
        [PLUGIN, ["system.fs.scope.free"]],
        ["plugin:other.tool", ["system.clipboard.write"]],
        ["plugin:acmeX", ["system.clipboard.write"]],
      ] as const) {
        const code = await refusal(mint(capabilities, { subject }));
        assert.match(code, /^(GRANT_TOO_WIDE|POLICY_DENIED)$/, subject);
      }
    });

    it("has nothing with an expired, revoked, unknown or removed machine's grant", async () => {
      const expired = await mint(PLUGIN_CAPABILITIES, { time: "1s" });
      const revoked = await mint();
      await operator.call("grants.revoke", { params: { grant: revoked.grant.grantId }, body: {} });
      const removed = await mint(PLUGIN_CAPABILITIES, { machine: "other" });
      await operator.call("machines.remove", { params: { machine: "other" }, query: { force: "true" } });
      const { lab } = opened.actions;
      const status = async ({ grant }: MintedGrant): Promise<string> =>
        (await operator.call("grants.get", { params: { grant: grant.grantId } })).status;
      await lab.until("it has expired", async () => (await status(expired)) === "expired");
      const unknown = expired.token.replace(/^dwg_[^_]+/, "dwg_0000000000000000");
      for (const [token, code] of [
        [expired.token, /GRANT_EXPIRED/],
        [revoked.token, /GRANT_REVOKED/],
        [removed.token, /GRANT_REVOKED/],
        [unknown, /TOKEN_/],
      ] as const) {
        await using plugin = startWith(token);
        const given = input();
        const response = await plugin.act("files", given, "ended");
        assert.equal(codeIn(response), "PLUGIN_BACKEND_HANDLER_FAILED");
        const { status, text } = await plugin.http({ method: "POST", path: "/v1/actions", body: {} });
        assert.equal(status, 401);
        assert.match(text, code);
        assert.equal(existsSync(given.path), false);
      }
    });

    it("ends with its grant while its question waits", async () => {
      const minted = await mint();
      await using plugin = startWith(minted.token);
      const given = input();
      const asked = plugin.act("files", given, "cut");
      await firstWaiting();
      await operator.call("grants.revoke", { params: { grant: minted.grant.grantId }, body: {} });
      assert.equal((await asked).ok, false);
      assert.deepEqual(await waiting(), []);
      assert.equal(existsSync(given.path), false);
    });

    it("sees nothing of another grant, plugin or machine", async () => {
      const other = await mint(PLUGIN_CAPABILITIES, { subject: "plugin:acme.other" });
      await using asker = startWith(other.token);
      await asker.act("clipboardRead", input(true), "other-dry");
      const pending = asker.act("files", input(), "other");
      const approval = await firstWaiting();
      const { actions } = await operator.call("actions.list", {});
      const report = actions.find(({ correlationId }) => correlationId === "other");
      assert.ok(report);
      const { token } = await mint();
      await using plugin = startWith(token);
      for (const path of [
        `/v1/actions/${report.id}`,
        `/v1/grants/${other.grant.grantId}`,
        "/v1/machines/other",
        "/v1/machines/other/terminals",
      ]) {
        const { status, text } = await plugin.http({ method: "GET", path });
        assert.ok(status === 403 || status === 404, `${path}: ${String(status)} ${text}`);
      }
      const { text } = await plugin.http({ method: "GET", path: "/v1/actions" });
      assert.equal(text.includes(report.id), false);
      await operator.call("approvals.deny", { params: { approval }, body: {} });
      assert.equal(codeIn(await pending), "CANCELLED");
    });

    it("approves nothing of its own: every route of the operator's refuses its token", async () => {
      const minted = await mint();
      const given = input();
      await using plugin = startWith(minted.token);
      await using helper = startWith(minted.token);
      const asked = plugin.act("files", given, "own");
      const approval = await firstWaiting();
      const { digest } = await pendingOf(operator, approval);
      const operators = Object.values(ROUTES).filter(({ access }) => access === "operator");
      assert.ok(operators.length > 20);
      for (const { method, path } of operators) {
        const place = path.replace("{approval}", approval).replaceAll(/\{[a-z]+\}/g, "shop");
        const body = method === "GET" ? undefined : { digest, where: "editor" };
        const { status, text } = await helper.http({ method, path: place, body });
        assert.equal(status, 403, `${method} ${place}: ${text}`);
        assert.match(text, /OPERATOR_ONLY/);
      }
      for (const headers of FORGED_HEADERS) {
        const path = `/v1/approvals/${approval}/approve`;
        const { status } = await helper.http({ method: "POST", path, body: { digest }, headers });
        assert.ok(status === 400 || status === 401 || status === 403, JSON.stringify(headers));
        const bare = await helper.http({ method: "POST", path, body: { digest }, headers, token: null });
        assert.ok(bare.status >= 400 && bare.status < 500, JSON.stringify(headers));
      }
      assert.deepEqual(await waiting(), [approval]);
      assert.equal(existsSync(given.path), false);
      await operator.call("approvals.deny", { params: { approval }, body: {} });
      assert.equal(codeIn(await asked), "CANCELLED");
    });

    it(
      "can't reach the operator's socket as another user",
      { skip: !asNobody && "needs another user" },
      async () => {
        const { token } = await mint();
        await using plugin = startWith(token);
        const socketPath = opened.actions.lab.socket;
        for (const own of [token, null]) {
          const { status, text } = await plugin.http({
            method: "GET",
            path: "/v1/approvals",
            socketPath,
            token: own,
          });
          assert.equal(status, 0);
          assert.match(text, /EACCES/);
        }
      },
    );

    it("can't pass as somebody else by a narrower grant, and nobody can pass as it", async () => {
      const { token, grant } = await mint();
      await using plugin = startWith(token);
      const path = `/v1/grants/${grant.grantId}/narrow`;
      for (const subject of ["operator:root", "agent:test:1", "plugin:acme.other", "ci:build"]) {
        const { status, text } = await plugin.http({ method: "POST", path, body: { subject } });
        assert.equal(status, 403, subject);
        assert.match(text, /GRANT_TOO_WIDE/);
      }
      const wider = { capabilities: [...PLUGIN_CAPABILITIES, "system.fs.scope.free"] };
      assert.equal((await plugin.http({ method: "POST", path, body: wider })).status, 403);
      const own = await plugin.http({
        method: "POST",
        path,
        body: { capabilities: ["system.clipboard.write"] },
      });
      assert.equal(own.status, 200, own.text);
      const agent = await operator.call("grants.create", {
        body: { machine: "shop", subject: "agent:test:1", operations: ["terminal.observe"], for: "1h" },
      });
      await using impostor = startWith(agent.token);
      const narrow = `/v1/grants/${agent.grant.grantId}/narrow`;
      const { status } = await impostor.http({ method: "POST", path: narrow, body: { subject: PLUGIN } });
      assert.equal(status, 403);
    });

    it("names nobody and approves nothing by fields of its request", async () => {
      const { token } = await mint();
      await using plugin = startWith(token);
      const { path } = input();
      const request = writeRequest(path, "x");
      const { payload } = request;
      for (const forged of [
        { plugin: { id: "acme.good", version: "1.0.0", digest: `sha256:${"0".repeat(64)}` } },
        { plugin: "acme.good" },
        { pluginId: "acme.good" },
        { subject: "operator:root" },
        { capabilities: "all" },
        { via: "command" },
        { confirm: "never" },
        { confirmed: true },
        { approval: "a_aaaaaaaaaaaa" },
        { grant: null },
      ])
        for (const body of [
          { correlationId: "forged", request, ...forged },
          { correlationId: "forged", request: { ...request, ...forged } },
          { correlationId: "forged", request: { ...request, payload: { ...payload, ...forged } } },
          { ...request, ...forged },
          { result: { correlationId: "forged", request, ...forged } },
        ])
          assert.equal(codeIn(await plugin.send(body)), "VALIDATION_FAILED", JSON.stringify(body));
      assert.deepEqual(await waiting(), []);
      assert.equal(existsSync(path), false);
      const denials = await operator.call("evidence.list", { query: { type: "denial", limit: 20 } });
      assert.ok(denials.records.every(({ subject }) => subject === PLUGIN));
      for (const headers of FORGED_HEADERS) {
        const sent = {
          method: "POST",
          path: "/v1/actions",
          headers,
          body: writeRequest(path, "x", { dryRun: true }),
        };
        const { status, text } = await plugin.http(sent);
        if (status !== 200) continue;
        assert.equal((JSON.parse(text) as { ok: boolean }).ok, true);
        const [record] = await recorded<HostActionRecord>(operator, "host-action", 1);
        assert.deepEqual([record?.subject, record?.plugin?.id], [PLUGIN, "acme.tool"]);
      }
    });
  },
);

/** Headers by which a caller might try to be somebody else. */
const FORGED_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { "x-doorward-subject": "operator:root" },
  { "x-forwarded-user": "root", "x-forwarded-for": "127.0.0.1" },
  { "x-remote-user": "root", remote_user: "root" },
  { "x-http-method-override": "POST" },
  { cookie: "subject=operator:root" },
  { origin: "http://127.0.0.1" },
  { host: "bridge.sock" },
];

/** The code of a failure; `done` for a success. */
function codeIn(response: PrivilegedActionResponse): string {
  return response.ok ? "done" : (response.code ?? "none");
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "allowed",
    (error: unknown) => (error instanceof DoorwardError ? error.code : String(error)),
  );
}
