/** Kind of an entry of a folder. */
export type EntryKind = "file" | "folder" | "symlink" | "other";

/** What a path is, as reported by the machine; symlinks are followed within reach. */
export interface FileStat {
  /** Absolute path with every symlink resolved. */
  readonly path: string;
  readonly kind: EntryKind;
  /** Bytes. */
  readonly size: number;
  readonly modifiedMs: number;
  readonly executable: boolean;
}

/** An entry of a listed folder. */
export interface FolderEntry {
  /** Absolute path. */
  readonly path: string;
  readonly kind: EntryKind;
  readonly size: number;
  readonly modifiedMs: number;
}

/** A part of a file. */
export interface FileContent {
  readonly bytes: Buffer;
  /** Size of the whole file when it was read. */
  readonly size: number;
  /** `sha256:` digest of the whole file; null when only a part was read. */
  readonly digest: string | null;
  /** Absolute, every symlink resolved; null from a guest of an earlier build, which does not say. */
  readonly path: string | null;
}

/** What must be at a path for a change of it: a file with this digest, nothing, or anything. */
export type Expectation = { readonly digest: string } | "absent" | "any";

/** One change of files. */
export type FileChange =
  | {
      readonly kind: "write";
      readonly path: string;
      readonly bytes: Buffer;
      readonly expect: Expectation;
      /** Whether folders above it that are missing are made. */
      readonly parents: boolean;
      /** Whether it can be run as a program afterwards; as the file that it replaces where this is not said, else not. */
      readonly executable?: boolean;
    }
  | { readonly kind: "remove"; readonly path: string; readonly expect: Expectation }
  | {
      readonly kind: "move";
      readonly path: string;
      readonly to: string;
      readonly expect: Expectation;
      readonly parents: boolean;
    };

/** What a changed path is now. */
export interface FileChanged {
  /** Absolute path with every symlink resolved. */
  readonly path: string;
  /** Digest of a written file; null when it was removed or moved. */
  readonly digest: string | null;
  /** Whether it was not there before. */
  readonly created: boolean;
}

/** What to list. */
export interface ListRequest {
  readonly path: string;
  /** How many levels; 1 is the folder itself. */
  readonly depth: number;
  /** Most entries that are answered. */
  readonly limit: number;
}

/** What to find by name. */
export interface FindRequest {
  /** Glob as ripgrep's `--glob` reads it, relative to `path`: one that fits an ignored or hidden file finds it too. */
  readonly glob: string;
  readonly path: string;
  /** Whether files that .gitignore and its like name, and hidden ones, are found too. */
  readonly ignored: boolean;
  readonly limit: number;
}

/** What to search in files. */
export interface SearchRequest {
  /** Regular expression as ripgrep reads it, or plain text. */
  readonly pattern: string;
  readonly literal: boolean;
  readonly caseSensitive: boolean;
  readonly path: string;
  readonly globs: readonly string[];
  readonly ignored: boolean;
  /** Lines before and after each match. */
  readonly context: number;
  /** Most matching lines that are answered. */
  readonly limit: number;
}

/** One line that a search found, or that stands beside one. */
export interface SearchLine {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly match: boolean;
  /** The line, cut at 2,000 bytes. */
  readonly text: string;
}

/** A list that may have been cut at its limit. */
export interface Bounded<Item> {
  readonly items: readonly Item[];
  readonly truncated: boolean;
}

/**
 * Files of a machine within the folders that the stream was opened with; relative paths start at its working folder.
 * Nothing outside those folders is reached, whatever is swapped meanwhile. Errors: PATH_NOT_ALLOWED, PATH_NOT_FOUND,
 * PATH_INVALID, PATH_NOT_DIRECTORY, PATH_CHANGED (an expectation failed), INPUT_TOO_LARGE, INPUT_INVALID (a pattern).
 */
export interface GuestFiles extends AsyncDisposable {
  /** Whether the stream to the guest still stands. */
  readonly open: boolean;
  stat(path: string, signal: AbortSignal): Promise<FileStat>;
  read(
    path: string,
    range: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): Promise<FileContent>;
  /** Checks every expectation, then does all changes; a failure before the first rename changes nothing. */
  change(changes: readonly FileChange[], signal: AbortSignal): Promise<readonly FileChanged[]>;
  list(request: ListRequest, signal: AbortSignal): Promise<Bounded<FolderEntry>>;
  find(request: FindRequest, signal: AbortSignal): Promise<Bounded<string>>;
  search(request: SearchRequest, signal: AbortSignal): Promise<Bounded<SearchLine>>;
}
