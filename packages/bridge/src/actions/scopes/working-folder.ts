import { mkdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { ScopeViolation } from "@doorward/contracts";
import { liesIn } from "../../policy/deny-list.ts";
import type { FileIdentity } from "../ports.ts";
import { quoted } from "./violation.ts";

type Verdict = { readonly cwd: FileIdentity } | { readonly violation: ScopeViolation };

/** Judges the working folder that a request asks for, or chooses one: the first root, or an empty private folder. */
export async function workingFolder(
  asked: string | null,
  roots: readonly string[],
  privateFolder: string,
): Promise<Verdict> {
  if (asked === null) return { cwd: await identity(roots[0] ?? (await emptyFolder(privateFolder))) };
  const named = { argumentPath: asked, pathSource: "cwd" as const };
  if (!isAbsolute(asked)) {
    const message = `the working folder ${quoted(asked)} is not absolute`;
    return { violation: { reason: "CWD_PATH_NOT_ABSOLUTE", message, ...named } };
  }
  const outside = (why: string): Verdict => ({
    violation: {
      reason: "CWD_OUTSIDE_ALLOWED_ROOTS",
      message: `the working folder ${quoted(asked)} ${why}`,
      ...named,
    },
  });
  if (/[\u0000-\u001f\u007f]/.test(asked)) return outside("has a control character in it");
  const resolved = await realpath(asked).catch(() => null);
  if (resolved === null) return outside("can't be resolved");
  const within = roots.length === 0 ? [await emptyFolder(privateFolder)] : roots;
  if (!within.some((root) => liesIn(resolved, root)))
    return outside("lies under no working folder of the scope");
  const found = await stat(resolved).catch(() => null);
  if (found?.isDirectory() !== true) return outside("is not a folder");
  return { cwd: await identity(resolved) };
}

async function emptyFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o500 });
  return realpath(path);
}

async function identity(path: string): Promise<FileIdentity> {
  const { dev, ino } = await stat(path, { bigint: true });
  return { path, dev: String(dev), ino: String(ino), digest: null };
}

/** Where the empty private folder of an installation is. */
export function privateFolderOf(stateDir: string): string {
  return join(stateDir, "actions", "empty");
}
