import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DoorwardError, type ReviewView } from "@doorward/contracts";
import { runGit } from "../mounts/run-git.ts";
import { ByteCap, readBundleHeader, type BundleHeader } from "./bundle.ts";
import { escapeName, escapeText } from "./escape-text.ts";
import type { ObjectFormat } from "./git-view.ts";
import { NOTHING_CHANGED, reviewCommand } from "./machine-script.ts";
import { initGit } from "./review-clone.ts";
import { TreeDiff } from "./tree-changes.ts";
import { cloneState, storeReviewed } from "./unreviewed.ts";
import { warningsOf } from "./warnings.ts";

/** Runs a command in a machine; its standard output goes to `output`, which may fail when it is too much. */
export type RunInMachine = (
  argv: readonly string[],
  run: {
    readonly output: Writable;
    readonly milliseconds: number;
    readonly signal?: AbortSignal | undefined;
  },
) => Promise<{ readonly exitCode: number; readonly stderr: string }>;

/** Bounds of one review. */
export interface ReviewLimits {
  readonly bundleBytes: number;
  readonly diffBytes: number;
  readonly milliseconds: number;
}

/** Limits of a review that names none. */
const REVIEW_LIMITS: ReviewLimits = {
  bundleBytes: 1_073_741_824,
  diffBytes: 4_194_304,
  milliseconds: 300_000,
};

const FILES = 20_000;
const SHOWN = 8_388_608;
const KEPT = 5;
const STATE = "doorward-clone-state";

/** The clone whose changes are collected. */
export interface ReviewTarget {
  readonly repo: string;
  readonly clone: string;
  readonly base: string;
}

/** What collecting needs besides the clone. */
export interface CollectRequest extends ReviewTarget {
  /** Where the machine sees the clone. */
  readonly machinePath: string;
  readonly runInMachine: RunInMachine;
  readonly limits?: ReviewLimits;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Has the machine pack its changes, takes the bundle into a quarantine of ours where every object is checked, and
 * shows the difference from there. No git of the host touches the clone.
 */
export async function collectChanges(request: CollectRequest): Promise<ReviewView> {
  const limits = request.limits ?? REVIEW_LIMITS;
  const folder = dirname(request.clone);
  const work = await mkdtemp(join(folder, "incoming-"));
  try {
    // Taken first: what the machine changes while it packs counts as not reviewed.
    const state = await cloneState(request.clone);
    const bundle = join(work, "bundle");
    if (!(await fetchBundle(request, bundle, limits))) return await unchanged(request, state);
    const header = await readBundleHeader(bundle);
    const gitFolder = quarantine(folder, header.head);
    if (!(await isThere(gitFolder))) await admit(request, bundle, header, work, gitFolder, limits);
    await writeFile(join(gitFolder, STATE), state, { mode: 0o600 });
    await prune(join(folder, "heads"), header.head);
    return await show(request, header.head, gitFolder, limits);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Git folder that holds the changes up to a commit that was looked at; throws when nobody looked at it. */
export async function lookedAt(target: Pick<ReviewTarget, "clone">, head: string): Promise<string> {
  const gitFolder = /^[0-9a-f]{40,64}$/.test(head) ? quarantine(dirname(target.clone), head) : null;
  if (gitFolder !== null && (await isThere(gitFolder))) return gitFolder;
  throw new DoorwardError({
    code: "REVIEW_FAILED",
    message: `Cannot bring changes back: commit "${escapeName(head).slice(0, 64)}" was not looked at, or that is long ago`,
    hint: "doorward review N",
  });
}

/** Remembers that the changes up to a commit that was looked at were brought back; what came later is not covered. */
export async function rememberReviewed(clone: string, head: string): Promise<void> {
  const state = await readFile(join(await lookedAt({ clone }, head), STATE), "utf8");
  await storeReviewed(clone, head, state);
}

async function fetchBundle(request: CollectRequest, path: string, limits: ReviewLimits): Promise<boolean> {
  const cap = new ByteCap(limits.bundleBytes);
  const written = pipeline(cap, createWriteStream(path, { flags: "wx", mode: 0o600 }));
  const { milliseconds } = limits;
  const argv = reviewCommand(request.machinePath, request.base);
  const ran = request.runInMachine(argv, { output: cap, milliseconds, signal: request.signal });
  const [failure, end] = await Promise.all([
    written.then(
      () => null,
      (error: unknown) => error,
    ),
    settle(ran, cap),
  ]);
  if (failure instanceof DoorwardError) throw failure;
  if (end.exitCode === NOTHING_CHANGED) return false;
  if (end.exitCode === 0 && failure === null) return true;
  const said = escapeName(end.stderr.trim().split("\n").at(-1) ?? "").slice(0, 300);
  throw new DoorwardError({
    code: "REVIEW_FAILED",
    message: `Cannot review "${request.repo}": git in the machine exited with ${end.exitCode}, saying "${said}"`,
    hint: "doorward exec N -- git status",
  });
}

/** The output must end, however the command did, or the file is never closed. */
async function settle(
  ran: ReturnType<RunInMachine>,
  output: ByteCap,
): Promise<{ exitCode: number; stderr: string }> {
  try {
    return await ran;
  } catch (error) {
    if (output.errored === null) throw error;
    return { exitCode: -1, stderr: "" };
  } finally {
    output.end();
  }
}

/** Checks every object of the bundle (`--strict` fails on what fsck would only warn of) and that nothing is missing. */
async function admit(
  request: CollectRequest,
  bundle: string,
  header: BundleHeader,
  work: string,
  gitFolder: string,
  limits: ReviewLimits,
): Promise<void> {
  const base = join(dirname(request.clone), "base.git");
  const draft = join(work, "quarantine.git");
  await initGit(draft, true, formatOf(request.base), request.signal);
  await mkdir(join(draft, "objects", "info"), { recursive: true });
  await writeFile(join(draft, "objects", "info", "alternates"), `${base}/objects\n`);
  const at = `--git-dir=${draft}`;
  const run = { signal: request.signal, milliseconds: limits.milliseconds };
  for (const id of header.needs) await runGit([at, "cat-file", "-e", `${id}^{commit}`], run);
  await runGit(
    [at, "index-pack", "--stdin", "--fix-thin", "--strict", `--max-input-size=${limits.bundleBytes}`],
    {
      ...run,
      input: createReadStream(bundle, { start: header.packAt }),
    },
  );
  await runGit([at, "rev-parse", "--verify", "--quiet", `${header.head}^{commit}`], run);
  await runGit([at, "rev-list", "--objects", "--quiet", header.head, `^${request.base}`], run);
  await runGit([at, "update-ref", "refs/doorward/head", header.head], run);
  await mkdir(dirname(gitFolder), { recursive: true, mode: 0o700 });
  await rename(draft, gitFolder);
}

async function show(
  request: CollectRequest,
  head: string,
  gitFolder: string,
  limits: ReviewLimits,
): Promise<ReviewView> {
  const diff = new TreeDiff(gitFolder, request.base, head, request.signal);
  const [changes, counts, patch] = [
    await diff.changes(),
    await diff.counts(),
    await diff.patch(limits.diffBytes),
  ];
  const text = patch.stdout.toString("utf8");
  const shown = escapeText(text);
  const files = counts
    .slice(0, FILES)
    .map((count) => ({ ...count, path: escapeName(count.path).slice(0, 4096) }));
  const rewritten = await isRewritten(gitFolder, request.base, head);
  const warnings = await warningsOf(changes, text, diff);
  return {
    repo: request.repo,
    base: request.base,
    head,
    files,
    diff: shown.slice(0, SHOWN),
    truncated: patch.truncated || shown.length > SHOWN || counts.length > FILES,
    warnings: [
      ...(rewritten ? ["The changes are not built on the commit that the clone was made from"] : []),
      ...warnings,
    ].slice(0, 100),
  };
}

async function isRewritten(gitFolder: string, base: string, head: string): Promise<boolean> {
  const { exitCode } = await runGit([`--git-dir=${gitFolder}`, "merge-base", "--is-ancestor", base, head], {
    accept: [1],
  });
  return exitCode === 1;
}

async function unchanged({ repo, clone, base }: ReviewTarget, state: string): Promise<ReviewView> {
  await storeReviewed(clone, base, state);
  return { repo, base, head: base, files: [], diff: "", truncated: false, warnings: [] };
}

function quarantine(folder: string, head: string): string {
  return join(folder, "heads", `${head}.git`);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Keeps the last few, so that what was looked at can still be brought when the machine went on meanwhile. */
async function prune(folder: string, head: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name !== `${head}.git`);
  const aged = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  );
  const old = aged.sort((one, other) => other.at - one.at).slice(KEPT - 1);
  await Promise.all(old.map(({ name }) => rm(join(folder, name), { recursive: true, force: true })));
}

function formatOf(id: string): ObjectFormat {
  return id.length === 64 ? "sha256" : "sha1";
}
