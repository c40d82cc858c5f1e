import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { DenialError } from "@doorward/contracts";
import type { EngineMount } from "../engine.ts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** Mount sources held open from the decision to the start, so that a device and inode can't be given to another file. */
class HeldSources implements AsyncDisposable {
  readonly #handles: readonly FileHandle[];

  constructor(handles: readonly FileHandle[]) {
    this.#handles = handles;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#handles.map((handle) => handle.close()));
  }
}

/** Opens every source without following a link at its end and compares it with its identity; throws `PATH_CHANGED`. */
export async function holdSources(mounts: readonly EngineMount[]): Promise<HeldSources> {
  const opened = await Promise.allSettled(mounts.map((mount) => holdSource(mount)));
  const handles = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = opened.find((result) => result.status === "rejected");
  const held = new HeldSources(handles);
  if (failed === undefined) return held;
  await held[Symbol.asyncDispose]();
  throw failed.reason;
}

async function holdSource(mount: EngineMount): Promise<FileHandle> {
  const handle = await open(mount.source, O_PATH | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw changed(mount, error instanceof Error ? error.message : String(error));
  });
  const stat = await handle.stat();
  if (stat.dev === mount.identity.dev && stat.ino === mount.identity.ino) return handle;
  await handle.close();
  throw changed(mount, "it is another file or folder now");
}

/** What changed since the decision, if anything did: the reason behind a failure that the runtime puts in its own words. */
export async function sourceChange(mounts: readonly EngineMount[]): Promise<DenialError | undefined> {
  try {
    await using _held = await holdSources(mounts);
    return undefined;
  } catch (error) {
    return error instanceof DenialError ? error : undefined;
  }
}

/** A refusal, not a failure: somebody swaps paths under a launch, and that belongs into the evidence. */
function changed(mount: EngineMount, why: string): DenialError {
  return new DenialError({
    code: "PATH_CHANGED",
    rule: "launch.sources-unchanged",
    message: `Cannot mount "${mount.source}" at "${mount.target}": ${why}`,
    hint: "Something changed this path during the launch; try again when nothing does",
  });
}
