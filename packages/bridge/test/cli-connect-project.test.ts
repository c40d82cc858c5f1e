import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { DOOR_REGISTRY } from "@doorward/doors";
import { CLIENTS } from "../src/cli/connect/clients.ts";
import { entryDigest } from "../src/cli/connect/connection-store.ts";
import { putEntry, takeEntry } from "../src/cli/connect/entry-edit.ts";
import { runHere, startCliLab, type CliLab, type Ran } from "./cli-lab.ts";

let lab: CliLab;
let outside: string;

before(async () => {
  lab = await startCliLab(DOOR_REGISTRY);
  lab.answers.set("policy.show", () => ({
    path: join(lab.home, "config", "policy.yaml"),
    exists: true,
    hash: `sha256:${"0".repeat(64)}`,
    policy: {
      version: 1,
      roots: [],
      grants: [{ to: "agent:*", doors: ["agent-tool"], operations: OPERATIONS, for: "8h" }],
    },
  }));
  lab.answers.set("machines.get", () => lab.machines[0]);
});
after(() => lab[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const name of [".mcp.json", ".vscode", ".codex", "elsewhere"])
    await rm(join(lab.repo, name), { recursive: true, force: true });
  await rm(join(lab.home, "state", "connections"), { recursive: true, force: true });
  outside = join(lab.home, "outside");
  await rm(outside, { recursive: true, force: true });
  await mkdir(outside);
});

const OPERATIONS = ["list", "read", "write", "exec", "egress"].map((one) => `agent-tool.${one}`);

const FILES = {
  "claude-code": ".mcp.json",
  codex: ".codex/config.toml",
  vscode: ".vscode/mcp.json",
} as const;

function connect(client: string, how: "--write" | "--remove"): Promise<Ran> {
  const env = { ...lab.env, HOME: join(lab.home, "user") };
  return runHere({ ...lab, env }, ["connect", client, "shop", "--scope", "project", how], lab.repo);
}

function refused({ code, stderr }: Ran): void {
  assert.equal(code, 2, stderr);
  assert.match(stderr, /Cannot change configuration/);
  assert.match(stderr, /is a symlink|is neither file nor folder|is a folder/);
}

const inRepo = (name: string): string => join(lab.repo, name);

for (const [client, name] of Object.entries(FILES)) {
  test(`${client}: into a folder of the project, and taken back`, async () => {
    const ran = await connect(client, "--write");
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(await readFile(inRepo(name), "utf8"), /doorward-shop/);
    assert.equal((await lstat(inRepo(name))).mode & 0o777, 0o600);
    assert.equal((await connect(client, "--remove")).code, 0);
    await assert.rejects(lstat(inRepo(name)));
  });

  test(`${client}: a file that is a link out of the project is refused, and what it leads to stays`, async () => {
    await mkdir(join(inRepo(name), ".."), { recursive: true });
    for (const text of ["", undefined]) {
      const target = join(outside, "target");
      if (text !== undefined) await writeFile(target, text);
      else await rm(target);
      await symlink(target, inRepo(name));
      refused(await connect(client, "--write"));
      if (text === undefined) await assert.rejects(lstat(target));
      else assert.equal(await readFile(target, "utf8"), text);
      await rm(inRepo(name));
    }
  });
}

for (const name of [".vscode", ".codex"] as const) {
  test(`a ${name} that is a link is refused, also one to a folder of the project`, async () => {
    const client = name === ".codex" ? "codex" : "vscode";
    await mkdir(inRepo("elsewhere"));
    for (const target of [outside, "elsewhere", join(outside, "missing")]) {
      await symlink(target, inRepo(name));
      refused(await connect(client, "--write"));
      await rm(inRepo(name));
    }
    assert.deepEqual(await readdir(outside), []);
    assert.deepEqual(await readdir(inRepo("elsewhere")), []);
  });
}

test("a pipe, and a folder, in the place of the file are refused at once", async () => {
  execFileSync("mkfifo", [inRepo(".mcp.json")]);
  refused(await connect("claude-code", "--write"));
  await rm(inRepo(".mcp.json"));
  await mkdir(inRepo(".mcp.json"));
  refused(await connect("claude-code", "--write"));
});

test("a file that became a link since it was written is not followed to be taken back", async () => {
  assert.equal((await connect("claude-code", "--write")).code, 0);
  const target = join(outside, "theirs.json");
  await writeFile(target, await readFile(inRepo(".mcp.json")));
  await rm(inRepo(".mcp.json"));
  await symlink(target, inRepo(".mcp.json"));
  refused(await connect("claude-code", "--remove"));
  assert.match(await readFile(target, "utf8"), /doorward-shop/);
});

const SWAPPER = `
  const { renameSync } = require("node:fs");
  for (const name of [".vscode", ".mcp.json"]) renameSync(name, "real-" + name);
  process.stdout.write("ready");
  for (;;) for (const name of [".vscode", ".mcp.json"]) for (const one of ["link-", "real-"]) {
    try { renameSync(one + name, name); } catch {}
    try { renameSync(name, one + name); } catch {}
  }
`;

test("while folders and files are swapped for links out of the project, nothing lands out there", async () => {
  const project = await mkdtemp(join(tmpdir(), "dw-project-"));
  await mkdir(join(project, ".vscode"));
  await writeFile(join(project, ".mcp.json"), "{}\n");
  await writeFile(join(outside, "theirs.json"), "{}\n");
  await symlink(outside, join(project, "link-.vscode"));
  await symlink(join(outside, "theirs.json"), join(project, "link-.mcp.json"));
  const swapper = spawn(process.execPath, ["-e", SWAPPER], { cwd: project });
  try {
    await once(swapper.stdout, "data");
    let [written, refusals] = [0, 0];
    for (let round = 0; round < 4000; round += 1) {
      for (const client of ["vscode", "claude-code"] as const) {
        const place = placeIn(client, project);
        try {
          const entry = { command: String(round) };
          const { before } = putEntry(CLIENTS[client], place, entry, undefined, {
            force: true,
            secret: false,
          });
          written += 1;
          takeEntry(CLIENTS[client], { ...place, ...before, entry: entryDigest(entry) }, true);
        } catch {
          refusals += 1;
        }
      }
    }
    assert.ok(written > 0 && refusals > 0, `${String(written)} written, ${String(refusals)} refused`);
    assert.deepEqual(await readdir(outside), ["theirs.json"]);
    assert.equal(await readFile(join(outside, "theirs.json"), "utf8"), "{}\n");
  } finally {
    swapper.kill("SIGKILL");
    await once(swapper, "close");
    await rm(project, { recursive: true, force: true });
  }
});

function placeIn(client: "vscode" | "claude-code", project: string) {
  const place = CLIENTS[client].place(
    "project",
    { env: {}, platform: process.platform, project },
    "doorward-shop",
  );
  assert.ok(place);
  return place;
}
