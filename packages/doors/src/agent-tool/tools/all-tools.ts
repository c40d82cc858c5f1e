import type { Tool } from "../tool.ts";
import { APPROVAL_TOOLS } from "./approval-tools.ts";
import { COMMAND_TOOLS } from "./command-tools.ts";
import { HOST_TOOLS } from "./host-tools.ts";
import { FILE_TOOLS } from "./index.ts";

/** Every tool of the door, in the order in which models are shown them. */
export const ALL_TOOLS: readonly Tool[] = [...COMMAND_TOOLS, ...FILE_TOOLS, ...APPROVAL_TOOLS, ...HOST_TOOLS];
