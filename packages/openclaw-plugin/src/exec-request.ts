import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import * as z from "zod";

/** What the program that OpenClaw's exec spawns is to run, and where. */
export const ExecRequest = z.strictObject({
  url: z.string(),
  token: z.string(),
  machine: z.string(),
  argv: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
});
export type ExecRequest = z.infer<typeof ExecRequest>;

let folder: string | undefined;

/**
 * Hands a request to the program that will be spawned: a file that only this user can read, and that its reader removes.
 * Arguments and environment of a process are no place for a token. What nobody read goes with this process.
 */
export function handOver(request: ExecRequest): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "doorward-openclaw-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  const path = join(folder, randomUUID());
  writeFileSync(path, JSON.stringify(request), { mode: 0o600, flag: "wx" });
  return path;
}

/** Takes a request that was handed over; a second time there is none. */
export function takeOver(path: string): ExecRequest {
  const text = readFileSync(path, "utf8");
  rmSync(path);
  return ExecRequest.parse(JSON.parse(text));
}
