import { REVIEW_REF } from "./bundle.ts";

/** Exit code of the script when there is nothing to review. */
export const NOTHING_CHANGED = 10;

/**
 * Runs inside the machine: commits what is uncommitted, through an index of its own so that the work tree and the
 * machine's index stay as they are, and writes everything since the base as a bundle to standard output.
 */
const SCRIPT = `set -eu
cd "$1"
base=$2
index=$(mktemp)
trap 'rm -f "$index"' EXIT
git_dir=$(git rev-parse --git-dir)
if [ -f "$git_dir/index" ]; then cp "$git_dir/index" "$index"; else rm -f "$index"; fi
export GIT_AUTHOR_NAME="\${GIT_AUTHOR_NAME:-doorward machine}" GIT_AUTHOR_EMAIL="\${GIT_AUTHOR_EMAIL:-machine@doorward.invalid}"
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"
GIT_INDEX_FILE=$index git add -A >&2
tree=$(GIT_INDEX_FILE=$index git write-tree)
tip=$(git rev-parse --verify -q 'HEAD^{commit}' || true)
if [ -z "$tip" ]; then
  tip=$(git commit-tree "$tree" -m "Uncommitted changes")
elif [ "$tree" != "$(git rev-parse "$tip^{tree}")" ]; then
  tip=$(git commit-tree "$tree" -p "$tip" -m "Uncommitted changes")
fi
if [ "$tip" = "$base" ]; then exit ${NOTHING_CHANGED}; fi
git update-ref ${REVIEW_REF} "$tip"
if [ -z "$(git rev-list -n 1 "$tip" "^$base")" ]; then
  git bundle create -q - ${REVIEW_REF} >&3
else
  git bundle create -q - ${REVIEW_REF} "^$base" >&3
fi
`;

/** The command that makes a machine write its bundle; what it prints besides goes to standard error. */
export function reviewCommand(machinePath: string, base: string): readonly string[] {
  return ["/bin/sh", "-c", `exec 3>&1 1>&2\n${SCRIPT}`, "doorward-review", machinePath, base];
}
