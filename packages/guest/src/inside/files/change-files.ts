import type { WireChange } from "../../files-protocol.ts";
import { FileFailure, fileFailure, quoted } from "./file-failure.ts";
import { MadeFolders } from "./made-folders.ts";
import { PlannedChange, type Changed } from "./planned-change.ts";
import type { Reach } from "./reach.ts";
import { syncFolder } from "./temp-file.ts";

/** Gives the bytes of a write, in the order of the writes. */
export type BodyOf = (bytes: number) => AsyncIterable<Buffer>;

/**
 * Checks what every change expects, then writes what is new beside its place, then puts one after the other in place.
 * Until the first of that last step a failure changes nothing; later it says what was done.
 */
export async function changeFiles(
  reach: Reach,
  changes: readonly WireChange[],
  bodyOf: BodyOf,
  signal: AbortSignal,
): Promise<Changed[]> {
  const planned: PlannedChange[] = [];
  using made = new MadeFolders();
  let done: Changed[] = [];
  try {
    for (const change of changes) planned.push(guarded(change, () => new PlannedChange(reach, change)));
    requireDistinct(planned);
    for (const one of planned) await one.check(signal);
    for (const one of planned) await prepared(one, made, bodyOf, signal);
    for (const one of planned) guarded(one.change, () => one.recheck());
    signal.throwIfAborted();
    done = commitAll(planned);
    for (const folder of new Set(planned.flatMap(({ folders }) => folders))) await syncFolder(folder);
    return done;
  } finally {
    for (const one of planned) one[Symbol.dispose]();
    if (done.length === 0) made.undo();
  }
}

async function prepared(
  one: PlannedChange,
  made: MadeFolders,
  bodyOf: BodyOf,
  signal: AbortSignal,
): Promise<void> {
  const { change } = one;
  try {
    await one.prepare(made, bodyOf(change.kind === "write" ? change.size : 0), signal);
  } catch (error) {
    throw signal.aborted ? error : fileFailure(error, doingOf(change));
  }
}

/** In one go, so that nothing of ours comes between; other programs of the machine may. */
function commitAll(planned: readonly PlannedChange[]): Changed[] {
  const done: Changed[] = [];
  for (const one of planned) {
    try {
      done.push(one.commit());
    } catch (error) {
      const { code, message } = fileFailure(error, doingOf(one.change));
      if (done.length === 0) throw new FileFailure(code, message);
      const paths = done.slice(0, 20).map(({ path }) => quoted(path));
      const progress = `${String(done.length)} of ${String(planned.length)} changes were done before it: ${paths.join(", ")}`;
      throw new FileFailure(code, `${message}; ${progress}`);
    }
  }
  return done;
}

function requireDistinct(planned: readonly PlannedChange[]): void {
  const seen = new Set<string>();
  for (const path of planned.flatMap(({ paths }) => paths)) {
    if (seen.has(path))
      throw new FileFailure(
        "INPUT_INVALID",
        `Cannot change ${quoted(path)}: two changes of one request name it`,
      );
    seen.add(path);
  }
}

function guarded<T>(change: WireChange, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileFailure(error, doingOf(change));
  }
}

function doingOf(change: WireChange): string {
  return `Cannot ${change.kind} ${quoted(change.path)}`;
}
