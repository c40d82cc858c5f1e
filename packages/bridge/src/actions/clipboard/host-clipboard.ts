import { spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { ACTION_LIMITS, type ActionCode } from "@doorward/contracts";
import { ActionError } from "../action-error.ts";
import { hostFailure, reasonOf } from "../failures.ts";
import type { Clipboard } from "../ports.ts";
import { keepOutput } from "../run/bounded-output.ts";
import { chooseClipboard, type ClipboardCommand, type ClipboardTool } from "./clipboard-tools.ts";

const TIME_LIMIT_MS = 5000;
const FOLDERS = ["/usr/bin", "/usr/local/bin", "/bin"];
/** What reaching the session takes; nothing else of the bridge's environment is handed on. */
const KEYS = ["WAYLAND_DISPLAY", "DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "HOME", "SystemRoot"];

/** What the clipboard needs to know of this host's session. */
export interface HostClipboardOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform?: NodeJS.Platform;
  /** Folders that tools are looked for in; the system's when absent. */
  readonly folders?: readonly string[];
}

/** The clipboard of the session that the bridge runs in, through the session's own tools. */
export class HostClipboard implements Clipboard {
  readonly #platform: NodeJS.Platform;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #folders: readonly string[];

  constructor({ env, platform = process.platform, folders }: HostClipboardOptions) {
    this.#env = env;
    this.#platform = platform;
    this.#folders = folders ?? foldersOf(platform, env);
  }

  async read(signal: AbortSignal): Promise<string> {
    const { name, read } = this.#tool();
    const bytes = await this.#run(
      read,
      null,
      signal,
      "CLIPBOARD_READ_FAILED",
      `Cannot read the clipboard with ${name}`,
    );
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      throw hostFailure("Cannot read the clipboard: it holds no text", error, "CLIPBOARD_READ_FAILED");
    }
  }

  async write(text: string, signal: AbortSignal): Promise<void> {
    const { name, write } = this.#tool();
    const what = `Cannot write the clipboard with ${name}`;
    if (Buffer.byteLength(text) > ACTION_LIMITS.clipboardBytes)
      throw hostFailure(`${what}: the text is too large`, undefined, "CLIPBOARD_WRITE_FAILED");
    await this.#run(write, text, signal, "CLIPBOARD_WRITE_FAILED", what);
  }

  #tool(): ClipboardTool {
    const choice = chooseClipboard(this.#platform, this.#env, (name) => findProgram(name, this.#folders));
    if ("tool" in choice) return choice.tool;
    throw hostFailure(`Cannot reach the clipboard: ${choice.missing}`, undefined, "CLIPBOARD_UNSUPPORTED");
  }

  /**
   * Runs a tool. One that writes stays behind to serve the text, as X11 and Wayland want it, so it holds no stream of
   * ours but the one it reads, and only its first process is waited for.
   */
  async #run(
    { file, args }: ClipboardCommand,
    input: string | null,
    signal: AbortSignal,
    code: ActionCode,
    what: string,
  ): Promise<Buffer> {
    const limit = AbortSignal.timeout(TIME_LIMIT_MS);
    const child = spawn(file, args, {
      env: sessionEnvironment(this.#env),
      cwd: this.#platform === "win32" ? undefined : "/",
      shell: false,
      windowsHide: true,
      killSignal: "SIGKILL",
      signal: AbortSignal.any([signal, limit]),
      stdio: ["pipe", input === null ? "pipe" : "ignore", "ignore"],
    });
    child.stdin?.on("error", () => undefined);
    const output = child.stdout === null ? null : keepOutput(child.stdout, ACTION_LIMITS.clipboardBytes);
    child.stdin?.end(input ?? undefined);
    const exit = await once(child, input === null ? "close" : "exit").catch((error: unknown) => {
      if (signal.aborted) throw new ActionError({ code: "CANCELLED", message: `${what}: it was cancelled` });
      throw hostFailure(`${what}: ${limit.aborted ? "it did not answer" : reasonOf(error)}`, error, code);
    });
    const status: unknown = exit[0];
    if (status !== 0) throw hostFailure(`${what}: it ended with ${String(status)}`, undefined, code);
    if (output?.truncated === true) throw hostFailure(`${what}: the text is too large`, undefined, code);
    return output?.bytes() ?? Buffer.alloc(0);
  }
}

function foldersOf(
  platform: NodeJS.Platform,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (platform !== "win32") return FOLDERS;
  return [`${env["SystemRoot"] ?? "C:\\Windows"}\\System32\\WindowsPowerShell\\v1.0`];
}

function findProgram(name: string, folders: readonly string[]): string | null {
  return folders.map((folder) => join(folder, name)).find(isSystemProgram) ?? null;
}

/** On Windows the folder alone says it: there are no modes. */
function isSystemProgram(path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return false;
  if (process.platform === "win32") return true;
  const stat = statSync(realpathSync(path));
  return stat.isFile() && stat.uid === 0 && (stat.mode & 0o022) === 0;
}

function sessionEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    KEYS.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]] as const])),
  );
}
