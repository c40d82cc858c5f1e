import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandPlan, FileIdentity } from "../src/actions/ports.ts";

/** A temp folder with plans of real programs. */
export interface RunLab extends Disposable {
  readonly folder: string;
  plan(program: string, args: readonly string[], more?: Partial<CommandPlan>): CommandPlan;
  script(name: string, text: string, mode?: number): string;
}

/** What a file is now, as a judge would write it down. */
export function identity(path: string, digest = false): FileIdentity {
  const real = realpathSync(path);
  const stat = statSync(real, { bigint: true });
  const content = digest ? `sha256:${createHash("sha256").update(readFileSync(real)).digest("hex")}` : null;
  return { path: real, dev: String(stat.dev), ino: String(stat.ino), digest: content };
}

export function openRunLab(): RunLab {
  const folder = mkdtempSync(join(tmpdir(), "doorward-run-"));
  chmodSync(folder, 0o755);
  return {
    folder,
    plan: (program, args, more = {}) => ({
      scope: "test",
      program: identity(program),
      command: program,
      args,
      cwd: identity(folder),
      env: { PATH: "/usr/bin:/bin" },
      timeoutMs: 300_000,
      maxOutputBytes: 65_536,
      input: null,
      effect: "read",
      confirm: "never",
      ...more,
    }),
    script: (name, text, mode = 0o755) => {
      const path = join(folder, name);
      writeFileSync(path, text, { mode });
      chmodSync(path, mode);
      return path;
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Ids of live processes whose command line holds a word. */
export function processesWith(word: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && lives(name, word))
    .map(Number);
}

function lives(pid: string, word: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word) &&
      !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
    );
  } catch {
    return false;
  }
}
