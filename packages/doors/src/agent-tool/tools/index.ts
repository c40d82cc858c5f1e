import type { Tool } from "../tool.ts";
import { applyPatch } from "./apply-patch.ts";
import { editFile } from "./edit-file.ts";
import { findFiles } from "./find-files.ts";
import { gitDiff } from "./git-diff.ts";
import { gitStatus } from "./git-status.ts";
import { listDirectory } from "./list-directory.ts";
import { readFile } from "./read-file.ts";
import { searchFiles } from "./search-files.ts";
import { writeFile } from "./write-file.ts";

/** Tools that read and change files, in the order in which models are shown them. */
export const FILE_TOOLS: readonly Tool[] = [
  readFile,
  listDirectory,
  findFiles,
  searchFiles,
  writeFile,
  editFile,
  applyPatch,
  gitStatus,
  gitDiff,
];
