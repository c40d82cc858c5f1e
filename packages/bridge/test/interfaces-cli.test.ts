import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { FileValidator, publishedSchema, type FileVerdict } from "../src/interfaces/validate-file.ts";
import { interfaceDocument, terminalDocument } from "./interfaces-lab.ts";

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), "dw-validate-"))));
after(() => rm(folder, { recursive: true, force: true }));

async function judge(name: string, text: string | Buffer, type?: string): Promise<FileVerdict> {
  const path = join(folder, name);
  await writeFile(path, text);
  return new FileValidator().judge(path, type);
}

test("a document that fits its published schema is valid, as JSON and as YAML", async () => {
  const json = await judge("a.json", JSON.stringify(interfaceDocument()));
  assert.deepEqual([json.valid, json.type, json.problems], [true, "SecureHostInterfaceProfile", []]);
  const yaml = await judge("a.yaml", "kind: AgentMachineMountEvidence\n");
  assert.equal(yaml.type, "AgentMachineMountEvidence");
  assert.equal(yaml.valid, false);
  assert.ok(yaml.problems.some(({ path, reason }) => path === "/mounts" && reason === "is missing"));
});

const faults: readonly [string, string | Buffer, string, RegExp][] = [
  [
    "an unknown field",
    JSON.stringify({ ...terminalDocument(), sudo: 1 }),
    "/sudo",
    /no field of this contract/,
  ],
  ["a wrong word", JSON.stringify(interfaceDocument({ hostAdapter: "amiga" })), "/hostAdapter", /"linux"/],
  ["another type", '{"type":"RootDoor"}', "/type", /"RootDoor" names no contract; known are .*TerminalDoor/],
  ["another kind", '{"kind":"RunArtifact"}', "/kind", /"RunArtifact" names no contract/],
  ["a prototype as type", '{"type":"__proto__"}', "/type", /names no contract/],
  ["no document", "", "/type", /names no contract/],
  ["a double key", '{"type":"TerminalDoor","type":"TerminalDoor"}', "", /unique/],
  ["broken JSON", '{"type":', "", /Cannot read document/],
  ["bytes that are no UTF-8", Buffer.from([0xff, 0xfe]), "", /Cannot read .*: it is not UTF-8$/],
  ["10 MB", " ".repeat(10_000_000), "", /larger than/],
];
for (const [what, text, path, reason] of faults) {
  test(`${what} is a problem with place and reason`, async () => {
    const { valid, problems } = await judge("bad.json", text);
    assert.equal(valid, false);
    const found = problems.find((problem) => problem.path === path);
    assert.match(found?.reason ?? JSON.stringify(problems), reason);
  });
}

test("what can't be read is a problem of that file, not the end of the command", async () => {
  const validator = new FileValidator();
  assert.match(
    (await validator.judge(join(folder, "gone"))).problems[0]?.reason ?? "",
    /: it does not exist$/,
  );
  assert.match((await validator.judge(folder)).problems[0]?.reason ?? "", /: it is a folder$/);
  execFileSync("mkfifo", [join(folder, "pipe")]);
  assert.match(
    (await validator.judge(join(folder, "pipe"))).problems[0]?.reason ?? "",
    /: it is not a regular file$/,
  );
  await symlink("loop", join(folder, "loop"));
  assert.match(
    (await validator.judge(join(folder, "loop"))).problems[0]?.reason ?? "",
    /: it is a loop of symlinks$/,
  );
});

test("a valid document of a door that is not built is said to be refused by the bridge", async () => {
  const validator = new FileValidator();
  const examples = fileURLToPath(new URL("../../contracts/examples/", import.meta.url));
  const note = async (path: string): Promise<string | null> => {
    const { valid, note: said } = await validator.judge(join(examples, path));
    assert.equal(valid, true);
    return said;
  };
  assert.match(
    (await note("BrowserDoor/valid/linux-isolated.json")) ?? "",
    /no door for "BrowserDoor".*refuses/,
  );
  assert.match((await note("EditorDoor/valid/linux-vscode.json")) ?? "", /no door for "EditorDoor".*refuses/);
  const shared = await note("HostInterfaceGrant/valid/macos-browser-profile-sharing.json");
  assert.match(shared ?? "", /makes no such grant/);
  const editor = await note("SecureHostInterfaceProfile/valid/linux-editor.json");
  assert.match(editor ?? "", /no editor door.*refuses/);
  for (const built of [
    "SecureHostInterfaceProfile/valid/linux-terminal.json",
    "TerminalDoor/valid/linux-default.json",
    "HostInterfaceGrant/valid/linux-agent-tools.json",
  ])
    assert.equal(await note(built), null);
});

test("a contract can be named for documents that name none, and every published schema can be found", async () => {
  const policy = await judge("policy.yaml", "version: 1\nroots: []\n", "Policy");
  assert.equal(policy.valid, true);
  assert.equal(publishedSchema("BrowserDoor")["title"], "BrowserDoor");
});
