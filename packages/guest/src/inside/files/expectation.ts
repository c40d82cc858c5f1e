import { closeSync } from "node:fs";
import type { Expectation } from "../../files.ts";
import { FileFailure } from "./file-failure.ts";
import { holdName, type Held } from "./held.ts";
import { partsOf } from "./read-file.ts";
import type { Slot } from "./slot.ts";

/** Refuses a change of a file that is not what was expected; answers for the same question asked again. */
export async function checkExpectation(
  slot: Slot,
  file: Held | undefined,
  expect: Expectation,
  signal: AbortSignal,
): Promise<void> {
  const { doing } = slot;
  if (expect === "any") return;
  if (expect === "absent") {
    if (slot.there !== undefined) throw new FileFailure("PATH_CHANGED", `${doing}: it exists already`);
    return;
  }
  if (file === undefined) throw new FileFailure("PATH_CHANGED", `${doing}: it does not exist any more`);
  if (file.kind !== "file") throw new FileFailure("PATH_CHANGED", `${doing}: it is no regular file any more`);
  if ((await digestOf(file, doing, signal)) !== expect.digest)
    throw new FileFailure("PATH_CHANGED", `${doing}: its content is no longer what was read; read it again`);
}

/** Refuses when what is in a slot changed since it was found; a slot whose folders are still missing has nothing in it. */
export function requireUnchanged(slot: Slot, expect: Expectation): void {
  if (expect === "any" || slot.missing.length > 0) return;
  const now = holdName(slot.folder, slot.name);
  if (now !== undefined) closeSync(now.fd);
  if (lookOf(now) === lookOf(slot.there)) return;
  throw new FileFailure("PATH_CHANGED", `${slot.doing}: it changed meanwhile; read it again`);
}

function lookOf(held: Held | undefined): string {
  if (held === undefined) return "";
  const { dev, ino, size, mtimeMs, ctimeMs } = held.stat;
  return [dev, ino, size, mtimeMs, ctimeMs].join(":");
}

async function digestOf(held: Held, doing: string, signal: AbortSignal): Promise<string> {
  // loaded when it is needed: it costs the guest a megabyte of memory
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  for await (const part of partsOf(held, doing, signal)) hash.update(part);
  return `sha256:${hash.digest("hex")}`;
}
