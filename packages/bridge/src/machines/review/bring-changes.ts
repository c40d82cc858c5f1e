import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { PassThrough } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import { shownPath, type HeldPath } from "../../policy/index.ts";
import { runGit } from "../mounts/run-git.ts";
import { lookedAt, rememberReviewed, type ReviewTarget } from "./collect-changes.ts";
import { GitView } from "./git-view.ts";
import { TreeDiff } from "./tree-changes.ts";

const PATCH_BYTES = 268_435_456;

/** Which changes are brought back. */
export interface BringRequest extends ReviewTarget {
  /** Commit that was looked at. */
  readonly head: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the changes a new branch of the real repo. Only objects and one ref are written: nothing is checked out, no
 * hook runs, no setting of the repo is read or changed, and a branch that exists is refused.
 */
export async function bringBranch(request: BringRequest, held: HeldPath, branch: string): Promise<string> {
  const ref = await checkBranch(branch);
  const quarantine = await lookedAt(request, request.head);
  await using view = await GitView.open(held);
  const { head, base, signal } = request;
  await needBase(view, request);
  const pack = new PassThrough();
  const packing = ["pack-objects", "--revs", "--stdout", "--delta-base-offset", "--thin", "-q"];
  await Promise.all([
    runGit([`--git-dir=${quarantine}`, ...packing], { input: `${head}\n^${base}\n`, output: pack, signal }),
    view.git(["index-pack", "--stdin", "--fix-thin", "--strict"], { input: pack, signal }),
  ]);
  await view.git(["rev-list", "--objects", "--quiet", head, `^${base}`], { signal });
  await createRef(view, ref, request);
  await rememberReviewed(request.clone, head);
  return head;
}

/** Writes the changes as a patch for `git apply`, into a new file. */
export async function bringPatch(request: BringRequest, path: string): Promise<string> {
  if (!isAbsolute(path) || /[\u0000-\u001f\u007f]/.test(path)) {
    throw failed(
      `patch path "${shownPath(path)}" is not absolute`,
      'doorward review N --patch "$PWD/changes.patch"',
    );
  }
  const quarantine = await lookedAt(request, request.head);
  const diff = new TreeDiff(quarantine, request.base, request.head, request.signal);
  const patch = await diff.binaryPatch(PATCH_BYTES);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600).catch((cause: unknown) => {
    throw failed(`"${shownPath(path)}" can't be created, it may exist`, `ls -l '${shownPath(path)}'`, cause);
  });
  try {
    await handle.writeFile(patch);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rememberReviewed(request.clone, request.head);
  return request.head;
}

async function checkBranch(branch: string): Promise<string> {
  const ref = `refs/heads/${branch}`;
  const plain = /^[A-Za-z0-9._/@+=-]{1,200}$/.test(branch) && !branch.startsWith("-") && branch !== "HEAD";
  const { exitCode } = plain ? await runGit(["check-ref-format", ref], { accept: [1] }) : { exitCode: 1 };
  if (exitCode === 0) return ref;
  throw failed(`"${shownPath(branch)}" is no name for a branch`, "doorward review N --branch agent/changes");
}

async function needBase(view: GitView, request: BringRequest): Promise<void> {
  const { exitCode } = await view.git(["cat-file", "-e", `${request.base}^{commit}`], { accept: [1, 128] });
  if (exitCode === 0) return;
  throw failed(
    `"${request.repo}" does not have commit ${request.base} any more`,
    "doorward review N --patch FILE",
  );
}

async function createRef(view: GitView, ref: string, request: BringRequest): Promise<void> {
  try {
    await view.git(["update-ref", "--stdin"], { input: `create ${ref} ${request.head}\n` });
  } catch (cause) {
    throw failed(
      `"${ref}" can't be created in "${request.repo}", it may exist`,
      "doorward review N --branch OTHER",
      cause,
    );
  }
}

function failed(why: string, hint: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "REVIEW_FAILED",
    message: `Cannot bring changes back: ${why}`,
    hint,
    cause,
  });
}
