import { isUtf8 } from "node:buffer";
import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type ReadResourceResult,
  type ResourceTemplateType,
} from "@modelcontextprotocol/server";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import * as z from "zod";
import { FirstAbort } from "../../first-abort.ts";
import type { AgentSession, ClientInfo } from "../agent-session.ts";
import { waitsForOperator } from "../allowance.ts";
import { failureOf } from "../call-failure.ts";
import type { Tool } from "../tool.ts";
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
 * Reads a file that a link names. It is judged and counted like a call of `read_file`, and recorded as what it is: with
 * digests of the link and of all that was answered.
 */
export async function readResource(
  uri: string,
  caller: ToolCaller,
  { session, client }: Asker,
  cancelled: AbortSignal,
): Promise<ReadResourceResult> {
  using either = new FirstAbort(cancelled, session.door.signal);
  const { signal } = either;
  try {
    const path = pathOfResource(uri, session.door.machine.name);
    // A resource is read whole, which is more than the operator would be shown of the call.
    if (waitsForOperator(session.door.agentTool, "read_file"))
      throw refused("TOOL_NOT_ALLOWED", "a person approves each reading", "Call read_file, which asks");
    const call = { session, arguments: { uri }, client, signal, progress: () => undefined };
    const outcome = await caller.perform(resourceTool(uri, path), call);
    if (outcome.kind === "failed") throw protocolErrorOf(uri, outcome);
    return Contents.parse(outcome.answer.structured);
  } catch (thrown) {
    throw thrown instanceof ProtocolError ? thrown : protocolErrorOf(uri, failureOf(toDoorwardError(thrown)));
  }
}

const Contents = z.strictObject({
  contents: z.array(
    z.union([
      z.strictObject({ uri: z.string(), text: z.string() }),
      z.strictObject({ uri: z.string(), blob: z.string() }),
    ]),
  ),
});

/** The reading of one file, for the one way on which everything is judged and recorded; MCP says what it answers. */
function resourceTool(uri: string, path: string): Tool {
  return {
    name: "read_file",
    recordedAs: "resources/read",
    target: path,
    title: "Read a resource",
    description: "Reads a file whole",
    input: z.strictObject({ uri: z.string() }),
    output: Contents,
    hints: { idempotent: true, destructive: false },
    call: async (_input, { session, signal }) => {
      const files = await session.files(signal);
      const { bytes, size } = await files.read(path, { offset: 0, length: RESOURCE_BYTES }, signal);
      if (size > RESOURCE_BYTES) throw tooLarge(path, size);
      const content = isUtf8(bytes)
        ? { uri, text: bytes.toString() }
        : { uri, blob: bytes.toString("base64") };
      return { structured: { contents: [content] }, text: "" };
    },
  };
}

function tooLarge(path: string, size: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot read "${path}": it has ${String(size)} bytes`,
    hint: "Call read_file",
    details: { path },
  });
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
