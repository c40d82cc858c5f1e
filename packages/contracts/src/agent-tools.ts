import * as z from "zod";
import type { AGENT_TOOL_OPERATIONS } from "./operations.ts";

/** What calling a tool does: reads, changes files, runs a program, or acts on the host. */
export type ToolEffect = "reads" | "changes" | "runs" | "acts";

interface ToolKind {
  /** Operation that a grant must hold to call it. */
  readonly operation: (typeof AGENT_TOOL_OPERATIONS)[number];
  readonly effect: ToolEffect;
}

const reads = { operation: "agent-tool.read", effect: "reads" } as const;
const changes = { operation: "agent-tool.write", effect: "changes" } as const;
const runs = { operation: "agent-tool.exec", effect: "runs" } as const;
const watches = { operation: "agent-tool.exec", effect: "reads" } as const;
const acts = { operation: "agent-tool.host-action", effect: "acts" } as const;

/** Every tool of the agent-tool door by name: the operation that it takes, and what calling it does. */
export const AGENT_TOOLS = {
  read_file: reads,
  list_directory: reads,
  find_files: reads,
  search_files: reads,
  git_status: reads,
  git_diff: reads,
  write_file: changes,
  edit_file: changes,
  apply_patch: changes,
  run_command: runs,
  send_input: runs,
  stop_command: runs,
  command_output: watches,
  list_commands: watches,
  check_approval: { operation: "agent-tool.list", effect: "reads" },
  request_egress: { operation: "agent-tool.egress", effect: "acts" },
  host_clipboard_read: acts,
  host_clipboard_write: acts,
  host_hosts_write: acts,
  host_change_files: acts,
  host_run_command: acts,
  host_run_workflow: acts,
} as const satisfies Readonly<Record<string, ToolKind>>;

export type ToolName = keyof typeof AGENT_TOOLS;

/** Names of all tools of the agent-tool door. */
export const TOOL_NAMES: readonly ToolName[] = Object.keys(AGENT_TOOLS).filter(isToolName);

export const ToolName = z.enum(TOOL_NAMES).describe("Name of a tool of the agent-tool door");

/** Whether a text names a tool of the agent-tool door. */
export function isToolName(name: string): name is ToolName {
  return Object.hasOwn(AGENT_TOOLS, name);
}
