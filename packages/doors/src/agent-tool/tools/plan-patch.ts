import { DoorwardError } from "@doorward/contracts";
import type { FileChange, GuestFiles } from "@doorward/guest";
import type { ToolCall } from "../tool.ts";
import { readWhole, type Planned } from "./change-files.ts";
import { absolutePath, requireFile } from "./machine-path.ts";
import { applyHunks, type Patched } from "./patch/apply-hunks.ts";
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
      result[result.length - 1] = { ...last, hunks: [...last.hunks, ...patch.hunks] };
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
    const { path } = await requireFile(this.#files, patch.path, this.#call);
    this.#once(path);
    if (patch.kind === "delete") return await this.#delete(patch, path);
    return patch.to === null ? await this.#update(patch, path) : await this.#move(patch, path, patch.to);
  }

  async #add({ path, content }: Extract<FilePatch, { kind: "add" }>): Promise<PatchStep> {
    await this.#vacant(path);
    requireWellFormed(`"${path}"`, content);
    const added = content.split("\n").length - (content.endsWith("\n") || content === "" ? 1 : 0);
    const bytes = Buffer.from(content, "utf8");
    return {
      changes: [{ kind: "write", path, bytes, expect: "absent", parents: true }],
      file: { path: absolutePath(this.#call, path), action: "created", from: null, added, removed: 0 },
    };
  }

  async #delete(
    { hunks, path: name }: Extract<FilePatch, { kind: "delete" }>,
    path: string,
  ): Promise<PatchStep> {
    // what is deleted without hunks need not be text, and may be of any size
    if (hunks.length === 0) return deletion(path, "any", 0);
    const { bytes, digest } = await readWhole(this.#files, name, this.#call);
    const patched = applyHunks(name, decodeText(name, bytes).text, hunks);
    if (patched.text !== "") throw leftover(name);
    return deletion(path, { digest }, patched.removed);
  }

  async #update(patch: Extract<FilePatch, { kind: "update" }>, path: string): Promise<PatchStep> {
    const { write, patched } = await this.#patched(patch, path);
    return { changes: [write], file: { path, action: "changed", from: null, ...counts(patched) } };
  }

  async #move(patch: Extract<FilePatch, { kind: "update" }>, path: string, to: string): Promise<PatchStep> {
    await this.#vacant(to);
    const { write, patched, digest } = await this.#patched(patch, path);
    const move = { kind: "move", path, to, expect: { digest }, parents: true } as const;
    return {
      changes: patch.hunks.length === 0 ? [move] : [write, move],
      file: { path: absolutePath(this.#call, to), action: "moved", from: path, ...counts(patched) },
    };
  }

  async #patched(
    patch: Extract<FilePatch, { kind: "update" }>,
    path: string,
  ): Promise<{ readonly write: FileChange; readonly patched: Patched; readonly digest: string }> {
    const { bytes, digest } = await readWhole(this.#files, path, this.#call);
    if (patch.hunks.length === 0) {
      const patched = { text: "", added: 0, removed: 0 };
      return { write: { kind: "write", path, bytes, expect: { digest }, parents: false }, patched, digest };
    }
    const file = decodeText(patch.path, bytes);
    const patched = applyHunks(patch.path, file.text, patch.hunks);
    requireWellFormed(`"${patch.path}"`, patched.text);
    const next = encodeText({ ...file, text: patched.text });
    return {
      write: { kind: "write", path, bytes: next, expect: { digest }, parents: false },
      patched,
      digest,
    };
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

function deletion(path: string, expect: { readonly digest: string } | "any", removed: number): PatchStep {
  return {
    changes: [{ kind: "remove", path, expect }],
    file: { path, action: "deleted", from: null, added: 0, removed },
  };
}

function counts({ added, removed }: Patched): Pick<PatchedFile, "added" | "removed"> {
  return { added, removed };
}

function leftover(path: string): DoorwardError {
  return new DoorwardError({
    code: "TEXT_MISMATCH",
    message: `Cannot delete "${path}" with a patch: it has more lines than the patch removes`,
    hint: 'Nothing was changed. Read it; to delete it with all that it has send "*** Delete File: " in *** Begin Patch',
  });
}
