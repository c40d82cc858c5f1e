import type { GuestFiles } from "@doorward/guest";
import { FILE_TOOLS } from "../../packages/doors/src/agent-tool/tools/index.ts";

type Call = Parameters<(typeof FILE_TOOLS)[number]["call"]>[1];

/** Calls a tool of the agent-tool door on some path of the granted folder; answers all that it tells. */
export type ToolAttempt = (path: string) => Promise<string>;

/** Attempts with the file tools of a session whose grant has no commands, on the files that its stream reaches. */
export function toolAttempts(files: GuestFiles, folder: string, signal: AbortSignal): readonly ToolAttempt[] {
  const call = callAt(files, folder, signal);
  const tool = async (name: string, args: unknown): Promise<string> => {
    const found = FILE_TOOLS.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no tool ${name}`);
    const { structured, text } = await found.call(found.input.parse(args), call);
    return JSON.stringify([structured, text]);
  };
  const patch = (...lines: string[]): Promise<string> =>
    tool("apply_patch", { patch: ["*** Begin Patch", ...lines, "*** End Patch"].join("\n") });
  const names: ToolAttempt = () => tool("find_files", { glob: "**" });
  const lines: ToolAttempt = () => tool("search_files", { pattern: "." });
  return [
    (path) => tool("read_file", { path }),
    (path) => tool("read_file", { path }),
    (path) => tool("list_directory", { path: path.slice(0, path.lastIndexOf("/")), depth: 3 }),
    (path) => tool("write_file", { path, content: "within\n" }),
    (path) => tool("write_file", { path: `${path}-new`, content: "within\n", create_only: true }),
    (path) => tool("edit_file", { path, edits: [{ old_text: "within", new_text: "within too" }] }),
    (path) => patch(`*** Update File: ${path}`, "@@", "-within", "+within as well"),
    (path) => patch(`*** Update File: ${path}`, `*** Move to: ${path}-moved`),
    (path) => patch(`*** Update File: ${path}-new`, "*** Move to: c/moved", "@@", "-within", "+moved"),
    (path) => patch(`*** Add File: ${path}-new`, "+within"),
    (path) => patch(`*** Delete File: ${path}-new`),
    (path) => patch("*** Delete File: c/moved", `*** Delete File: ${path}-moved`),
    (path) => (Math.random() < 0.2 ? names : lines)(path),
  ];
}

function callAt(files: GuestFiles, folder: string, signal: AbortSignal): Call {
  const session = {
    door: {
      machine: { name: "swapped" },
      operations: new Set(["agent-tool.list", "agent-tool.read", "agent-tool.write"]),
      reach: { workdir: folder, folders: [{ path: folder, access: "rw" }], narrowed: true },
    },
    files: () => Promise.resolve(files),
  };
  return { session, signal, progress: () => undefined, shown: null } as unknown as Call;
}
