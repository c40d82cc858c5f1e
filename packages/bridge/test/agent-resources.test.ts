import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openGuestFiles } from "@doorward/guest";
import { OpenAgentSession } from "../../doors/src/agent-tool/agent-session.ts";
import { readResource, RESOURCE_BYTES } from "../../doors/src/agent-tool/mcp/resources.ts";
import { readFile } from "../../doors/src/agent-tool/tools/read-file.ts";
import { agentLab, type AgentLab, type AgentLabOptions } from "./agent-tool-lab.ts";
import { startLab, type Lab } from "./guest-harness.ts";

let guest: Lab;
let folder: string;

before(async () => {
  guest = await startLab();
  folder = await mkdtemp(join(tmpdir(), "dw-resources-"));
  await writeFile(join(folder, "text"), "one\ntwo\n");
  await writeFile(join(folder, "bytes"), Buffer.from([0xff, 0x00]));
  await writeFile(join(folder, "large"), Buffer.alloc(RESOURCE_BYTES + 1));
});
after(async () => {
  await guest[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const labOf = (more: Partial<AgentLabOptions> = {}): AgentLab =>
  agentLab({ tools: [readFile], link: guest.link, workdir: folder, ...more });

async function read(lab: AgentLab, name: string) {
  const roots = [{ path: folder, access: "rw" as const }];
  await using session = new OpenAgentSession(lab.door, "http", (_door, signal) =>
    openGuestFiles(guest.link, { roots, workdir: folder }, signal),
  );
  const client = { name: "Lab Client", version: "1" };
  const uri = `doorward://lab${folder}/${name}`;
  return await readResource(uri, lab.caller, { session, client }, new AbortController().signal);
}

test("a resource is read whole, and recorded as what it is: its link, all that was answered, its path", async () => {
  await using lab = labOf();
  const answer = await read(lab, "text");
  const uri = `doorward://lab${folder}/text`;
  assert.deepEqual(answer, { contents: [{ uri, text: "one\ntwo\n" }] });
  const [record, other] = lab.calls();
  assert.equal(other, undefined);
  assert.equal(record?.tool, "resources/read");
  assert.deepEqual(record.arguments, { uri });
  assert.equal(record.result, JSON.stringify(answer));
  assert.deepEqual(
    [record.target, record.outcome, record.effect, record.client],
    [join(folder, "text"), "completed", "reads", "lab-client"],
  );
});

test("what is no text comes as base64", async () => {
  await using lab = labOf();
  const { contents } = await read(lab, "bytes");
  assert.equal((contents[0] as { blob?: string }).blob, "/wA=");
});

for (const [name, code] of [
  ["missing", "PATH_NOT_FOUND"],
  ["large", "INPUT_TOO_LARGE"],
] as const) {
  test(`one that is ${name} is refused, which is recorded with its path`, async () => {
    await using lab = labOf();
    await assert.rejects(read(lab, name), name === "large" ? /1048577 bytes/ : { name: /Error/ });
    const [record] = lab.calls();
    assert.deepEqual(
      [record?.tool, record?.outcome, record?.code, record?.result, record?.target],
      ["resources/read", "failed", code, null, join(folder, name)],
    );
  });
}

test("without the right to call read_file there is no reading either, and nothing is answered unrecorded", async () => {
  await using none = labOf({ operations: ["agent-tool.list"] });
  await assert.rejects(read(none, "text"), /agent-tool\.read/);
  assert.deepEqual([none.calls()[0]?.tool, none.calls()[0]?.outcome], ["resources/read", "refused"]);
  await using unwritable = labOf({ record: () => Promise.reject(new Error("disk full")) });
  await assert.rejects(read(unwritable, "text"));
});
