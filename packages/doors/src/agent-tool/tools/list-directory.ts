import type { FolderEntry } from "@doorward/guest";
import * as z from "zod";
import { defineTool } from "../tool.ts";
import { pathInput } from "./inputs.ts";
import { shownPath } from "./machine-path.ts";

/** Deepest listing. */
const LIST_DEPTH = 10;
/** Most entries in one answer. */
export const LIST_ENTRIES = 1000;

const Input = z.strictObject({
  path: pathInput("Folder to list, the repository folder when absent").optional(),
  depth: z.int().min(1).max(LIST_DEPTH).optional().describe("How many levels to list; 1 when absent"),
});

const Output = z.strictObject({
  path: z.string().describe("Absolute path of the folder, links resolved"),
  entries: z
    .array(
      z.strictObject({
        path: z.string().describe("Absolute path"),
        kind: z.enum(["file", "folder", "symlink", "other"]).describe("What it is"),
        size: z.int().describe("Bytes"),
      }),
    )
    .describe("What is in it, sorted by path"),
  truncated: z.boolean().describe("Whether there is more than was listed"),
});

/** Lists a folder of the machine. */
export const listDirectory = defineTool({
  name: "list_directory",
  title: "List a folder",
  description:
    `Lists what is in a folder, up to ${LIST_ENTRIES} entries, hidden ones too; folders end in "/", links in "@". ` +
    "To look for files by name in a whole tree use find_files.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async ({ path, depth = 1 }, call) => {
    const files = await call.session.files(call.signal);
    const folder = path ?? call.session.door.reach.workdir;
    const { path: absolute } = await files.stat(folder, call.signal);
    const { items, truncated } = await files.list({ path: folder, depth, limit: LIST_ENTRIES }, call.signal);
    const entries = [...items].sort((one, other) => (one.path < other.path ? -1 : 1));
    const count = entries.length === 1 ? "1 entry" : `${entries.length} entries`;
    const head = `Listed ${shownPath(call, absolute)}: ${entries.length === 0 ? "it is empty" : count}`;
    const more = truncated
      ? ["[There is more: list a folder below it, or call find_files with a glob.]"]
      : [];
    return {
      structured: {
        path: absolute,
        entries: entries.map(entryOf),
        truncated,
      },
      text: [head, ...entries.map((entry) => line(absolute, entry)), ...more].join("\n"),
      target: absolute,
    };
  },
});

function entryOf({ path, kind, size }: FolderEntry): Pick<FolderEntry, "path" | "kind" | "size"> {
  return { path, kind, size };
}

const MARKS: Readonly<Record<FolderEntry["kind"], string>> = {
  file: "",
  folder: "/",
  symlink: "@",
  other: "?",
};

function line(folder: string, { path, kind, size }: FolderEntry): string {
  const start = folder.endsWith("/") ? folder : `${folder}/`;
  const name = path.startsWith(start) ? path.slice(start.length) : path;
  return `${name}${MARKS[kind]}${kind === "file" ? `  ${size}` : ""}`;
}
