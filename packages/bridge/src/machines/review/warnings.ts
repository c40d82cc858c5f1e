import { posix } from "node:path";
import { PROTECTED_IN_REPO } from "../../policy/index.ts";
import { escapeName, hasHiddenText } from "./escape-text.ts";
import type { TreeChange, TreeDiff } from "./tree-changes.ts";

const WARNINGS = 100;
const PACKAGE_BYTES = 1_048_576;
const NONE = "000000";

interface PathRule {
  readonly fits: RegExp;
  readonly says: string;
}

/** Paths that somebody or something runs or obeys, beyond what the code itself does. */
const PATH_RULES: readonly PathRule[] = [
  { fits: /^(?:.*\/)?\.gitattributes$/, says: "decides which filters and drivers git runs on files" },
  { fits: /^(?:.*\/)?\.gitmodules$/, says: "decides where submodules come from" },
  {
    fits: /^\.github\/(?:workflows|actions)\//,
    says: "runs on the forge's build machines, with its secrets",
  },
  {
    fits: /^(?:\.gitlab-ci\.yml|\.circleci\/|\.travis\.yml|azure-pipelines\.yml|Jenkinsfile|\.drone\.yml|\.woodpecker|\.buildkite\/|bitbucket-pipelines\.yml|\.forgejo\/|\.gitea\/)/,
    says: "runs on build machines",
  },
  {
    fits: /^(?:.*\/)?\.(?:npmrc|yarnrc|yarnrc\.yml|pypirc|pip\/pip\.conf)$/,
    says: "decides where packages come from",
  },
  {
    fits: /^(?:.*\/)?(?:AGENTS|CLAUDE|GEMINI)\.md$|^(?:.*\/)?\.(?:cursorrules|windsurfrules)$/i,
    says: "instructs agents on your machine",
  },
  { fits: /^(?:.*\/)?\.(?:claude|cursor|codex|gemini)\//, says: "sets up agents on your machine" },
  { fits: /^(?:.*\/)?(?:\.?git)?hooks\//, says: "may be run as a hook" },
];

/** What a careful reviewer should look at first. Names are escaped. */
export async function warningsOf(
  changes: readonly TreeChange[],
  patch: string,
  diff: TreeDiff,
): Promise<string[]> {
  const warnings = changes.flatMap(warningsOfChange);
  for (const change of changes.slice(0, 5_000)) {
    if (warnings.length >= WARNINGS) break;
    if (change.newMode === "120000") warnings.push(...(await linkWarning(change, diff)));
    if (/^(?:.*\/)?package\.json$/.test(change.path)) warnings.push(...(await scriptWarning(change, diff)));
  }
  if (hasHiddenText(patch))
    warnings.push("The diff has characters that hide text or turn its direction; they are spelled out");
  if (warnings.length <= WARNINGS) return warnings;
  return [...warnings.slice(0, WARNINGS - 1), `${warnings.length - WARNINGS + 1} more warnings`];
}

function warningsOfChange({ path, oldMode, newMode }: TreeChange): string[] {
  const name = escapeName(path).slice(0, 500);
  const warnings: string[] = [];
  const gone = newMode === NONE;
  for (const { fits, says } of PATH_RULES) {
    if (!gone && fits.test(path)) warnings.push(`"${name}" ${says}`);
  }
  if (isProtected(path))
    warnings.push(`"${name}" is used by editors, shells or git on your machine without asking`);
  if (newMode === "160000") warnings.push(`"${name}" makes a submodule point to another commit`);
  if (newMode === "100755" && oldMode !== "100755") warnings.push(`"${name}" becomes executable`);
  if (oldMode === "120000" && newMode !== "120000" && !gone)
    warnings.push(`"${name}" was a symlink and is a file now`);
  if (name !== path || hasHiddenText(path))
    warnings.push(`The name "${name}" has control or hidden characters`);
  return warnings;
}

function isProtected(path: string): boolean {
  return PROTECTED_IN_REPO.some(
    (name) =>
      path === name || path.startsWith(`${name}/`) || path.endsWith(`/${name}`) || path.includes(`/${name}/`),
  );
}

async function linkWarning({ path, newId }: TreeChange, diff: TreeDiff): Promise<string[]> {
  const target = await diff.blob(newId, 4_096);
  const end = posix.normalize(posix.join(posix.dirname(path), target));
  const leaves =
    posix.isAbsolute(target) || end === ".." || end.startsWith("../") || /(?:^|\/)\.git(?:\/|$)/i.test(end);
  return leaves
    ? [
        `"${escapeName(path).slice(0, 300)}" is a symlink to "${escapeName(target).slice(0, 300)}", outside the repo`,
      ]
    : [];
}

async function scriptWarning(change: TreeChange, diff: TreeDiff): Promise<string[]> {
  if (change.newMode === NONE) return [];
  const [before, after] = await Promise.all([
    change.oldMode === NONE ? "" : diff.blob(change.oldId, PACKAGE_BYTES),
    diff.blob(change.newId, PACKAGE_BYTES),
  ]);
  const changed = scriptsOf(before) !== scriptsOf(after);
  return changed
    ? [`"${escapeName(change.path).slice(0, 500)}" changes package scripts, which installing or testing runs`]
    : [];
}

/** The scripts of a package.json as text; of one that can't be read, the text itself. */
function scriptsOf(text: string): string {
  if (text === "") return "{}";
  try {
    const value: unknown = JSON.parse(text);
    const scripts = typeof value === "object" && value !== null && "scripts" in value ? value.scripts : {};
    return JSON.stringify(scripts);
  } catch {
    return text;
  }
}
