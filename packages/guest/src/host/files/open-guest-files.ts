import { DoorwardError } from "@doorward/contracts";
import type { GuestFiles } from "../../files.ts";
import { FILES_FROM_GUEST, FilesOpen, FilesStarted } from "../../files-protocol.ts";
import type { GuestDialer } from "../../link.ts";
import { DIAL_FROM_GUEST_RULES, expectShape } from "../../protocol.ts";
import { GuestStream } from "../guest-stream.ts";
import { FilesClient } from "./files-client.ts";

/** A folder of the machine that a file stream reaches; the deepest one that a path lies in decides. */
export interface ReachedRoot {
  /** Absolute path in the machine, without a symlink in it. */
  readonly path: string;
  readonly access: "ro" | "rw";
  /**
   * Names that changes are refused at: relative to the folder and to every repository in it, `.git/NAME` in every git
   * folder. None when absent.
   */
  readonly protected?: readonly string[];
}

/** What a file stream reaches, and where its relative paths start. */
export interface GuestFilesOptions {
  readonly roots: readonly ReachedRoot[];
  readonly workdir: string;
}

const RULES = new Map([...DIAL_FROM_GUEST_RULES, ...FILES_FROM_GUEST]);

/**
 * Opens a file stream to a guest; it stands until it is disposed or the guest goes away. GUEST_UNREACHABLE when the
 * guest is away or older than file streams, INPUT_INVALID for folders that are no absolute paths.
 */
export async function openGuestFiles(
  link: GuestDialer,
  options: GuestFilesOptions,
  signal: AbortSignal,
): Promise<GuestFiles> {
  const open = openOf(options);
  const stream = new GuestStream(await link.dial(open, signal), RULES, Infinity);
  try {
    expectShape(FilesStarted, await stream.started(signal), "started");
    return new FilesClient(
      stream,
      open.roots.map(({ path }) => path),
    );
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function openOf({ roots, workdir }: GuestFilesOptions): FilesOpen {
  const parsed = FilesOpen.safeParse({
    kind: "files",
    roots: roots.map(({ path, access, protected: names = [] }) => ({ path, access, protected: names })),
    workdir,
  });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot open files: "${issue?.path.join(".") ?? ""}" ${issue?.message ?? "is wrong"}`,
  });
}
