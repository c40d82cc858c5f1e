import { DoorwardError } from "@doorward/contracts";
import type * as z from "zod";

/** Parses a text message and checks it; an error names the field. */
export function decodeText<Schema extends z.ZodType>(schema: Schema, data: Buffer): z.infer<Schema> {
  const parsed = schema.safeParse(parseJson(data));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join(".") ?? "";
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot take message: ${path === "" ? "it" : `"${path}"`} is wrong: ${issue?.message ?? "unknown shape"}`,
    details: { path },
  });
}

function parseJson(data: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(data.toString("utf8"));
    return value;
  } catch {
    throw new DoorwardError({ code: "INPUT_INVALID", message: "Cannot take message: it is not JSON" });
  }
}

/** A message that is not allowed at this point of its protocol. */
export function outOfTurn(what: string, why: string): DoorwardError {
  return new DoorwardError({ code: "PROTOCOL_ERROR", message: `Cannot take "${what}": ${why}` });
}
