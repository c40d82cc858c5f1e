import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { TranscriptView } from "@doorward/contracts";
import { openLab, type Lab } from "../support/lab.ts";

const policy = `profiles:
  default:
    doors:
      terminal:
        transcript: { capture: output, format: asciicast-v3, maxBytes: 1000000, retention: 7d }
        redaction:
          mode: required-before-capture
          patterns:
            - { name: badge, match: prefix, literal: "EMP-", run: digits, minLength: 6 }
`;

describe("transcripts of a real machine", () => {
  let lab: Lab;
  let machine: string;

  before(async () => {
    lab = await openLab({ policy });
    machine = await lab.up(lab.repo("shop"));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const transcripts = async (): Promise<readonly TranscriptView[]> =>
    (await lab.json<{ transcripts: TranscriptView[] }>(["transcript", "ls", machine])).transcripts;

  it("an attach is recorded without its secrets, named by digest in its record, played, exported and verified", async () => {
    const screen = lab.screen(["attach", machine]);
    await screen.see("recorded");
    await screen.see(/[$#] /);
    screen.type("printf 'gh%s_\\033[31m%s %s\\n' p 0123456789abcdefghij EMP-123456; echo do''ne\r");
    await screen.see("done");
    screen.type("exit\r");
    await screen.ended;
    await lab.until("the transcript is kept", async () => (await transcripts())[0]?.state === "kept");
    const [view] = await transcripts();
    assert.ok(view?.reference != null);
    const text = readFileSync(view.path, "utf8");
    assert.equal(`sha256:${createHash("sha256").update(text).digest("hex")}`, view.reference.digest);
    assert.ok(text.includes("[github-token]") && text.includes("[badge]") && text.includes("done"), text);
    assert.ok(!text.includes("EMP-1"), text);

    const [close] = await lab.records("session-close", 1);
    const shown = await lab.run(["evidence", "show", String(close?.index)]);
    assert.ok(shown.stdout.includes(view.reference.digest), shown.stdout);

    const played = await lab.run(["transcript", "play", view.id]);
    assert.equal(played.code, 0, played.stderr);
    assert.ok(played.stdout.includes("[github-token]") && played.stdout.includes("done"));
    const player = lab.screen(["transcript", "play", view.id, "--speed", "100", "--idle-limit", "0.1s"]);
    await player.see("done");
    assert.equal(await player.ended, 0);

    const out = join(lab.root, "out.cast");
    assert.equal((await lab.run(["transcript", "export", view.id, "-o", out])).code, 0);
    assert.equal(readFileSync(out, "utf8"), text);
    assert.notEqual((await lab.run(["transcript", "export", view.id, "-o", out])).code, 0);

    const bundle = join(lab.root, "bundle");
    assert.equal((await lab.run(["evidence", "export", bundle])).code, 0);
    assert.ok(existsSync(join(bundle, view.reference.path ?? "")));
    const verified = await lab.run(["evidence", "verify", bundle, "--key", join(bundle, "key.vkey")]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });

  it("kill -9 of the bridge in the middle of a session leaves a transcript that is played up to there", async () => {
    const screen = lab.screen(["attach", machine]);
    await screen.see(/[$#] /);
    screen.type("echo before-the-ki''ll\r");
    await screen.see("before-the-kill");
    const folder = join(lab.evidence, "transcripts");
    const written = (): boolean =>
      readdirSync(folder).some((name) => heldBy(join(folder, name)).includes("before-the-kill"));
    await lab.until("it is in the file", written);
    await lab.killBridge();
    assert.equal((await lab.run(["ls"])).code, 0);
    let lost: TranscriptView | undefined;
    await lab.until("the lost one is kept", async () => {
      lost = (await transcripts()).find(({ path }) => heldBy(path).includes("was lost here"));
      return lost !== undefined;
    });
    assert.ok(lost !== undefined);
    const played = await lab.run(["transcript", "play", lost.id]);
    assert.ok(played.stdout.includes("before-the-kill"), played.stderr);
    const closes = await lab.records("session-close", 20);
    assert.ok(
      closes.some(({ summary }) => summary.includes("BRIDGE_LOST")),
      JSON.stringify(closes),
    );
    screen.pty.kill("SIGKILL");
  });
});

/** What a file holds; nothing when the bridge gave it another name meanwhile. */
function heldBy(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
