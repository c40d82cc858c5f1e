import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const modules = fileURLToPath(new URL("node_modules/", import.meta.url));
const node24 = fileURLToPath(
  new URL(`../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
);
const extension = fileURLToPath(new URL("../../packages/vscode-ext/", import.meta.url));
const server = `${modules}code-server/out/node/entry.js`;
const chromium = "/usr/bin/chromium";

/** Why tests in a real VS Code skip; false when everything is installed. */
export const editorMissing =
  existsSync(`${modules}.ready`) && existsSync(node24) && existsSync(chromium)
    ? false
    : "VS Code is not installed: CI=true npm test installs it";

/** What tests use of an element of a page. */
export interface Element {
  click(options?: object): Promise<void>;
  hover(): Promise<void>;
  waitFor(options?: { state?: "visible" | "hidden"; timeout?: number }): Promise<void>;
  textContent(): Promise<string | null>;
  innerText(): Promise<string>;
  fill(text: string): Promise<void>;
  isVisible(): Promise<boolean>;
  count(): Promise<number>;
  first(): Element;
  locator(selector: string, options?: { hasText?: string | RegExp }): Element;
  getByRole(role: string, options?: { name?: string | RegExp; exact?: boolean }): Element;
}

/** What tests use of a page of Playwright. */
export interface Page {
  goto(url: string): Promise<unknown>;
  setDefaultTimeout(milliseconds: number): void;
  locator(selector: string, options?: { hasText?: string | RegExp }): Element;
  screenshot(options: object): Promise<unknown>;
  keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  mouse: { move(x: number, y: number): Promise<void> };
}

interface Browser {
  newPage(options: object): Promise<Page>;
  close(): Promise<void>;
}

interface Playwright {
  chromium: { launch(options: object): Promise<Browser> };
}

/** What one test's VS Code has that others have not. */
export interface EditorOptions {
  /** Folder that it opens, and asks its user about. */
  readonly project?: string;
  /** Models of its user's, as VS Code keeps them. */
  readonly models?: readonly { readonly vendor: string; readonly name: string }[];
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Packs an extension, ours as its users get it if no other is named; answers the .vsix. */
export async function packExtension(folder: string, source = extension): Promise<string> {
  const out = join(folder, "packed.vsix");
  const words = ["package", "--no-dependencies", "--skip-license", "--allow-missing-repository"];
  const args = [`${modules}@vscode/vsce/vsce`, ...words, "--no-rewrite-relative-links", "--out", out];
  await promisify(execFile)(process.execPath, args, { cwd: source });
  return out;
}

/** A real VS Code with our extension installed, in a browser. */
export class Editor implements AsyncDisposable {
  readonly page: Page;
  readonly #server: ChildProcess;
  readonly #browser: Browser;

  private constructor(page: Page, running: ChildProcess, browser: Browser) {
    this.page = page;
    this.#server = running;
    this.#browser = browser;
  }

  /** Starts it below a folder; `env` is what its extensions find the bridge by. */
  static async open(
    folder: string,
    vsix: string,
    env: Readonly<Record<string, string>>,
    { project, settings = {}, models = [] }: EditorOptions = {},
  ): Promise<Editor> {
    const home = join(folder, "editor");
    mkdirSync(join(home, "data", "User"), { recursive: true });
    writeFileSync(join(home, "data", "User", "settings.json"), JSON.stringify({ ...SETTINGS, ...settings }));
    writeFileSync(join(home, "data", "User", "chatLanguageModels.json"), JSON.stringify(models));
    const data = ["--user-data-dir", join(home, "data"), "--extensions-dir", join(home, "extensions")];
    const all = {
      ...env,
      ...{ HOME: home, XDG_CONFIG_HOME: join(home, "config"), XDG_DATA_HOME: join(home, "share") },
      EXTENSIONS_GALLERY: '{"serviceUrl":""}',
    };
    await promisify(execFile)(node24, [server, ...data, "--install-extension", vsix], { env: all });
    const args = [
      server,
      "--auth",
      "none",
      "--bind-addr",
      "127.0.0.1:0",
      ...data,
      ...QUIET,
      ...(project === undefined ? ["--disable-workspace-trust"] : []),
    ];
    const running = spawn(node24, args, { env: all, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const { chromium: kind } = (await import(`${modules}playwright-core/index.mjs`)) as Playwright;
    const browser = await kind.launch({ executablePath: chromium, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage({ viewport: { width: 1100, height: 560 } });
      page.setDefaultTimeout(60_000);
      const url = await urlOf(running);
      await page.goto(project === undefined ? url : `${url}/?folder=${encodeURIComponent(project)}`);
      return new Editor(page, running, browser);
    } catch (error) {
      end(running);
      await browser.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    const closed = once(this.#server, "close");
    end(this.#server);
    await closed;
  }
}

/** Its extension hosts are processes of their own, in its group. */
function end({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, "SIGKILL");
}

/** Where it listens; what it writes is read on, so that it never waits for a reader. */
function urlOf(running: ChildProcess): Promise<string> {
  let told = "";
  return new Promise((resolve, reject) => {
    running.once("close", () => reject(new Error(`VS Code did not start: ${told}`)));
    for (const stream of [running.stdout, running.stderr])
      stream?.on("data", (chunk: Buffer) => {
        told += chunk.toString();
        const url = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(told)?.[1];
        if (url !== undefined) resolve(url);
      });
  });
}

const SETTINGS = {
  // A server of VS Code does not run what is of kind "ui": it may be inside a machine. This one is on the bridge's host.
  "remote.extensionKind": { "doorward.doorward-vscode": ["workspace"] },
  "chat.disableAIFeatures": true,
  "chat.agentHost.enabled": false,
  "telemetry.telemetryLevel": "off",
  "git.enabled": false,
  "workbench.startupEditor": "none",
  "workbench.colorTheme": "Default Light Modern",
  "window.commandCenter": false,
  "window.title": "shop",
};

const QUIET = [
  ...["--disable-telemetry", "--disable-update-check"],
  ...["--disable-getting-started-override", "--reconnection-grace-time", "5"],
];
