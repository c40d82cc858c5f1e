/** What git says of a changed file. */
export interface GitFile {
  /** Path below the repository's root. */
  readonly path: string;
  /** Path before, of what was moved or copied; null for anything else. */
  readonly from: string | null;
  /** What is staged for the next commit. */
  readonly staged: GitChange | null;
  /** What is changed in the work tree and not staged. */
  readonly unstaged: GitChange | null;
}

export const GIT_CHANGES = [
  "added",
  "modified",
  "deleted",
  "renamed",
  "copied",
  "type-changed",
  "untracked",
  "conflict",
] as const;
export type GitChange = (typeof GIT_CHANGES)[number];

/** Status of a work tree. */
export interface GitStatus {
  /** Null in a detached head. */
  readonly branch: string | null;
  /** Null before the first commit. */
  readonly commit: string | null;
  readonly upstream: string | null;
  readonly ahead: number | null;
  readonly behind: number | null;
  readonly files: readonly GitFile[];
}

const LETTERS: Readonly<Record<string, GitChange>> = {
  A: "added",
  M: "modified",
  D: "deleted",
  R: "renamed",
  C: "copied",
  T: "type-changed",
  U: "conflict",
};

/** Reads what `git status --porcelain=v2 --branch -z` writes. */
export function parsePorcelain(output: string): GitStatus {
  const records = output.split("\0");
  const heads = new Map<string, string>();
  const files: GitFile[] = [];
  for (let at = 0; at < records.length; at += 1) {
    const record = records[at] ?? "";
    const head = /^# branch\.(\w+) (.*)$/s.exec(record);
    if (head !== null) heads.set(head[1] ?? "", head[2] ?? "");
    else if (record.startsWith("2 ")) files.push(entry(record, 9, records[(at += 1)] ?? null));
    else if (record.startsWith("1 ")) files.push(entry(record, 8, null));
    else if (record.startsWith("u ")) files.push(conflict(record));
    else if (record.startsWith("? ")) files.push(untracked(record.slice(2)));
  }
  return { ...headsOf(heads), files };
}

function headsOf(heads: ReadonlyMap<string, string>): Omit<GitStatus, "files"> {
  const branch = heads.get("head");
  const commit = heads.get("oid");
  const counts = /^\+(\d+) -(\d+)$/.exec(heads.get("ab") ?? "");
  return {
    branch: branch === undefined || branch === "(detached)" ? null : branch,
    commit: commit === undefined || commit === "(initial)" ? null : commit,
    upstream: heads.get("upstream") ?? null,
    ahead: counts === null ? null : Number(counts[1]),
    behind: counts === null ? null : Number(counts[2]),
  };
}

function entry(record: string, fields: number, from: string | null): GitFile {
  const [staged = ".", unstaged = "."] = record.slice(2, 4);
  return {
    path: pathOf(record, fields),
    from,
    staged: LETTERS[staged] ?? null,
    unstaged: LETTERS[unstaged] ?? null,
  };
}

function conflict(record: string): GitFile {
  return { path: pathOf(record, 10), from: null, staged: "conflict", unstaged: "conflict" };
}

function untracked(path: string): GitFile {
  return { path, from: null, staged: null, unstaged: "untracked" };
}

/** What follows so many fields, which a path may have spaces in. */
function pathOf(record: string, fields: number): string {
  let at = 0;
  for (let field = 0; field < fields; field += 1) at = record.indexOf(" ", at) + 1;
  return record.slice(at);
}
