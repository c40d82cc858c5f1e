import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { destination } from "pino";

/** Where a rolling file lies, and how much of it is kept. */
export interface RollingPlace {
  readonly folder: string;
  /** Files are called `<name>.<number>.log`; the highest number is written to. */
  readonly name: string;
  /** Size in bytes after which the next file begins; a file ends with a whole line. */
  readonly bytes: number;
  /** Full files that are kept beside the one that is written to. */
  readonly kept: number;
}

/** Most characters that wait for a disk without room; lines beyond them are dropped. */
const MAX_WAITING = 4 * 1024 * 1024;

/** Where pino writes to; it can be ended. */
export type RollingFile = ReturnType<typeof destination>;

/**
 * A file that goes on under the next number when it is full; what was written before a restart is added to. A disk without
 * room ends nobody: lines wait for it, up to a bound.
 */
export function openRollingFile(place: RollingPlace): RollingFile {
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  let number = numbersOf(place).at(-1) ?? 1;
  let size = statSync(pathOf(place, number), { throwIfNoEntry: false })?.size ?? 0;
  let failed = false;
  const stream = destination({ dest: pathOf(place, number), sync: false, maxLength: MAX_WAITING });
  stream.on("error", () => {
    failed = true;
  });
  const flush = stream.flushSync.bind(stream);
  // It tries until everything is written, in one go: without room, whoever logs a fault or exits would stand still for ever.
  stream.flushSync = () => {
    if (!failed && hasRoom(place)) flush();
  };
  stream.on("write", (written: number) => {
    failed = false;
    size += written;
    if (size < place.bytes) return;
    size = 0;
    number += 1;
    // What is being written is finished in the old file first.
    stream.reopen(pathOf(place, number));
  });
  stream.on("ready", () => removeOld(place, number));
  return stream;
}

function hasRoom({ folder }: RollingPlace): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > MAX_WAITING;
}

function removeOld(place: RollingPlace, number: number): void {
  for (const old of numbersOf(place).filter((each) => each < number - place.kept))
    rmSync(pathOf(place, old), { force: true });
}

function numbersOf({ folder, name }: RollingPlace): number[] {
  return readdirSync(folder)
    .filter((file) => file.startsWith(`${name}.`) && file.endsWith(".log"))
    .map((file) => file.slice(name.length + 1, -".log".length))
    .filter((number) => /^\d{1,9}$/.test(number))
    .map(Number)
    .sort((one, other) => one - other);
}

function pathOf({ folder, name }: RollingPlace, number: number): string {
  return join(folder, `${name}.${String(number)}.log`);
}
