import type { Element, Page } from "./editor.ts";

/** What someone does in VS Code who has an MCP server in the folder that is open. */
export class McpUser {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** Trusts the folder, which VS Code opened in Restricted Mode. */
  async trustFolder(): Promise<void> {
    await this.#page.locator(".part.banner").getByRole("button", { name: "Manage" }).click();
    const trust = this.#page.locator(".workspace-trust-buttons-row .monaco-button", { hasText: /^Trust/ });
    await trust.first().click();
    await this.#page.locator(".workspace-trust-title-text", { hasText: "You trust this folder" }).waitFor();
    await this.#page
      .locator(".modal-editor-part")
      .getByRole("button", { name: /^Close/ })
      .click();
  }

  /** Every server of "MCP: List Servers", as it is shown. */
  async servers(): Promise<string> {
    await this.#listServers();
    const shown = await this.#rows().first().locator("xpath=../..").innerText();
    await this.#page.keyboard.press("Escape");
    return shown;
  }

  /** Takes an action on a server, as "MCP: List Servers" offers it. */
  async act(server: string, action: string): Promise<void> {
    await this.#listServers();
    await this.#rows(server).first().click();
    await this.#rows(action).first().click();
  }

  /** Answers the question that VS Code asks before a call, and tells what it was. */
  async answer(name: "Yes" | "Cancel"): Promise<string> {
    const dialog = this.#page.locator(".monaco-dialog-box");
    await dialog.waitFor();
    const asked = await dialog.innerText();
    await dialog.getByRole("button", { name, exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
    return asked;
  }

  /** Enables VS Code's own agent, which otherwise waits for its user to sign in with GitHub. */
  async enableAgent(): Promise<void> {
    await this.command("Extensions: Show Built-in Extensions");
    await this.#page.locator(".extensions-viewlet .monaco-editor").first().click();
    await this.#page.keyboard.press("End");
    await this.#page.keyboard.type(" copilot");
    await this.#page
      .locator(".extensions-viewlet .monaco-list-row", { hasText: "GitHub Copilot" })
      .first()
      .waitFor();
    await this.command("Extensions: Enable All Extensions");
  }

  /** Says something to VS Code's own agent, and to that of its models which is not Copilot's. */
  async say(text: string): Promise<void> {
    await this.#chat("Scripted").waitFor();
    // What is said while it works is only queued.
    await this.#page
      .locator(".interactive-input-part .codicon-stop-circle")
      .first()
      .waitFor({ state: "hidden" });
    await this.#page.locator(".interactive-input-part .monaco-editor").first().click();
    await this.#page.keyboard.type(text);
    await this.#page.keyboard.press("Enter");
  }

  /** Waits until the agent shows something. */
  async reads(text: RegExp): Promise<void> {
    await this.#chat(text).waitFor();
  }

  /** Runs a command by its name. */
  async command(name: string): Promise<void> {
    await this.#page.keyboard.press("F1");
    await this.#page.locator(".quick-input-widget input").first().fill(`>${name}`);
    await this.#rows(name).first().click();
  }

  async #listServers(): Promise<void> {
    await this.command("MCP: List Servers");
    await this.#rows("Add Server").first().waitFor();
  }

  #chat(hasText: string | RegExp): Element {
    return this.#page.locator(".interactive-session", { hasText }).first();
  }

  #rows(text = ""): Element {
    return this.#page.locator(".quick-input-list .monaco-list-row", { hasText: text });
  }
}
