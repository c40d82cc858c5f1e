import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { DoorwardClient } from "@doorward/client";
import type { EvidencePredicate } from "@doorward/contracts";
import {
  ask,
  codeOf,
  execRequest,
  openActionLab,
  pendingOf,
  recorded,
  workflowRequest,
  writeRequest,
  type ActionLab,
  type Asked,
} from "../support/action-lab.ts";
import { Editor, editorMissing, packExtension, type Element, type Page } from "./editor.ts";

/** What an agent may write to look like something else in an editor. */
const HOSTILE = "[Fix](command:workbench.action.closeWindow) $(trash) <img src=x> **bold** `x` \\u202e";

/** What its text would become if an editor took it for markup. */
const ELEMENTS = ":is(a, img, strong, code, .codicon, .detected-link)";

describe("approvals in a real VS Code", { skip: editorMissing, timeout: 600_000 }, () => {
  let actions: ActionLab;
  let operator: DoorwardClient;
  let page: Page;
  const opened: AsyncDisposable[] = [];

  before(async () => {
    actions = await openActionLab();
    opened.push(actions);
    const { lab } = actions;
    const editor = await Editor.open(lab.root, await packExtension(lab.root), lab.env);
    opened.push(editor);
    page = editor.page;
  });
  // In reverse, and also what a failed set-up had opened by then.
  after(async () => {
    for (const each of opened.reverse()) await each[Symbol.asyncDispose]();
  });

  const items = (): Element => page.locator(".pane-body .monaco-list-row");
  const dialog = (): Element => page.locator(".monaco-dialog-box");
  const shown = (hasText: string | RegExp = ""): Element =>
    page.locator(".editor-instance .view-lines", { hasText });

  async function decided(approval: string): Promise<readonly [string, string] | undefined> {
    const records = await recorded<EvidencePredicate<"approval">>(operator, "approval", 20);
    const found = records.find((record) => record.approval === approval);
    return found === undefined ? undefined : [found.decision, found.where];
  }

  /** Asks, and opens the full effect from the list. */
  async function askAndShow(body: unknown): Promise<{ asked: Asked; id: string }> {
    await items().first().waitFor({ state: "hidden" });
    const asked = ask(operator, body);
    const id = await asked.waiting;
    await items().first().click();
    await shown().locator(".view-line", { hasText: id }).first().waitFor();
    return { asked, id };
  }

  const press = (name: string): Promise<void> =>
    page.locator(".editor-group-container .editor-actions").getByRole("button", { name }).click();
  const answer = (name: string): Promise<void> => dialog().getByRole("button", { name, exact: true }).click();

  /** A notice in the list of all, where it stays: one of its own is there for some seconds, or not at all beside others. */
  async function noticeOf(text: string): Promise<Element> {
    const list = page.locator(".notifications-center");
    if (!(await list.isVisible())) await page.locator("#status\\.notifications").click();
    const notice = list.locator(".notification-list-item", { hasText: text }).first();
    await notice.waitFor();
    return notice;
  }

  it("says that the bridge isn't running, with the command that starts it, and finds it when it runs", async () => {
    await page
      .locator(".activitybar")
      .getByRole("tab", { name: /^Doorward/ })
      .click();
    const told = /isn't running[^]*doorward bridge restart/;
    await page.locator(".welcome-view-content", { hasText: told }).first().waitFor();
    assert.equal((await actions.lab.run(["action", "ls"])).code, 0);
    operator = actions.lab.client();
    opened.push(operator);
    await page.locator(".welcome-view-content", { hasText: "Nothing waits" }).first().waitFor();
  });

  it("shows what others wrote as text: no link, no icon, no element of it", async () => {
    const path = join(actions.notes, "hostile");
    const request = workflowRequest(actions, ["touch", "hostile"]);
    const titled = { ...request, payload: { ...request.payload, title: HOSTILE } };
    const asked = ask(operator, titled);
    const id = await asked.waiting;
    const row = items().first();
    await row.waitFor();
    const notice = await noticeOf("Fix");
    await page.mouse.move(500, 250);
    const told = notice.locator(".notification-list-item-message");
    assert.match((await told.textContent()) ?? "", /\[Fix\] \(command:/);
    assert.equal(await told.locator(ELEMENTS).count(), 0);
    assert.match((await row.textContent()) ?? "", /\$\(trash\) <img src=x>/);
    assert.equal(await row.locator(".label-name").locator(ELEMENTS).count(), 0);
    await notice.getByRole("button", { name: "Show" }).click();
    await shown().locator(".view-line", { hasText: "command:workbench" }).first().waitFor();
    assert.equal(await shown().locator(ELEMENTS).count(), 0);
    await press("Approve...");
    await dialog().waitFor();
    assert.match(
      (await dialog().textContent()) ?? "",
      /\[Fix\]\(command:workbench\.action\.closeWindow\) \$\(trash\) <img/,
    );
    assert.equal(await dialog().locator(".dialog-message-container").locator(ELEMENTS).count(), 0);
    await answer("Cancel");
    assert.equal((await pendingOf(operator, id)).id, id, "closing the question decides nothing");
    await operator.call("approvals.deny", { params: { approval: id }, body: {} });
    assert.equal(codeOf(await asked.done), "CANCELLED");
    await shown()
      .locator(".view-line", { hasText: /does.not.wait.any.more/ })
      .first()
      .waitFor();
    assert.equal(existsSync(path), false);
  });

  it("approves with a click: the file is written, and the record says that it was in an editor", async () => {
    const path = join(actions.notes, "today.md");
    const content = "- all tests pass\n- shown in full before it was written\n";
    const { asked, id } = await askAndShow(writeRequest(path, content));
    for (const text of [path, "all tests pass", "shown in full", "sha256:"])
      await shown(spaced(text)).first().waitFor();
    assert.equal(existsSync(path), false);
    const { DOORWARD_TEST_SCREENSHOT: picture } = process.env;
    if (picture !== undefined) await page.screenshot({ path: picture });
    await press("Approve...");
    await answer("Approve");
    assert.equal(codeOf(await asked.done), "done");
    assert.equal(readFileSync(path, "utf8"), content);
    assert.deepEqual(await decided(id), ["approved", "editor"]);
  });

  it("denies with a click: nothing is written, and the record says that it was in an editor", async () => {
    const path = join(actions.notes, "never");
    const { asked, id } = await askAndShow(writeRequest(path, "x"));
    await press("Deny...");
    await answer("Deny");
    assert.equal(codeOf(await asked.done), "CANCELLED");
    assert.equal(existsSync(path), false);
    assert.deepEqual(await decided(id), ["denied", "editor"]);
  });

  it("approves for a time: exactly the same is not asked about again, anything else is", async () => {
    const { asked, id } = await askAndShow(writeRequest(join(actions.notes, "again"), "x"));
    await press("Approve for a Time...");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "10 minutes" }).first().click();
    await answer("Approve for 10 minutes");
    assert.equal(codeOf(await asked.done), "done");
    assert.deepEqual(await decided(id), ["approved", "editor"]);
    const other = ask(operator, execRequest(actions, ["touch", "other"]));
    await operator.call("approvals.deny", { params: { approval: await other.waiting }, body: {} });
    assert.equal(codeOf(await other.done), "CANCELLED");
  });

  it("decides nothing that was decided elsewhere meanwhile", async () => {
    const path = join(actions.notes, "elsewhere");
    const { asked, id } = await askAndShow(writeRequest(path, "x"));
    await press("Approve...");
    await dialog().waitFor();
    assert.equal((await actions.lab.run(["action", "deny", id])).code, 0);
    await answer("Approve");
    await noticeOf("nothing of this id is pending");
    assert.equal(codeOf(await asked.done), "CANCELLED");
    assert.deepEqual(await decided(id), ["denied", "command"]);
    assert.equal(existsSync(path), false);
  });
});

/** Editors show spaces as no-break spaces. */
function spaced(text: string): RegExp {
  return new RegExp(text.replaceAll(/[^\w\s]/g, "\\$&").replaceAll(" ", "[ \u00a0]"));
}
