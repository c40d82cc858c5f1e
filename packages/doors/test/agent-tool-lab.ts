import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DoorwardError, type Operation, DEFAULT_TERMINAL_DOOR } from "@doorward/contracts";
import type {
  Expectation,
  FileChange,
  FileChanged,
  FileContent,
  FileStat,
  FolderEntry,
  GuestFiles,
  StreamOpen,
} from "@doorward/guest";
import type { Duplex } from "node:stream";
import type * as z from "zod";
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

/** Digest as the machine's files have it. */
export function digestOf(bytes: Buffer | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function failure(code: DoorwardError["code"], path: string, why: string): DoorwardError {
  return new DoorwardError({ code, message: `Cannot use "${path}": ${why}` });
}

/** Files of a plain folder as the machine's file port has them, for tests of what tools make of them; no reach, no search. */
export class FolderFiles implements GuestFiles {
  readonly open = true;
  readonly root: string;
  /** Called before a change is made, as another process that changes files meanwhile. */
  meanwhile: (() => Promise<void>) | undefined;
  reads = 0;

  constructor(root: string) {
    this.root = root;
  }

  async stat(path: string): Promise<FileStat> {
    const at = await this.#real(path);
    const found = await stat(at);
    const kind = found.isFile() ? "file" : found.isDirectory() ? "folder" : "other";
    return {
      path: at,
      kind,
      size: found.size,
      modifiedMs: found.mtimeMs,
      executable: (found.mode & 0o100) !== 0,
    };
  }

  async read(
    path: string,
    range: { readonly offset: number; readonly length: number },
  ): Promise<FileContent> {
    this.reads += 1;
    const bytes = await readFile(await this.#real(path));
    const part = bytes.subarray(range.offset, range.offset + range.length);
    return { bytes: part, size: bytes.length, digest: part.length === bytes.length ? digestOf(bytes) : null };
  }

  async change(changes: readonly FileChange[]): Promise<readonly FileChanged[]> {
    await this.meanwhile?.();
    const before = await Promise.all(changes.map((change) => this.#content(change.path)));
    for (const [index, change] of changes.entries()) {
      if (!holds(change.expect, before[index] ?? null))
        throw failure("PATH_CHANGED", change.path, "it is another file");
      if (change.kind === "move" && (await this.#content(change.to)) !== null)
        throw failure("PATH_CHANGED", change.to, "it is there");
    }
    const done: FileChanged[] = [];
    for (const [index, change] of changes.entries()) {
      done.push(await this.#make(change, before[index] === null));
    }
    return done;
  }

  async list(): Promise<{ items: FolderEntry[]; truncated: boolean }> {
    const entries = await readdir(this.root);
    const items = entries.map((name) => join(this.root, name));
    return { items: items.map((path) => ({ path, kind: "file", size: 0, modifiedMs: 0 })), truncated: false };
  }

  find(): Promise<never> {
    return Promise.reject(new Error("not here"));
  }

  search(): Promise<never> {
    return Promise.reject(new Error("not here"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #make(change: FileChange, absent: boolean): Promise<FileChanged> {
    const path = resolve(this.root, change.path);
    if (change.kind === "remove") {
      await rm(path);
      return { path, digest: null, created: false };
    }
    const to = resolve(this.root, change.kind === "move" ? change.to : change.path);
    if (change.parents)
      await mkdir(dirname(to), { recursive: true }).catch(() => {
        throw failure("PATH_NOT_DIRECTORY", change.path, "a file stands where a folder should be");
      });
    if (change.kind === "move") {
      await rename(path, to);
      return { path: to, digest: null, created: true };
    }
    await writeFile(to, change.bytes);
    return { path: to, digest: digestOf(change.bytes), created: absent };
  }

  async #real(path: string): Promise<string> {
    if (path.includes("\0")) throw failure("PATH_INVALID", path, "it has a NUL");
    const at = resolve(this.root, path);
    if (at !== this.root && !at.startsWith(`${this.root}/`))
      throw failure("PATH_NOT_ALLOWED", path, "it lies outside");
    return await realpath(at).catch((thrown: unknown) => {
      const error = thrown as NodeJS.ErrnoException;
      if (error.code === "ENOENT" || error.code === "ENOTDIR")
        throw failure("PATH_NOT_FOUND", path, "it does not exist");
      throw failure("PATH_INVALID", path, error.code ?? "unknown");
    });
  }

  async #content(path: string): Promise<Buffer | null> {
    const at = await this.#real(path).catch((error: unknown) => {
      if (error instanceof DoorwardError && error.code === "PATH_NOT_FOUND") return null;
      throw error;
    });
    return at === null ? null : await readFile(at);
  }
}

function holds(expect: Expectation, content: Buffer | null): boolean {
  if (expect === "any") return true;
  if (expect === "absent") return content === null;
  return content !== null && digestOf(content) === expect.digest;
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
  readonly dial?: (open: StreamOpen, signal: AbortSignal) => Promise<Duplex>;
}

/** An agent's session at a folder. */
export function sessionAt(root: string, options: LabOptions = {}): AgentSession {
  const { operations = ALL, files = new FolderFiles(root), dial } = options;
  const host = { dial: dial ?? (() => Promise.reject(new Error("no guest here"))) };
  const session = {
    door: {
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
  const call = { session, signal: AbortSignal.timeout(30_000), progress: () => undefined };
  const answer = await tool.call(tool.input.parse(args), call as unknown as ToolCall);
  return { ...answer, structured: tool.output.parse(answer.structured) } as AnswerOf<Name>;
}

/** A folder that is gone afterwards. */
export async function tempFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "dw-tools-")));
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
