import { isUtf8 } from "node:buffer";
import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type ReadResourceResult,
  type ResourceTemplateType,
} from "@modelcontextprotocol/server";
import { toDoorwardError } from "@doorward/contracts";
import type { AgentSession, ClientInfo } from "../agent-session.ts";
import { waitsForOperator } from "../allowance.ts";
import { failureOf } from "../call-failure.ts";
import type { CallOutcome, ToolCaller } from "../tool-caller.ts";
import { pathOfResource, resourceUriOf } from "./resource-uri.ts";

/** Bytes of the largest file that is read as a resource. */
export const RESOURCE_BYTES = 1_048_576;

/** What clients can ask for: any file that the session reaches. */
export function resourceTemplatesOf({ door }: AgentSession): ResourceTemplateType[] {
  return [
    {
      uriTemplate: `${resourceUriOf(door.machine.name, "/")}{+path}`,
      name: "file",
      title: `File in machine ${door.machine.name}`,
      description: "A file of the machine by its absolute path, 1 MiB at most",
    },
  ];
}

/** Who reads a resource. */
interface Asker {
  readonly session: AgentSession;
  readonly client: ClientInfo | null;
}

/**
 * Reads a file that a link names. It is a call of `read_file`, with its checks and its record; the whole bytes follow
 * from the same files.
 */
export async function readResource(
  uri: string,
  caller: ToolCaller,
  { session, client }: Asker,
  cancelled: AbortSignal,
): Promise<ReadResourceResult> {
  const signal = AbortSignal.any([cancelled, session.door.signal]);
  try {
    const path = pathOfResource(uri, session.door.machine.name);
    // A resource is read whole, which is more than the operator would be shown of the call.
    if (waitsForOperator(session.door.agentTool, "read_file"))
      throw refused("TOOL_NOT_ALLOWED", "a person approves each reading", "Call read_file, which asks");
    const call = {
      session,
      name: "read_file",
      arguments: { path, limit_lines: 1 },
      client,
      signal,
    };
    guardAnswered(uri, await caller.call({ ...call, progress: () => undefined }));
    const files = await session.files(signal);
    const { bytes, size } = await files.read(path, { offset: 0, length: RESOURCE_BYTES }, signal);
    if (size > RESOURCE_BYTES)
      throw refused("INPUT_TOO_LARGE", `it has ${String(size)} bytes`, "Call read_file");
    return {
      contents: [isUtf8(bytes) ? { uri, text: bytes.toString() } : { uri, blob: bytes.toString("base64") }],
    };
  } catch (thrown) {
    throw thrown instanceof ProtocolError ? thrown : protocolErrorOf(uri, failureOf(toDoorwardError(thrown)));
  }
}

function guardAnswered(uri: string, outcome: CallOutcome): void {
  if (outcome.kind === "failed") throw protocolErrorOf(uri, outcome);
  const { outcome: how, text } = outcome.answer;
  if (how === "pending") throw refused("APPROVAL_PENDING", "its reading waits for the operator", text);
}

function protocolErrorOf(uri: string, failure: Extract<CallOutcome, { kind: "failed" }>): ProtocolError {
  const { code, message, hint } = failure;
  if (code === "PATH_NOT_FOUND") return new ResourceNotFoundError(uri);
  return refused(code, message, hint);
}

function refused(code: string, why: string, hint: string | null): ProtocolError {
  const data = { code, ...(hint === null ? {} : { hint }) };
  return new ProtocolError(ProtocolErrorCode.InvalidParams, `Cannot read the resource: ${why}`, data);
}
