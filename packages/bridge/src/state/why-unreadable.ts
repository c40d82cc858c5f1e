/** Why a file or folder can't be read, by the system's code. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "it does not exist"],
  ["ENOTDIR", "a part of its path is not a folder"],
  ["EISDIR", "it is a folder"],
  ["ESPIPE", "it is not a regular file"],
  ["ENXIO", "it is not a regular file"],
  ["EACCES", "it may not be read by this user"],
  ["EPERM", "it may not be read by this user"],
  ["ELOOP", "it is a loop of symlinks"],
  ["ENAMETOOLONG", "its name is too long"],
  ["EIO", "the disk does not give it"],
  ["ESTALE", "the file server has lost it"],
  ["EMFILE", "too many files are open"],
  ["ENFILE", "too many files are open"],
  ["ERR_ENCODING_INVALID_ENCODED_DATA", "it is not UTF-8"],
]);

/** Why something can't be read, in words; what is no error of the system keeps its own. */
export function whyUnreadable(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause ? String(cause.code) : "";
  return WORDS.get(code) ?? (code === "" ? cause.message : code);
}
