import type { Tool } from "../tool.ts";
import { checkApproval } from "./check-approval.ts";
import { requestEgress } from "./request-egress.ts";

/** Tools about what needs the operator. */
export const APPROVAL_TOOLS: readonly Tool[] = [checkApproval, requestEgress];
