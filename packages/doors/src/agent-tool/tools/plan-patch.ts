import { DoorwardError } from "@doorward/contracts";
import type { Expectation, FileChange, FileStat, GuestFiles } from "@doorward/guest";
import type { ToolCall } from "../tool.ts";
import { CHANGED_FILE_BYTES, readWhole, type Planned } from "./change-files.ts";
import { absolutePath, requireFile } from "./machine-path.ts";
import { applyHunks } from "./patch/apply-hunks.ts";
import type { FilePatch } from "./patch/patch.ts";
import { decodeText, encodeText, requireWellFormed } from "./text-file.ts";

/** What becomes of one file of a patch. */
export interface PatchedFile {
  /** Absolute path afterwards. */
  readonly path: string;
  readonly action: "created" | "changed" | "deleted" | "moved";
  /** Where it was before; null unless it moved. */
  readonly from: string | null;
  readonly added: number;
  readonly removed: number;
}

/** Changes that one section of a patch makes, in order. */
export interface PatchStep {
  readonly changes: readonly FileChange[];
  readonly file: PatchedFile;
}

/** What a patched file has, the digest of what it was made from, and how much changed. */
interface NewContent {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly counts: Pick<PatchedFile, "added" | "removed">;
}

/** Works out all changes of a patch from what the files have now, without making any. */
export async function planPatch(
  patches: readonly FilePatch[],
  files: GuestFiles,
  call: ToolCall,
): Promise<Planned<readonly PatchStep[]>> {
  const planner = new PatchPlanner(files, call);
  const steps: PatchStep[] = [];
  for (const patch of joined(patches)) steps.push(await planner.step(patch));
  return { changes: steps.flatMap(({ changes }) => changes), extra: steps };
}

/** Updates of one file that follow each other become one. */
function joined(patches: readonly FilePatch[]): FilePatch[] {
  const result: FilePatch[] = [];
  for (const patch of patches) {
    const last = result.at(-1);
    const both = patch.kind === "update" && last?.kind === "update" && last.path === patch.path;
    if (both && last.to === null && patch.to === null) {
      const executable = patch.executable ?? last.executable;
      result[result.length - 1] = { ...last, hunks: [...last.hunks, ...patch.hunks], executable };
    } else result.push(patch);
  }
  return result;
}

class PatchPlanner {
  readonly #files: GuestFiles;
  readonly #call: ToolCall;
  readonly #seen = new Set<string>();

  constructor(files: GuestFiles, call: ToolCall) {
    this.#files = files;
    this.#call = call;
  }

  async step(patch: FilePatch): Promise<PatchStep> {
    if (patch.kind === "add") return await this.#add(patch);
    const stat = await requireFile(this.#files, patch.path, this.#call);
    this.#once(stat.path);
    if (patch.kind === "delete") return await this.#delete(patch, stat);
    return patch.to === null ? await this.#update(patch, stat) : await this.#move(patch, stat, patch.to);
  }

  async #add({ path, content, executable }: Extract<FilePatch, { kind: "add" }>): Promise<PatchStep> {
    await this.#vacant(path);
    requireWellFormed(`"${path}"`, content);
    const added = content.split("\n").length - (content.endsWith("\n") || content === "" ? 1 : 0);
    const bytes = Buffer.from(content, "utf8");
    return {
      changes: [{ kind: "write", path, bytes, expect: "absent", parents: true, executable }],
      file: { path: absolutePath(this.#call, path), action: "created", from: null, added, removed: 0 },
    };
  }

  async #delete({ hunks, path }: Extract<FilePatch, { kind: "delete" }>, stat: FileStat): Promise<PatchStep> {
    // by its name, as a link is deleted itself; what is deleted without hunks need not be text
    if (hunks.length === 0) return deletion(path, stat.path, await this.#asNow(stat), 0);
    const { bytes, digest } = await readWhole(this.#files, path, this.#call);
    const patched = applyHunks(path, decodeText(path, bytes).text, hunks);
    if (patched.text !== "") throw leftover(path);
    return deletion(path, stat.path, { digest }, patched.removed);
  }

  async #update(patch: Extract<FilePatch, { kind: "update" }>, { path }: FileStat): Promise<PatchStep> {
    const { bytes, digest, counts } = await this.#patched(patch);
    const write = { kind: "write", path, bytes, expect: { digest }, parents: false } as const;
    const { executable } = patch;
    const changes = [executable === null ? write : { ...write, executable }];
    return { changes, file: { path, action: "changed", from: null, ...counts } };
  }

  async #move(patch: Extract<FilePatch, { kind: "update" }>, stat: FileStat, to: string): Promise<PatchStep> {
    await this.#vacant(to);
    const { path } = patch;
    const file = { path: absolutePath(this.#call, to), action: "moved", from: stat.path } as const;
    const executable = patch.executable ?? stat.executable;
    if (patch.hunks.length === 0 && executable === stat.executable) {
      const move = { kind: "move", path, to, expect: await this.#asNow(stat), parents: true } as const;
      return { changes: [move], file: { ...file, added: 0, removed: 0 } };
    }
    const { bytes, digest, counts } = await this.#patched(patch);
    const write = { kind: "write", path: to, bytes, expect: "absent", parents: true, executable } as const;
    const remove = { kind: "remove", path, expect: { digest } } as const;
    return { changes: [write, remove], file: { ...file, ...counts } };
  }

  async #patched({ path, hunks }: Extract<FilePatch, { kind: "update" }>): Promise<NewContent> {
    const { bytes, digest } = await readWhole(this.#files, path, this.#call);
    // its mode alone changes, whatever it has
    if (hunks.length === 0) return { bytes, digest, counts: { added: 0, removed: 0 } };
    const file = decodeText(path, bytes);
    const { text, added, removed } = applyHunks(path, file.text, hunks);
    requireWellFormed(`"${path}"`, text);
    return { bytes: encodeText({ ...file, text }), digest, counts: { added, removed } };
  }

  /** Expects a file to stay as it is; one that is too large to be read for that may be anything. */
  async #asNow({ path, size }: FileStat): Promise<Expectation> {
    if (size > CHANGED_FILE_BYTES) return "any";
    const range = { offset: 0, length: CHANGED_FILE_BYTES };
    const { digest } = await this.#files.read(path, range, this.#call.signal);
    return digest === null ? "any" : { digest };
  }

  /** Refuses a path where something is already. */
  async #vacant(path: string): Promise<void> {
    this.#once(absolutePath(this.#call, path));
    const there = await this.#files.stat(path, this.#call.signal).catch((error: unknown) => {
      if (error instanceof DoorwardError && error.code === "PATH_NOT_FOUND") return null;
      throw error;
    });
    if (there === null) return;
    throw new DoorwardError({
      code: "PATH_CHANGED",
      message: `Cannot make "${path}" with a patch: it is there already`,
      hint: "Nothing was changed. Read it and update it, or delete it in a call of its own before",
    });
  }

  #once(path: string): void {
    if (!this.#seen.has(path)) {
      this.#seen.add(path);
      return;
    }
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot apply the patch: it names "${path}" more than once`,
      hint: "Nothing was changed. Put all hunks of a file into one section, or send two patches",
    });
  }
}

function deletion(path: string, real: string, expect: Expectation, removed: number): PatchStep {
  return {
    changes: [{ kind: "remove", path, expect }],
    file: { path: real, action: "deleted", from: null, added: 0, removed },
  };
}

function leftover(path: string): DoorwardError {
  return new DoorwardError({
    code: "TEXT_MISMATCH",
    message: `Cannot delete "${path}" with a patch: it has more lines than the patch removes`,
    hint: 'Nothing was changed. Read it; to delete it with all that it has send "*** Delete File: " in *** Begin Patch',
  });
}
