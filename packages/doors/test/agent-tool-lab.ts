import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { DEFAULT_TERMINAL_DOOR, DoorwardError, type Operation } from "@doorward/contracts";
import { openGuestFiles, type GuestFiles, type GuestLink, type ReachedRoot } from "@doorward/guest";
import type * as z from "zod";
import { startLab, type Lab } from "../../bridge/test/guest-harness.ts";
import type { AgentSession } from "../src/agent-tool/agent-session.ts";
import type { Tool, ToolAnswer, ToolCall } from "../src/agent-tool/tool.ts";
import { applyPatch } from "../src/agent-tool/tools/apply-patch.ts";
import { editFile } from "../src/agent-tool/tools/edit-file.ts";
import { findFiles } from "../src/agent-tool/tools/find-files.ts";
import { gitDiff } from "../src/agent-tool/tools/git-diff.ts";
import { gitStatus } from "../src/agent-tool/tools/git-status.ts";
import { listDirectory } from "../src/agent-tool/tools/list-directory.ts";
import { readFile as readFileTool } from "../src/agent-tool/tools/read-file.ts";
import { searchFiles } from "../src/agent-tool/tools/search-files.ts";
import { writeFile as writeFileTool } from "../src/agent-tool/tools/write-file.ts";
import type { MachineReach } from "../src/door.ts";

let guest: Lab | undefined;

// a real guest as a process of this host, one for all tests of a file
before(async () => {
  guest = await startLab();
});
after(() => guest?.[Symbol.asyncDispose]());

/** The link to the guest. */
export function guestLink(): GuestLink {
  if (guest === undefined) throw new Error("no guest yet");
  return guest.link;
}

/** Digest as the machine's files have it. */
export function digestOf(bytes: Buffer | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Files of the guest within a folder, with a look at what tools do with them. */
export class WatchedFiles implements GuestFiles {
  readonly #files: Promise<GuestFiles>;
  readonly open = true;
  /** Called before a change is made, as another process that changes files meanwhile. */
  meanwhile: (() => Promise<void>) | undefined;
  reads = 0;

  constructor(roots: readonly ReachedRoot[], workdir: string) {
    this.#files = openGuestFiles(guestLink(), { roots, workdir }, AbortSignal.timeout(300_000));
  }

  async stat(...args: Parameters<GuestFiles["stat"]>): ReturnType<GuestFiles["stat"]> {
    return await (await this.#files).stat(...args);
  }

  async read(...args: Parameters<GuestFiles["read"]>): ReturnType<GuestFiles["read"]> {
    this.reads += 1;
    return await (await this.#files).read(...args);
  }

  async change(...args: Parameters<GuestFiles["change"]>): ReturnType<GuestFiles["change"]> {
    await this.meanwhile?.();
    return await (await this.#files).change(...args);
  }

  async list(...args: Parameters<GuestFiles["list"]>): ReturnType<GuestFiles["list"]> {
    return await (await this.#files).list(...args);
  }

  async find(...args: Parameters<GuestFiles["find"]>): ReturnType<GuestFiles["find"]> {
    return await (await this.#files).find(...args);
  }

  async search(...args: Parameters<GuestFiles["search"]>): ReturnType<GuestFiles["search"]> {
    return await (await this.#files).search(...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#files)[Symbol.asyncDispose]();
  }
}

const ALL: readonly Operation[] = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
];

/** What a lab's session is like where a test does not say. */
export interface LabOptions {
  readonly operations?: readonly Operation[];
  readonly reach?: MachineReach;
  readonly files?: GuestFiles;
}

/** An agent's session at a folder. */
export function sessionAt(root: string, options: LabOptions = {}): AgentSession {
  const { operations = ALL } = options;
  const files = options.files ?? new WatchedFiles([{ path: root, access: "rw" }], root);
  const link = guestLink();
  const host = { dial: link.dial.bind(link) };
  const session = {
    door: {
      machine: { id: "m_testtesttesttest", name: "shop" },
      operations: new Set(operations),
      reach: options.reach ?? { workdir: root, folders: [{ path: "/", access: "rw" }], narrowed: false },
      host,
      spec: DEFAULT_TERMINAL_DOOR,
    },
    files: () => Promise.resolve(files),
  };
  return session as unknown as AgentSession;
}

const TOOLS = {
  read_file: readFileTool,
  list_directory: listDirectory,
  find_files: findFiles,
  search_files: searchFiles,
  write_file: writeFileTool,
  edit_file: editFile,
  apply_patch: applyPatch,
  git_status: gitStatus,
  git_diff: gitDiff,
} as const;

/** What a tool answers, by its name. */
export type AnswerOf<Name extends keyof typeof TOOLS> = ToolAnswer<z.output<(typeof TOOLS)[Name]["output"]>>;

/** Calls a tool as the caller does: arguments and answer have the shapes that it declares. */
export async function callTool<Name extends keyof typeof TOOLS>(
  session: AgentSession,
  name: Name,
  args: unknown,
): Promise<AnswerOf<Name>> {
  const tool: Tool = TOOLS[name];
  const call = { session, signal: AbortSignal.timeout(300_000), shown: null, progress: () => undefined };
  const answer = await tool.call(tool.input.parse(args), call as unknown as ToolCall);
  return { ...answer, structured: tool.output.parse(answer.structured) } as AnswerOf<Name>;
}

// in memory where that can be: each change is made durable, which takes most of the time on a disk
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A folder that is gone afterwards. */
export async function tempFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await realpath(await mkdtemp(join(memory, "dw-tools-")));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A failure with this code, whose message, and hint where given, say this. */
export function failing(
  code: DoorwardError["code"],
  message: RegExp,
  hint?: RegExp,
): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof DoorwardError)) throw error as Error;
    const fits =
      error.code === code &&
      message.test(error.message) &&
      (hint === undefined || hint.test(error.hint ?? ""));
    if (!fits) throw new Error(`${error.code}: ${error.message}\n${error.hint ?? "(no hint)"}`);
    return true;
  };
}
