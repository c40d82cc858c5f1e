import assert from "node:assert/strict";
import {
  mkdtempSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { FileAccess, MintedAccess } from "../src/access.ts";
import { DoorwardCommand } from "../src/doorward-command.ts";
import { isOwnMachine, machineFor, machineNameOf, workdirOf, type Machine } from "../src/machine.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "dw-openclaw-")));
after(() => rmSync(folder, { recursive: true, force: true }));

const calls = join(folder, "calls");

/** A program in the place of `doorward`: it notes how it was called, and answers what a test says. */
function standIn(
  answers: Readonly<Record<string, object>>,
  refuses: readonly string[] = [],
): DoorwardCommand {
  const script = join(folder, "doorward.mjs");
  writeFileSync(calls, "");
  writeFileSync(
    script,
    `import { appendFileSync } from "node:fs";
const words = process.argv.slice(2);
appendFileSync(${JSON.stringify(calls)}, words.join(" ") + "\\n");
const verb = words.slice(0, words[0] === "grant" || words[0] === "bridge" ? 2 : 1).join(" ");
if (${JSON.stringify(refuses)}.includes(verb)) {
  console.error("Starting ...");
  console.error(JSON.stringify({ type: "x", title: "t", status: 403, code: "PATH_NOT_ALLOWED", detail: "no", hint: "do" }));
  process.exit(3);
}
console.log(JSON.stringify(${JSON.stringify(answers)}[verb] ?? {}));
`,
  );
  return new DoorwardCommand({ command: [process.execPath, script] });
}

const called = (): string[] => readFileSync(calls, "utf8").trim().split("\n");
const codeOf = (thrown: unknown): string => (thrown instanceof DoorwardError ? thrown.code : String(thrown));

const machine = (name: string, access: "ro" | "rw" = "rw", state = "running"): Machine => ({
  ...{ id: "m_1", name, state, profile: "default" },
  repos: [{ hostPath: join(folder, "repo"), machinePath: "/workspace/repo", access }],
});

mkdirSync(join(folder, "repo", "deep"), { recursive: true });
mkdirSync(join(folder, "repo-beside"));
symlinkSync(join(folder, "repo", "deep"), join(folder, "link"));

const workspace = (path: string, access: "none" | "ro" | "rw" = "rw") =>
  ({ scopeKey: "agent:main", workspaceDir: join(folder, path), access }) as const;

test("a workspace is found in the machine by what is mounted there, links resolved", async () => {
  assert.equal(await workdirOf(machine("m"), workspace("repo")), "/workspace/repo");
  assert.equal(await workdirOf(machine("m"), workspace("repo/deep")), "/workspace/repo/deep");
  assert.equal(await workdirOf(machine("m"), workspace("link")), "/workspace/repo/deep");
});

test("a workspace that is not mounted, or writable though OpenClaw says read-only, is refused", async () => {
  await assert.rejects(workdirOf(machine("m"), workspace("repo-beside")), { code: "PATH_NOT_ALLOWED" });
  await assert.rejects(workdirOf(machine("m"), workspace(".")), { code: "PATH_NOT_ALLOWED" });
  await assert.rejects(workdirOf(machine("m"), workspace("repo", "ro")), { code: "PATH_NOT_ALLOWED" });
  assert.equal(await workdirOf(machine("m", "ro"), workspace("repo", "ro")), "/workspace/repo");
});

test("a configured machine is used as it is, and one that does not exist is not made", async () => {
  const command = standIn({ ls: { machines: [machine("shop")] } });
  assert.equal((await machineFor(command, { machine: "shop" }, workspace("repo"))).name, "shop");
  await assert.rejects(machineFor(command, { machine: "other" }, workspace("repo")), {
    code: "MACHINE_NOT_FOUND",
  });
  assert.deepEqual(new Set(called()), new Set(["ls --json"]));
});

test("a stopped machine is started, and a scope without one gets its own", async () => {
  const stopped = standIn({ ls: { machines: [machine("shop", "rw", "stopped")] } });
  await machineFor(stopped, { machine: "shop", ttl: "2h" }, workspace("repo"));
  assert.deepEqual(called(), ["ls --json", "start shop --ttl 2h --json", "ls --json"]);
  const none = standIn({ ls: { machines: [] } });
  await machineFor(none, { profile: "p" }, workspace("repo", "ro")).catch(() => undefined);
  const name = machineNameOf("agent:main");
  assert.ok(isOwnMachine(name));
  assert.equal(called()[1], `up --ro ${join(folder, "repo")} --name ${name} --new --profile p --json`);
});

test("a refusal of the command arrives with its code and hint", async () => {
  const thrown: unknown = await machineFor(
    standIn({ ls: { machines: [] } }, ["up"]),
    {},
    workspace("repo"),
  ).catch((error: unknown) => error);
  assert.ok(thrown instanceof DoorwardError);
  assert.deepEqual([thrown.code, thrown.message, thrown.hint], ["PATH_NOT_ALLOWED", "no", "do"]);
  await assert.rejects(new DoorwardCommand({ command: ["/no/such/program"] }).run(["ls"]), {
    code: "BRIDGE_UNREACHABLE",
  });
});

const granting = {
  "bridge status": { socket: "/run/b.sock" },
  "grant create": { token: "dwg_x", grant: { grantId: "g_1" } },
};

test("a grant is minted once, for agents' commands alone, and revoked at the end", async () => {
  const access = new MintedAccess(standIn(granting), "shop", "agent:openclaw:s");
  const [first, second] = await Promise.all([access.credentials(), access.credentials()]);
  assert.deepEqual(first, { url: "unix:/run/b.sock", token: "dwg_x" });
  assert.deepEqual(second, first);
  await access[Symbol.asyncDispose]();
  assert.deepEqual(called(), [
    "bridge status --json",
    "grant create shop --to agent:openclaw:s --op terminal.agent-exec --for 1h --json",
    "grant revoke g_1 --json",
  ]);
});

test("a revoked grant is not replaced, one that expired is", async () => {
  const access = new MintedAccess(standIn(granting), "shop", "agent:openclaw:s");
  await access.credentials();
  access.refused(new DoorwardError({ code: "GRANT_EXPIRED", message: "expired" }));
  await access.credentials();
  assert.equal(called().filter((line) => line.startsWith("grant create")).length, 2);
  access.refused(new DoorwardError({ code: "GRANT_REVOKED", message: "revoked" }));
  assert.equal(await access.credentials().catch(codeOf), "GRANT_REVOKED");
  assert.equal(called().filter((line) => line.startsWith("grant create")).length, 2);
});

test("a policy that allows no grant is told, and asked again the next time", async () => {
  const access = new MintedAccess(standIn(granting, ["grant create"]), "shop", "agent:openclaw:s");
  assert.equal(await access.credentials().catch(codeOf), "PATH_NOT_ALLOWED");
  assert.equal(await access.credentials().catch(codeOf), "PATH_NOT_ALLOWED");
});

test("a grant in a file is read at each use", async () => {
  const file = join(folder, "token");
  const access = new FileAccess(file);
  assert.equal(await access.credentials().catch(codeOf), "TOKEN_MISSING");
  writeFileSync(file, "dwg_first\n");
  assert.deepEqual(await access.credentials(), { url: "http://127.0.0.1:7611", token: "dwg_first" });
  writeFileSync(file, "dwg_second\n");
  assert.equal((await access.credentials()).token, "dwg_second");
});
