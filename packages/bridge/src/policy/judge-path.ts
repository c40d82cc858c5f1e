import { realpath, stat } from "node:fs/promises";
import { dirname, sep } from "node:path";
import type { ErrorCode, PathVerdict, Policy, PolicyRoot } from "@doorward/contracts";
import { denyPlaces, findDenied, liesIn, withTargets, type DenyMatch, type DenyPlace } from "./deny-list.ts";
import { mountAliases } from "./mount-aliases.ts";
import type { PathHost } from "./path-host.ts";
import { expandPath, formProblem, shellPath, shownPath } from "./path-text.ts";

type Access = "ro" | "rw";

/** What a path is wanted for; without an access the highest that is allowed is answered. */
export interface PathAsk {
  readonly profile?: string | undefined;
  readonly access?: Access | undefined;
}

/** What paths are judged by. */
export interface PathRules {
  readonly policy: Policy;
  /** Path of the policy file, for hints. */
  readonly file: string;
  readonly host: PathHost;
}

interface Refusal {
  readonly code: ErrorCode;
  readonly rule: string;
  readonly reason: string;
  readonly hint: string;
  readonly resolved?: string | null;
}

/** Judges a path as it is on disk now: its form, the deny list, then the allowed roots. Never throws for what it finds. */
export async function judgePath(path: string, ask: PathAsk, rules: PathRules): Promise<PathVerdict> {
  const form = formProblem(path);
  if (form !== null) return refused(path, { ...form, code: "PATH_INVALID", hint: formHint(form.rule, path) });
  const plain = expandPath(path, rules.host.home);
  const places = await withTargets(denyPlaces(rules.host, deniedPaths(rules)));
  // Judged as written first: a denied place that does not exist yet is denied all the same.
  const written = findDenied(plain, places, rules.host.caseInsensitive);
  if (written !== undefined) return refused(path, denied(written, plain, plain));
  const found = await resolveFolder(plain);
  if ("code" in found) return refused(path, found);
  return judgeResolved(path, found.resolved, ask, rules, places);
}

/** Judges a path that is known to be resolved. */
export async function judgeResolvedPath(
  resolved: string,
  ask: PathAsk,
  rules: PathRules,
): Promise<PathVerdict> {
  const form = formProblem(resolved);
  if (form !== null)
    return refused(resolved, { ...form, code: "PATH_INVALID", hint: formHint(form.rule, resolved) });
  const places = await withTargets(denyPlaces(rules.host, deniedPaths(rules)));
  return judgeResolved(resolved, resolved, ask, rules, places);
}

/** Judges a path as an allowed root: it may contain denied places, as `~` does, but not be or lie in one. */
export async function judgeRoot(path: string, rules: PathRules): Promise<PathVerdict> {
  const form = formProblem(path);
  if (form !== null) return refused(path, { ...form, code: "PATH_INVALID", hint: formHint(form.rule, path) });
  const found = await resolveFolder(expandPath(path, rules.host.home));
  if ("code" in found) return refused(path, found);
  const places = await withTargets(denyPlaces(rules.host, deniedPaths(rules)));
  const trees = places.filter((place) => place.below || place.path === sep);
  const match = findDenied(found.resolved, trees, rules.host.caseInsensitive, ["is", "inside"]);
  if (match !== undefined) return refused(path, denied(match, path, found.resolved));
  const rule = "policy.roots";
  return { ...allowed(path, found.resolved), access: "rw", rule, reason: "It may be an allowed root" };
}

async function judgeResolved(
  path: string,
  resolved: string,
  ask: PathAsk,
  rules: PathRules,
  places: readonly DenyPlace[],
): Promise<PathVerdict> {
  const match = findDenied(resolved, places, rules.host.caseInsensitive);
  if (match !== undefined) return refused(path, denied(match, path, resolved));
  for (const alias of await mountAliases(resolved)) {
    const mounted = findDenied(alias, places, rules.host.caseInsensitive);
    if (mounted !== undefined) return refused(path, denied(mounted, path, resolved, alias));
  }
  const root = await findRoot(resolved, ask, rules);
  if ("code" in root) return refused(path, { ...root, resolved });
  const reason = `It lies under the allowed root "${root.path}"`;
  return { ...allowed(path, resolved), access: root.access, rule: root.rule, reason };
}

function allowed(
  path: string,
  resolved: string,
): Pick<PathVerdict, "path" | "resolved" | "allowed" | "code" | "hint"> {
  return { path, resolved, allowed: true, code: null, hint: null };
}

/** Resolves every symlink; refuses what is absent, not a folder, or not named in UTF-8. */
async function resolveFolder(plain: string): Promise<{ resolved: string } | Refusal> {
  const bytes = await realpath(plain, { encoding: "buffer" }).catch((error: unknown) => error);
  if (!Buffer.isBuffer(bytes)) return absent(plain, bytes);
  const resolved = bytes.toString("utf8");
  const form = formProblem(resolved);
  if (!Buffer.from(resolved, "utf8").equals(bytes) || form !== null) {
    const rule = form?.rule ?? "policy.paths.form[utf8]";
    const reason = `it resolves to a path of which ${form?.reason ?? "it is not valid UTF-8"}`;
    return { code: "PATH_INVALID", rule, reason, hint: formHint(rule, plain) };
  }
  const folder = await stat(resolved).then(
    (found) => found.isDirectory(),
    () => null,
  );
  if (folder === null) return absent(plain, null);
  if (folder) return { resolved };
  return {
    code: "PATH_NOT_DIRECTORY",
    rule: "policy.paths.form[folder]",
    reason: "it is not a folder",
    hint: `doorward up ${shellPath(dirname(plain))}`,
    resolved,
  };
}

function absent(plain: string, error: unknown): Refusal {
  const code = error instanceof Error && "code" in error ? String(error.code) : "ENOENT";
  const reason = code === "ENOENT" ? "it does not exist" : `it can't be resolved (${code})`;
  const hint = `ls -la ${shellPath(dirname(plain))}`;
  return { code: "PATH_NOT_FOUND", rule: "policy.paths.form[exists]", reason, hint };
}

function denied(match: DenyMatch, shown: string, resolved: string, alias?: string): Refusal {
  const { place, how } = match;
  const verb = how === "is" ? "is" : how === "inside" ? "lies in" : "contains";
  const direct = shown === resolved ? "it" : `"${resolved}", which it resolves to,`;
  const through = alias === undefined ? direct : `"${alias}", which is mounted there too,`;
  return {
    code: "PATH_DENIED",
    rule: place.rule,
    reason: `${through} ${verb} "${place.path}" (${place.what})`,
    hint: place.rule.startsWith("policy.deny")
      ? "doorward policy show"
      : "Keep the repo in a folder of its own: mkdir -p ~/src && doorward policy allow ~/src",
    resolved,
  };
}

function deniedPaths(rules: PathRules): string[] {
  return (rules.policy.deny ?? []).map((path) => expandPath(path, rules.host.home));
}

interface AllowedRoot {
  readonly rule: string;
  readonly path: string;
  readonly access: Access;
}

/** The allowed root that gives the most; the first of equals. */
async function findRoot(resolved: string, ask: PathAsk, rules: PathRules): Promise<AllowedRoot | Refusal> {
  const over = await rootsOver(resolved, rules);
  if (over.length === 0) return notAllowed(resolved);
  const open = over.filter(({ root }) => serves(root, ask.profile));
  if (open.length === 0) return notForProfile(over, ask.profile ?? "");
  const best = open.find(({ root }) => root.access === "rw") ?? open[0];
  if (best === undefined) return notAllowed(resolved);
  if (ask.access === "rw" && best.root.access === "ro") return notWritable(best, resolved);
  return { rule: best.rule, path: best.root.path, access: ask.access ?? best.root.access };
}

interface RootMatch {
  readonly rule: string;
  readonly root: PolicyRoot;
}

/** Roots are compared as resolved now, so that a root may be written through a symlink. */
async function rootsOver(resolved: string, rules: PathRules): Promise<RootMatch[]> {
  const matches = rules.policy.roots.map(async (root, index): Promise<RootMatch[]> => {
    const written = expandPath(root.path, rules.host.home);
    const folder = await realpath(written).catch(() => null);
    if (folder === null || !liesIn(resolved, folder, rules.host.caseInsensitive)) return [];
    return [{ rule: `policy.roots[${index}]`, root }];
  });
  return (await Promise.all(matches)).flat();
}

function serves(root: PolicyRoot, profile: string | undefined): boolean {
  return profile === undefined || root.profiles === undefined || root.profiles.includes(profile);
}

function notAllowed(resolved: string): Refusal {
  return {
    code: "PATH_NOT_ALLOWED",
    rule: "policy.roots",
    reason: "it lies under no allowed root",
    hint: `doorward policy allow ${shellPath(resolved)}`,
  };
}

function notForProfile(over: readonly RootMatch[], profile: string): Refusal {
  const [first] = over;
  const names = over.flatMap(({ root }) => root.profiles ?? []);
  return {
    code: "PATH_NOT_ALLOWED",
    rule: `${first?.rule ?? "policy.roots"}.profiles`,
    reason: `its allowed root does not serve the profile "${profile}"`,
    hint: `doorward up --profile ${names[0] ?? "default"}`,
  };
}

function notWritable(best: RootMatch, resolved: string): Refusal {
  return {
    code: "PATH_NOT_ALLOWED",
    rule: `${best.rule}.access`,
    reason: `its allowed root "${best.root.path}" gives read-only access`,
    hint: `doorward up --ro ${shellPath(resolved)}`,
  };
}

function formHint(rule: string, path: string): string {
  if (/\[(?:parent|relative|user)\]$/.test(rule)) return `doorward up "$(realpath ${shellPath(path)})"`;
  return "Rename the folder, or give one above it: doorward policy check PATH";
}

function refused(path: string, refusal: Refusal): PathVerdict {
  return {
    path: path.slice(0, 4096),
    resolved: refusal.resolved ?? null,
    allowed: false,
    access: null,
    code: refusal.code,
    rule: refusal.rule,
    reason: `Cannot give "${shownPath(path)}" to a machine: ${refusal.reason}`.slice(0, 2000),
    hint: refusal.hint.slice(0, 1000),
  };
}
