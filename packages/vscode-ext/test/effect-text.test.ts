import assert from "node:assert/strict";
import { test } from "node:test";
import type { PendingApproval } from "@doorward/contracts";
import { decidedText, dialogText, effectText, unlinked } from "../src/effect-text.ts";

const pending: PendingApproval = {
  id: "a_aaaaaaaaaaaa",
  operation: "system.fs.mutate",
  requestedBy: "agent:codex:s1",
  machine: { id: "m_aaaaaaaaaaaa", name: "shop" },
  title: "Write \u202e[x](command:y)\u001b[2J",
  lines: Array.from({ length: 40 }, (_, at) => `line ${String(at)} \u001b]0;t\u0007\u2066`),
  digest: `sha256:${"0".repeat(64)}`,
  lasting: true,
  requestedAt: "2026-11-21T10:00:00.000Z",
  expiresAt: "2026-11-21T10:00:45.000Z",
};

const hidden = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

test("every line of an effect is in its document, with its digest, who asks and where", () => {
  const text = effectText(pending);
  for (const part of [pending.id, pending.digest, "for agent:codex:s1 in shop", "line 0", "line 39"])
    assert.ok(text.includes(part), part);
  assert.ok(decidedText(pending).endsWith(text));
});

test("nothing that is shown has a control character or a direction mark", () => {
  for (const text of [
    effectText(pending),
    decidedText(pending),
    dialogText(pending),
    unlinked(pending.title),
  ])
    assert.doesNotMatch(text, hidden);
});

test("a dialog says how many lines it leaves out", () => {
  assert.match(dialogText(pending), /line 11 [^]*\.\.\. and 28 more lines, in the document/);
  assert.doesNotMatch(dialogText(pending), /line 12 /);
});

test("text of others in a notification is no link, whatever it is made of", () => {
  for (const text of [
    "[a](command:x)",
    "[a](https://x)",
    "[[a]](command:x)](file:y)",
    '[a](command:x "t")',
  ]) {
    const shown = unlinked(text);
    assert.doesNotMatch(shown, /\]\(/);
    assert.equal(shown.replaceAll("] (", "]("), text, "every character can still be read");
  }
});
