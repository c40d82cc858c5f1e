import assert from "node:assert/strict";
import { chmod, lstat, mkdir, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { DOOR_REGISTRY } from "@doorward/doors";
import { parse as parseToml } from "smol-toml";
import { parse as parseYaml } from "yaml";
import { runHere, startCliLab, type CliLab, type Ran } from "./cli-lab.ts";

let lab: CliLab;
let home: string;

before(async () => {
  lab = await startCliLab(DOOR_REGISTRY);
  home = join(lab.home, "user");
  const everything = [
    { to: "agent:*", doors: ["agent-tool"], operations: OPERATIONS, for: "8h" },
    { to: "agent:*", doors: ["terminal"], operations: ["terminal.agent-exec"], for: "8h" },
  ];
  const view = (grants: unknown) => ({
    path: join(lab.home, "config", "policy.yaml"),
    exists: true,
    hash: `sha256:${"0".repeat(64)}`,
    policy: { version: 1, roots: [], grants },
  });
  let grants: unknown[] = everything;
  lab.answers.set("policy.show", () => view(grants));
  lab.answers.set("policy.grant", ({ body }) => view((grants = [...grants, body])));
  lab.answers.set("machines.get", () => lab.machines[0]);
  lab.answers.set("grants.get", ({ params }) => lab.authority.get(String(params["grant"])));
  lab.answers.set("test.no-rules", () => (grants = []));
});
after(() => lab[Symbol.asyncDispose]());
beforeEach(async () => {
  await rm(home, { recursive: true, force: true });
  await rm(join(lab.home, "state", "connections"), { recursive: true, force: true });
  await mkdir(home);
});

const OPERATIONS = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
  "agent-tool.egress",
];

interface Entry {
  readonly type: string;
  readonly url: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly headersHelper: string;
}

/** Entries of a JSON configuration below its table of servers. */
async function serversOf(name: string, table: (config: never) => unknown): Promise<Map<string, Entry>> {
  const config = JSON.parse(await readFile(join(home, name), "utf8")) as never;
  return new Map(Object.entries(table(config) as Record<string, Entry>));
}

const ofClaude = (name = ".claude.json"): Promise<Map<string, Entry>> =>
  serversOf(name, (config: { mcpServers: unknown }) => config.mcpServers);

/** The command with a home folder of its own for clients' configuration. */
function connect(...args: string[]): Promise<Ran> {
  const env = { ...lab.env, HOME: home };
  return runHere({ ...lab, env }, ["connect", ...args], lab.repo);
}

async function done(...args: string[]): Promise<string> {
  const ran = await connect(...args);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout.toString();
}

const FILES = {
  "claude-code": ".claude.json",
  codex: ".codex/config.toml",
  openclaw: ".openclaw/openclaw.json",
  hermes: ".hermes/config.yaml",
  vscode: ".config/Code/User/mcp.json",
} as const;

const PRESENT: Readonly<Record<keyof typeof FILES, string>> = {
  "claude-code":
    '{\n  "numStartups": 3,\n  "mcpServers": {\n    "other": { "type": "stdio", "command": "x" }\n  }\n}\n',
  codex: '# mine\nmodel = "x" # kept\n\n[mcp_servers.other]\ncommand = "y"\n',
  openclaw: '{\n  // gateway of mine\n  "gateway": { "port": 18789, },\n}\n',
  hermes: "# mine\nmodel: x # kept\nmcp_servers:\n  other:\n    command: y\n",
  vscode: '{\n\t"servers": {\n\t\t"other": { "command": "x" }\n\t},\n\t"inputs": []\n}\n',
};

for (const [client, name] of Object.entries(FILES) as [keyof typeof FILES, string][]) {
  test(`${client}: written into what is there, and taken back to the letter`, async () => {
    const file = join(home, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, PRESENT[client]);
    await chmod(file, 0o640);
    await done(client, "shop", "--write");
    const written = await readFile(file, "utf8");
    assert.notEqual(written, PRESENT[client]);
    assert.match(written, /doorward-shop/);
    assert.match(written, /"?--as/);
    assert.equal((await stat(file)).mode & 0o777, 0o640);
    assert.match(await done(client, "shop", "--write"), /already has/);
    assert.equal(await readFile(file, "utf8"), written);
    await done(client, "shop", "--remove");
    assert.equal(await readFile(file, "utf8"), PRESENT[client]);
    assert.match(await done(client, "shop", "--remove"), /nothing to remove/);
  });

  test(`${client}: a file that was not there is gone again`, async () => {
    await done(client, "shop", "--write");
    assert.equal((await stat(join(home, name))).mode & 0o777, 0o600);
    await done(client, "shop", "--remove");
    await assert.rejects(lstat(join(home, name)));
  });

  test(`${client}: a file that can't be read is refused, not replaced`, async () => {
    const file = join(home, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, "{ broken: [");
    const ran = await connect(client, "shop", "--write");
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /can't be edited as (?:JSON|TOML|YAML)/);
    assert.equal(await readFile(file, "utf8"), "{ broken: [");
  });

  test(`${client}: an entry that was changed since is neither written over nor removed without --force`, async () => {
    const file = join(home, name);
    await done(client, "shop", "--write");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace('"--as"', '"--AS"').replace("- --as\n", "- --AS\n"));
    for (const how of ["--write", "--remove"]) {
      const ran = await connect(client, "shop", how);
      assert.equal(ran.code, 2, ran.stdout.toString());
      assert.match(ran.stderr, /--force/);
    }
    await done(client, "shop", "--remove", "--force");
    await assert.rejects(lstat(file));
  });
}

test("what is written is what each client reads", async () => {
  for (const client of Object.keys(FILES)) await done(client, "shop", "--write");
  const read = (name: string): Promise<string> => readFile(join(home, name), "utf8");
  const claude = (await ofClaude()).get("doorward-shop");
  assert.deepEqual([claude?.type, claude?.args.slice(-4)], ["stdio", ["mcp", "shop", "--as", "claude-code"]]);
  assert.equal(claude?.env["DOORWARD_HOME"], lab.home);
  const codex = parseToml(await read(FILES.codex)) as { mcp_servers: Record<string, { args: string[] }> };
  assert.deepEqual(codex.mcp_servers["doorward-shop"]?.args.slice(-4), ["mcp", "shop", "--as", "codex"]);
  const hermes = parseYaml(await read(FILES.hermes)) as { mcp_servers: Record<string, { args: string[] }> };
  assert.deepEqual(hermes.mcp_servers["doorward-shop"]?.args.slice(-4), ["mcp", "shop", "--as", "hermes"]);
});

test("no secret is in what is written for stdio, nor kept", async () => {
  for (const client of Object.keys(FILES)) await done(client, "shop", "--write");
  const kept = await readdir(join(lab.home, "state", "connections"));
  assert.deepEqual(
    kept.filter((name) => !name.endsWith(".json")),
    [],
  );
  for (const name of Object.values(FILES))
    assert.doesNotMatch(await readFile(join(home, name), "utf8"), /dwg_/);
});

test("codex over http: the token is in a private file, the configuration names a variable", async () => {
  const said = await done("codex", "shop", "--transport", "http", "--for", "2h", "--write");
  const token = join(lab.home, "state", "connections", "codex-shop.token");
  assert.equal((await stat(token)).mode & 0o777, 0o600);
  assert.match(said, /export DOORWARD_TOKEN_SHOP=/);
  const config = await readFile(join(home, FILES.codex), "utf8");
  assert.match(config, /bearer_token_env_var = "DOORWARD_TOKEN_SHOP"/);
  assert.doesNotMatch(config, /dwg_/);
  const { grant } = lab.authority.authenticate((await readFile(token, "utf8")).trim());
  const seconds = (Date.parse(grant.expiresAt) - Date.parse(grant.issuedAt)) / 1000;
  assert.equal(Math.round(seconds), 7200);
  await done("codex", "shop", "--transport", "http", "--write");
  assert.equal(lab.authority.get(grant.grantId).status, "revoked");
  const second = (await readFile(token, "utf8")).trim();
  await done("codex", "shop", "--remove");
  assert.throws(() => lab.authority.authenticate(second), { code: "GRANT_REVOKED" });
  await assert.rejects(lstat(token));
});

test("claude-code over ws: a program prints the headers and renews, but not what was revoked", async () => {
  await done("claude-code", "shop", "--transport", "ws", "--write");
  const entry = (await ofClaude()).get("doorward-shop");
  assert.ok(entry);
  assert.equal(entry.type, "ws");
  assert.match(entry.url, /^ws:\/\/127\.0\.0\.1:\d+\/v1\/machines\/shop\/doors\/agent-tool\/mcp$/);
  assert.equal((await stat(entry.headersHelper)).mode & 0o777, 0o700);
  const helper = () => runHere(lab, ["mcp", "--headers", "claude-code-shop"]);
  const headers = JSON.parse((await helper()).stdout.toString()) as { Authorization: string };
  const token = headers.Authorization.replace("Bearer ", "");
  const { grant } = lab.authority.authenticate(token);
  lab.authority.revoke(grant.grantId, "enough", "operator:ada");
  const after = await helper();
  assert.equal(after.code, 3);
  assert.equal(after.stdout.length, 0);
  await done("claude-code", "shop", "--remove");
});

test("openclaw over http has its token in its configuration, and that is said", async () => {
  const said = await done("openclaw", "shop", "--transport", "http", "--write");
  assert.match(said, /has no other way/);
  const table = (config: { mcp: { servers: unknown } }): unknown => config.mcp.servers;
  const entry = (await serversOf(FILES.openclaw, table)).get("doorward-shop");
  assert.match(entry?.headers["Authorization"] ?? "", /^Bearer dwg_/);
  const record = await readFile(join(lab.home, "state", "connections", "openclaw-shop.json"), "utf8");
  assert.doesNotMatch(record, /dwg_/);
  await done("openclaw", "shop", "--remove");
});

test("openclaw over http: a configuration that others could read is closed to them with its token", async () => {
  const file = join(home, FILES.openclaw);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, PRESENT.openclaw);
  await chmod(file, 0o644);
  await done("openclaw", "shop", "--transport", "http", "--write");
  assert.match(await readFile(file, "utf8"), /Bearer dwg_/);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await done("openclaw", "shop", "--remove");
});

test("a client's own command says everything that its entry needs, the variables too", async () => {
  for (const client of ["claude-code", "codex", "openclaw", "vscode"]) {
    const printed = await done(client, "shop");
    const command =
      printed
        .split("Its own command for it:")[1]
        ?.split("\n")
        .find((line) => line.trim() !== "") ?? "";
    for (const word of [/\bmcp\b/, /\bshop\b/, /--as\b/, /DOORWARD_HOME/])
      assert.match(command, word, client);
  }
});

test("printing changes nothing and mints nothing", async () => {
  const before = lab.authority.list({ includeEnded: true }).length;
  for (const client of [...Object.keys(FILES), "generic"]) {
    assert.match(await done(client, "shop"), /shop/);
    assert.ok(JSON.parse(await done(client, "shop", "--json")));
  }
  assert.match(await done("openclaw", "shop", "--transport", "http"), /Bearer TOKEN/);
  assert.deepEqual(await readdir(home), []);
  assert.equal(lab.authority.list({ includeEnded: true }).length, before);
});

test("a link is written through; another name replaces the entry of before", async () => {
  const real = join(home, "dotfiles.json");
  await writeFile(real, "{}\n");
  await symlink(real, join(home, ".claude.json"));
  await done("claude-code", "shop", "--write");
  await done("claude-code", "shop", "--write", "--name", "box");
  assert.ok((await lstat(join(home, ".claude.json"))).isSymbolicLink());
  assert.deepEqual([...(await ofClaude("dotfiles.json")).keys()], ["box"]);
});

const environments = (): Promise<string> => readFile(join(home, ".codex/environments.toml"), "utf8");

test("codex's own tools: an environment in the machine by a pipe, and no other", async () => {
  await done("codex", "shop", "--write");
  const said = await done("codex", "shop", "--own-tools", "--write");
  assert.match(said, /npm install/);
  const text = await environments();
  assert.equal((await stat(join(home, ".codex/environments.toml"))).mode & 0o777, 0o600);
  const config = parseToml(text) as unknown as {
    readonly default: string;
    readonly include_local: boolean;
    readonly environments: readonly { id: string; url: string; auth_bearer_token: string }[];
  };
  const [environment] = config.environments;
  assert.deepEqual([config.default, config.include_local], ["doorward-shop", false]);
  assert.match(
    environment?.url ?? "",
    /^ws:\/\/127\.0\.0\.1:\d+\/v1\/machines\/shop\/doors\/pipe\?arg=\/home\/agent\/codex\/node_modules\/\.bin\/codex&arg=exec-server&arg=--listen&arg=stdio$/,
  );
  const token = environment?.auth_bearer_token ?? "";
  const { grant } = lab.authority.authenticate(token);
  assert.deepEqual([grant.subject.split(":")[1], grant.operations], ["codex", ["terminal.agent-exec"]]);
  await done("codex", "shop", "--own-tools", "--remove");
  assert.throws(() => lab.authority.authenticate(token), { code: "GRANT_REVOKED" });
  await assert.rejects(environments());
  assert.match(await readFile(join(home, FILES.codex), "utf8"), /doorward-shop/);
});

test("--remove takes both of codex's, and another program in the machine is written with its path", async () => {
  await done("codex", "shop", "--write");
  await done("codex", "shop", "--own-tools", "--program", "/opt/a b/codex", "--write");
  assert.match(await environments(), /pipe\?arg=\/opt\/a%20b\/codex&/);
  await done("codex", "shop", "--remove");
  assert.deepEqual(await readdir(join(lab.home, "state", "connections")), []);
  await assert.rejects(environments());
});

test("environments of one's own are neither replaced nor removed, not even with --force", async () => {
  await mkdir(join(home, ".codex"));
  await writeFile(join(home, ".codex/environments.toml"), 'default = "mine"\n');
  const grants = lab.authority.list({}).length;
  for (const force of [[], ["--force"]]) {
    assert.equal((await connect("codex", "shop", "--own-tools", "--write", ...force)).code, 2);
    assert.equal(await environments(), 'default = "mine"\n');
  }
  assert.equal(lab.authority.list({}).length, grants);
});

test("openclaw's own tools: what its plugin reads, without a token, and taken back", async () => {
  const file = join(home, FILES.openclaw);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, PRESENT.openclaw);
  assert.match(await done("openclaw", "shop", "--own-tools", "--write"), /plugins install/);
  assert.match(await done("openclaw", "shop", "--own-tools", "--write"), /already has/);
  const written = await readFile(file, "utf8");
  assert.match(written, /"doorward": \{\s*"config": \{\s*"machine": "shop"/);
  assert.doesNotMatch(written, /dwg_/);
  await done("openclaw", "shop", "--remove");
  assert.equal(await readFile(file, "utf8"), PRESENT.openclaw);
});

test("hermes is told where its own terminal finds the machine", async () => {
  assert.match(await done("hermes", "shop"), /ssh-config --install[^]*TERMINAL_SSH_HOST=shop\.doorward/);
});

test("--scope project goes into this folder", async () => {
  await done("claude-code", "shop", "--scope", "project", "--write");
  assert.match(await readFile(join(lab.repo, ".mcp.json"), "utf8"), /doorward-shop/);
  await done("claude-code", "shop", "--remove");
  await assert.rejects(lstat(join(lab.repo, ".mcp.json")));
});

test("an entry of somebody else's is never taken over", async () => {
  await writeFile(join(home, ".claude.json"), '{"mcpServers":{"doorward-shop":{"command":"mine"}}}');
  const ran = await connect("claude-code", "shop", "--write");
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /did not write/);
  assert.match(await done("claude-code", "shop", "--remove"), /nothing to remove/);
  assert.match(await readFile(join(home, ".claude.json"), "utf8"), /mine/);
});

test("a policy that grants nothing is named, and --allow adds the rule", async () => {
  await lab.answers.get("test.no-rules")?.({
    params: {},
    query: {},
    body: undefined,
    progress: () => undefined,
  });
  const ran = await connect("codex", "shop");
  assert.match(ran.stderr, /no rule of the policy names this subject/);
  assert.match(ran.stderr, /--allow/);
  await done("codex", "shop", "--allow");
  assert.deepEqual(lab.calls.findLast(({ id }) => id === "policy.grant")?.body, {
    to: "agent:codex:*",
    doors: ["agent-tool"],
    operations: OPERATIONS,
    for: "8h",
  });
  assert.equal((await connect("codex", "shop")).stderr, "");
});

for (const [args, why] of [
  [["codex", "shop", "--transport", "ws"], /it has stdio and http/],
  [["codex", "shop", "--for", "2h"], /--for with stdio/],
  [["hermes", "shop", "--scope", "project"], /no configuration of a folder/],
  [["generic", "shop", "--write"], /no file that every client reads/],
  [["codex", "shop", "--write", "--remove"], /--write and --remove/],
  [["hermes", "shop", "--own-tools"], /can't be told/],
  [["codex", "shop", "--own-tools", "--read-only"], /--read-only with --own-tools/],
  [["codex", "shop", "--program", "/x"], /--program/],
  [["codex", "shop", "--own-tools", "--transport", "http"], /it has ws/],
  [["codex", "shop", "--own-tools", "--scope", "project"], /no configuration of a folder/],
  [["emacs", "shop"], /must be one of openclaw/],
] as const) {
  test(`refused: connect ${args.join(" ")}`, async () => {
    const ran = await connect(...args);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, why);
  });
}
