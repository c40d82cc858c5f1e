import { DoorwardError } from "@doorward/contracts";
import type { FileChange, FileChanged, GuestFiles } from "@doorward/guest";
import type { ToolCall } from "../tool.ts";
import { withHint } from "./machine-path.ts";

/** Files above this are not changed as text. */
export const CHANGED_FILE_BYTES = 4_194_304;
/** How often a change is made anew because a file changed between its reading and its writing. */
const ATTEMPTS = 3;

/** A whole file and its digest, for a change that holds only while it stays the same. */
export interface ReadFile {
  readonly bytes: Buffer;
  readonly digest: string;
}

/** Reads a whole file that is to be changed. */
export async function readWhole(files: GuestFiles, path: string, call: ToolCall): Promise<ReadFile> {
  const { bytes, size, digest } = await files.read(
    path,
    { offset: 0, length: CHANGED_FILE_BYTES },
    call.signal,
  );
  if (digest !== null) return { bytes, digest };
  throw new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot change "${path}": it has ${size} bytes, and at most ${CHANGED_FILE_BYTES} can be changed as text`,
    hint: "Change it with a program through run_command, e.g. sed or python3",
  });
}

/** Changes that were worked out from what was read, and what else came of working them out. */
export interface Planned<Extra> {
  readonly changes: readonly FileChange[];
  readonly extra: Extra;
}

/** Plans changes and makes them, all or none; plans anew when a file changed meanwhile, and gives up with PATH_CHANGED. */
export async function changeFiles<Extra>(
  files: GuestFiles,
  call: ToolCall,
  plan: () => Promise<Planned<Extra>>,
): Promise<{ readonly changed: readonly FileChanged[]; readonly extra: Extra }> {
  for (let attempt = 1; ; attempt += 1) {
    const { changes, extra } = await plan();
    try {
      return { changed: await files.change(changes, call.signal), extra };
    } catch (error) {
      const again = error instanceof DoorwardError && error.code === "PATH_CHANGED" && attempt < ATTEMPTS;
      if (!again) throw withHint(error, "PATH_CHANGED", CHANGED_HINT);
    }
  }
}

const CHANGED_HINT =
  "Something else changes the file at the same time. Read it again, then repeat the change";
