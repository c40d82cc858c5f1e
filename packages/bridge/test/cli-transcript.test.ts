import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runHere, startCliLab, type CliLab } from "./cli-lab.ts";

const ID = "s_aaaaaaaaaa";
const HEADER = '{"version":3,"term":{"cols":80,"rows":24},"timestamp":1}';

let lab: CliLab;

before(async () => {
  lab = await startCliLab();
});
after(async () => await lab[Symbol.asyncDispose]());

/** Has the bridge know one transcript with these lines; `digest` is what its record says. */
function recorded(lines: readonly string[], digest?: string): string {
  const path = join(lab.home, "transcript");
  const text = [HEADER, ...lines, ""].join("\n");
  writeFileSync(path, text);
  const sha256 = createHash("sha256").update(text).digest("hex");
  const view = {
    id: ID,
    machine: { id: "m_shop000000", name: "shop" },
    subject: "operator:ada",
    execution: "operator",
    grant: "g_aaaaaaaaaa",
    terminal: "t_aaaaaaaaaa",
    state: "kept",
    startedAt: "2026-01-01T00:00:00.000Z",
    endedAt: "2026-01-01T00:01:05.000Z",
    deleteAt: "2026-02-01T00:00:00.000Z",
    path,
    reference: { digest: digest ?? `sha256:${sha256}`, bytes: text.length, path: null },
  };
  lab.answers.set("transcripts.show", () => view);
  lab.answers.set("transcripts.list", () => ({ transcripts: [view] }));
  return text;
}

test("a transcript is played with its pauses, stopped and gone on with by Space, and ended by q", async () => {
  recorded(['[0,"o","one "]', '[1,"o","two "]', '[1,"o","three "]', '[600,"o","never"]']);
  const screen = lab.pty(["transcript", "play", ID]);
  await screen.see("one");
  screen.type(" ");
  await delay(1500);
  assert.ok(!screen.text.includes("three"));
  screen.type(" ");
  await screen.see("three");
  screen.type("q");
  assert.equal((await screen.ended).exitCode, 0);
  assert.ok(!screen.text.includes("never"));
});

test("long pauses are cut, and speed is a factor", async () => {
  recorded(['[0,"o","one "]', '[600,"o","two "]', '[600,"o","three "]']);
  const screen = lab.pty(["transcript", "play", ID, "--idle-limit", "1s", "--speed", "10"]);
  await screen.see("three");
  assert.equal((await screen.ended).exitCode, 0);
});

test("what a transcript does beyond drawing does not reach the terminal, and the screen is put back", async () => {
  recorded([
    `[0,"o",${JSON.stringify("\u001b]52;c;cm0gLXJm\u0007\u001b]0;title\u0007\u001b[6n\u001b[?1049hhello")}]`,
    '[0,"i","\\u001b[21t"]',
  ]);
  const screen = lab.pty(["transcript", "play", ID]);
  await screen.ended;
  assert.ok(screen.text.includes("hello"));
  for (const hidden of ["52;", "title", "[6n", "21t"]) assert.ok(!screen.text.includes(hidden), hidden);
  assert.ok(screen.text.lastIndexOf("\u001b[?1049l") > screen.text.indexOf("hello"), screen.text);
});

test("an export equals the file, is never written over another, and leaves nothing when the digest is wrong", async () => {
  const text = recorded(['[0,"o","one"]']);
  const out = join(lab.home, "out.cast");
  assert.equal((await runHere(lab, ["transcript", "export", ID, "-o", out])).code, 0);
  assert.equal(readFileSync(out, "utf8"), text);
  const again = await runHere(lab, ["transcript", "export", ID, "-o", out]);
  assert.notEqual(again.code, 0);
  assert.match(again.stderr, /Cannot write/);
  recorded(['[0,"o","other"]'], `sha256:${"0".repeat(64)}`);
  const wrong = join(lab.home, "wrong.cast");
  const refused = await runHere(lab, ["transcript", "export", ID, "-o", wrong]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /its record says/);
  assert.equal(existsSync(wrong), false);
});

test("a file that is no transcript, or has a line that is no event, is refused", async () => {
  recorded(["[-1,7]"]);
  const line = await runHere(lab, ["transcript", "play", ID]);
  assert.match(line.stderr, /a line is no event/);
  writeFileSync(join(lab.home, "transcript"), '{"version":2}\n');
  const header = await runHere(lab, ["transcript", "play", ID]);
  assert.match(header.stderr, /no asciicast v3 header/);
  assert.notEqual(header.code, 0);
});

test("wrong ids, speeds and pauses are refused before the bridge is asked", async () => {
  lab.calls.length = 0;
  for (const args of [["t_1"], [ID, "--speed", "0"], [ID, "--idle-limit", "soon"], ["../../x"]])
    assert.equal((await runHere(lab, ["transcript", "play", ...args])).code, 2, args.join(" "));
  assert.equal(lab.calls.filter(({ id }) => id.startsWith("transcripts")).length, 0);
});

test("a listing names session, machine, subject, length and size", async () => {
  recorded(['[0,"o","one"]']);
  const { stdout } = await runHere(lab, ["transcript", "ls"]);
  assert.match(stdout.toString(), /s_aaaaaaaaaa {2}shop {5}operator:ada .* 1m5s .* B/);
  const json = JSON.parse((await runHere(lab, ["transcript", "ls", "--json"])).stdout.toString()) as object;
  assert.deepEqual(Object.keys(json), ["transcripts"]);
});
