import { constants, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { DOCUMENTS, DOORS, DoorwardError, ServedGrant, typeOfDocument } from "@doorward/contracts";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import * as z from "zod";
import { POLICY_BYTES, StrictText } from "../policy/strict-text.ts";
import { whyUnreadable } from "../state/index.ts";
import { UNBUILT } from "./read-documents.ts";

/** One thing that is wrong in a file. */
export interface FileProblem {
  /** JSON Pointer of the field; empty for the whole document. */
  readonly path: string;
  readonly reason: string;
}

/** Whether a file holds a document that fits its contract. */
export interface FileVerdict {
  readonly file: string;
  /** Contract that it was judged by; null when it names none. */
  readonly type: string | null;
  readonly valid: boolean;
  readonly problems: readonly FileProblem[];
  /** What a valid document is not good for; null when there is nothing to say. */
  readonly note: string | null;
}

/** Judges files by the published JSON schemas, with Ajv; nothing of the bridge's own checks is asked. */
export class FileValidator {
  readonly #ajv = strictAjv();
  readonly #compiled = new Map<string, ValidateFunction>();

  /** Judges one file by the contract that it names, or by `type`; what can't be read is a problem of that file. */
  async judge(file: string, type?: string): Promise<FileVerdict> {
    try {
      const value = new StrictText(await readText(file), { file, what: "document" }).value;
      const named = type ?? typeOfDocument(value);
      if (named === null) return verdict(file, null, [unnamed(value)]);
      return verdict(file, named, this.#problems(named, value), noteOn(named, value));
    } catch (error) {
      if (!(error instanceof DoorwardError)) throw error;
      return verdict(file, type ?? null, [{ path: "", reason: error.message }]);
    }
  }

  #problems(type: string, value: unknown): FileProblem[] {
    let validate = this.#compiled.get(type);
    if (validate === undefined) {
      validate = this.#ajv.compile(publishedSchema(type));
      this.#compiled.set(type, validate);
    }
    return validate(value) ? [] : (validate.errors ?? []).map(problemOf);
  }
}

/** The committed JSON Schema of a contract. */
export function publishedSchema(type: string): Record<string, unknown> {
  const path = fileURLToPath(import.meta.resolve(`@doorward/contracts/schemas/${type}.json`));
  return z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(path, "utf8")));
}

const Typed = z.union([z.object({ type: z.string() }), z.object({ kind: z.string() })]);

function unnamed(value: unknown): FileProblem {
  const typed = Typed.safeParse(value).data;
  if (typed === undefined) {
    const reason = "it names no contract in type or kind; --type NAME says which one to judge by";
    return { path: "/type", reason };
  }
  const [path, name] = "type" in typed ? ["/type", typed.type] : ["/kind", typed.kind];
  return { path, reason: `"${name}" names no contract; known are ${Object.keys(DOCUMENTS).join(", ")}` };
}

const OfKind = z.object({ interfaceKind: z.string() });

/** What the bridge says to a document that fits its contract, and that it refuses to load all the same. */
function noteOn(type: string, value: unknown): string | null {
  if (type === "HostInterfaceGrant" && !ServedGrant.safeParse(value).success)
    return "this build does not serve all of its doors and operations, so the bridge makes no such grant";
  const kind = OfKind.safeParse(value).data?.interfaceKind;
  const door = UNBUILT.has(type) ? `door for "${type}"` : `${kind ?? ""} door`;
  const built = !UNBUILT.has(type) && (kind === undefined || DOORS.some((each) => each === kind));
  return built ? null : `this build has no ${door}, so the bridge refuses to load it`;
}

function strictAjv(): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  addFormats.default(ajv);
  return ajv;
}

function verdict(
  file: string,
  type: string | null,
  problems: readonly FileProblem[],
  note: string | null = null,
): FileVerdict {
  const valid = problems.length === 0;
  return { file, type, valid, problems, note: valid ? note : null };
}

async function readText(file: string): Promise<string> {
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(POLICY_BYTES + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, bytesRead));
  } catch (cause) {
    const message = `Cannot read "${file}": ${whyUnreadable(cause)}`;
    throw new DoorwardError({ code: "INPUT_INVALID", message, cause });
  }
}

const Named = z.object({
  missingProperty: z.string().optional(),
  additionalProperty: z.string().optional(),
  allowedValues: z.array(z.unknown()).optional(),
  allowedValue: z.unknown().optional(),
});

function problemOf(error: ErrorObject): FileProblem {
  const { missingProperty, additionalProperty, allowedValues, allowedValue } = Named.parse(error.params);
  if (missingProperty !== undefined) return { path: below(error, missingProperty), reason: "is missing" };
  if (additionalProperty !== undefined)
    return { path: below(error, additionalProperty), reason: "is no field of this contract" };
  const wanted = allowedValues ?? (allowedValue === undefined ? [] : [allowedValue]);
  const words = wanted.length === 0 ? "" : `: ${wanted.map((value) => JSON.stringify(value)).join(", ")}`;
  return { path: error.instancePath, reason: `${error.message ?? error.keyword}${words}` };
}

function below({ instancePath }: ErrorObject, name: string): string {
  return `${instancePath}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
