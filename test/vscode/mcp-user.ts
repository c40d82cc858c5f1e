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

  async #listServers(): Promise<void> {
    const command = "MCP: List Servers";
    await this.#page.keyboard.press("F1");
    await this.#page.locator(".quick-input-widget input").first().fill(`>${command}`);
    await this.#rows(command).first().click();
    await this.#rows("Add Server").first().waitFor();
  }

  #rows(text = ""): Element {
    return this.#page.locator(".quick-input-list .monaco-list-row", { hasText: text });
  }
}
