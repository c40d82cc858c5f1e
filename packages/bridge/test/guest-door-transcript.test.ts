import assert from "node:assert/strict";
import { test } from "node:test";
import type { TerminalDoorSpec } from "@doorward/contracts";
import { attach, refusal } from "./guest-door-client.ts";
import { ROOMY, gate } from "./guest-door-lab.ts";

const RECORDED: TerminalDoorSpec = {
  ...ROOMY,
  transcript: { ...ROOMY.transcript, capture: "output", maxBytes: 100_000 },
};

test("a client that insists on a transcript gets no terminal where the profile captures none", async () => {
  const client = await attach({ transcript: "on" });
  assert.equal(await refusal(client), "4403 DOOR_NOT_OFFERED");
  assert.match(client.find("error")?.message ?? "", /transcripts are "off"/);
});

test("a client can't opt out of the transcript that the profile wants", async () => {
  const client = await attach({ transcript: "off" }, { spec: RECORDED });
  assert.equal(await refusal(client), "4403 DOOR_NOT_OFFERED");
});

test("a recorded session is told so, and its transcript has what was printed, without secrets and without keys", async () => {
  gate.recorded = [];
  const ended = gate.recordings;
  const client = await attach({ transcript: "on", cols: 100, rows: 30 }, { spec: RECORDED });
  await client.until("ready", () => client.find("ready") !== undefined);
  await client.until("notice", () => client.find("notice") !== undefined);
  assert.match(client.find("notice")?.message ?? "", /recorded/);
  client.type("printf 'ghp_%s\\n' 0123456789abcdefghij; read -rs X; echo got=${#X}\r");
  await client.see("ghp_0123456789abcdefghij");
  client.type("swordfish9\r");
  await client.see("got=10");
  client.type("exit 3\r");
  await client.end();
  await client.until("transcript", () => gate.recordings > ended);
  const [header, ...events] = gate.recorded.map((line) => JSON.parse(line) as unknown);
  assert.deepEqual((header as { term: object }).term, { cols: 100, rows: 30, type: "xterm-256color" });
  const text = gate.recorded.join("");
  assert.ok(text.includes("[github-token]") && text.includes("got=10"), text);
  assert.ok(!text.includes("ghp_0") && !text.includes("swordfish9"), text);
  assert.ok(events.some((event) => JSON.stringify(event).includes("operator operator:test types")));
  assert.deepEqual((events.at(-1) as unknown[]).slice(1), ["x", "3"]);
});

test("a flood is cut at the byte cap, and the viewer gets all of it", async () => {
  gate.recorded = [];
  const ended = gate.recordings;
  const client = await attach({}, { spec: RECORDED });
  await client.see("$ ");
  client.type("seq 1 200000; echo all-$((1+1))-there; exit\r");
  await client.end();
  await client.until("transcript", () => gate.recordings > ended);
  assert.ok(Buffer.byteLength(gate.recorded.join("")) <= 100_000);
  assert.ok(gate.recorded.at(-1)?.includes("transcript cut at 100000 bytes"));
  assert.ok(client.output.includes("all-2-there"));
});
