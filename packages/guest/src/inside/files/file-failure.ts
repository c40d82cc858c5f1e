import type { FilesFailure } from "../../files-protocol.ts";

/** Why a request for files failed; told to the bridge with its code. */
export class FileFailure extends Error {
  readonly code: FilesFailure["code"];

  constructor(code: FilesFailure["code"], message: string) {
    super(message);
    this.name = "FileFailure";
    this.code = code;
  }
}

type Meaning = readonly [FilesFailure["code"], string];

const READ_ONLY: Meaning = ["PATH_NOT_ALLOWED", "it is read-only in this machine, or a mount of it"];
const FULL: Meaning = ["INPUT_TOO_LARGE", "the machine's disk is full"];
const FILES: Meaning = ["PROCESS_LIMIT", "the machine has as many open files as it may"];
const UNREADABLE: Meaning = ["PATH_INVALID", "the machine's kernel gives no bytes of it"];

/** What the kernel's errors mean to whoever asked. */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ["ENOENT", ["PATH_NOT_FOUND", "it does not exist"]],
  ["ENOTDIR", ["PATH_NOT_DIRECTORY", "a name on the way is no folder"]],
  ["EISDIR", ["PATH_INVALID", "it is a folder"]],
  ["ENAMETOOLONG", ["PATH_INVALID", "a name in it is too long"]],
  ["ENOTEMPTY", ["PATH_INVALID", "the folder is not empty"]],
  ["EEXIST", ["PATH_CHANGED", "something is there already"]],
  ["EACCES", ["PATH_NOT_ALLOWED", "the machine's user has no permission for it"]],
  ["EPERM", ["PATH_NOT_ALLOWED", "the machine's user has no permission for it"]],
  ["EROFS", READ_ONLY],
  ["EBUSY", READ_ONLY],
  ["EXDEV", ["PATH_NOT_ALLOWED", "it lies on another mount than where it would go"]],
  ["ELOOP", ["PATH_CHANGED", "a symlink came in its place meanwhile"]],
  ["ENOSPC", FULL],
  ["EDQUOT", FULL],
  ["EFBIG", FULL],
  ["EIO", UNREADABLE],
  ["EINVAL", UNREADABLE],
  ["EAGAIN", UNREADABLE],
  ["ENXIO", UNREADABLE],
  ["EMFILE", FILES],
  ["ENFILE", FILES],
]);

/** An error of the kernel as a failure in words; `doing` is the beginning of the sentence, e.g. `Cannot read "a"`. */
export function fileFailure(thrown: unknown, doing: string): FileFailure {
  if (thrown instanceof FileFailure) return thrown;
  const [code, why] = MEANINGS.get(errnoOf(thrown) ?? "") ?? ["INTERNAL", reasonOf(thrown)];
  return new FileFailure(code, `${doing}: ${why}`);
}

/** The kernel's name of an error, e.g. `ENOENT`. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string"
    ? thrown.code
    : undefined;
}

/** A path in a message: long ones are cut in the middle. */
export function quoted(path: string): string {
  return path.length <= 300 ? `"${path}"` : `"${path.slice(0, 200)}...${path.slice(-80)}"`;
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message.slice(0, 500) : String(thrown).slice(0, 500);
}
