import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  AgentMachineProfile,
  AgentToolDoor,
  DoorwardError,
  SecureHostInterfaceProfile,
  TerminalDoor,
} from "@doorward/contracts";
import type * as z from "zod";
import { readPolicyFile } from "../policy/policy-storage.ts";
import { schemaProblems, StrictText, type FieldProblem } from "../policy/strict-text.ts";

/** Most documents that one folder may hold. */
const DOCUMENTS = 200;

/** A document about a door that this build has. */
export type DoorDocument = TerminalDoor | AgentToolDoor;

/** A document that the bridge loads and puts in force. */
export type InterfaceContract = AgentMachineProfile | SecureHostInterfaceProfile | DoorDocument;

/** A document of the operator, as read from its file, and how to say what is wrong with one of its fields. */
export interface LoadedDocument<Contract extends InterfaceContract = InterfaceContract> {
  readonly path: string;
  readonly document: Contract;
  readonly invalid: (problem: FieldProblem, code?: "DOOR_NOT_BUILT") => DoorwardError;
}

const LOADED: Readonly<Record<InterfaceContract["type"], z.ZodType<InterfaceContract>>> = {
  AgentMachineProfile,
  AgentToolDoor,
  SecureHostInterfaceProfile,
  TerminalDoor,
};

/** Doors that the contracts know and this build does not have: accepting one would promise what nothing keeps. */
export const UNBUILT: ReadonlySet<string> = new Set(["BrowserDoor", "EditorDoor"]);

/**
 * Reads every document of a folder, each checked by its own schema; none when there is no folder. A file that is neither
 * JSON nor YAML is refused: it might be a document that somebody believes to be in force.
 */
export async function readDocuments(folder: string): Promise<readonly LoadedDocument[]> {
  const names = await documentNames(folder);
  const loaded: LoadedDocument[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const stored = await readPolicyFile(path, "document");
    if (stored !== null) loaded.push(readDocument(stored.text, path));
  }
  return loaded;
}

/** Reads one document; throws `POLICY_INVALID` with file and field, or `DOOR_NOT_BUILT`. */
export function readDocument(text: string, path: string): LoadedDocument {
  const read = new StrictText(text, { file: path, what: "document" });
  const type = typeOf(read.value);
  if (UNBUILT.has(type)) {
    const what = `this build has no door for "${type}", so nothing would enforce it`;
    throw read.invalid([{ path: ["type"], what }], "DOOR_NOT_BUILT");
  }
  if (!isLoaded(type)) {
    const what = `"${type}" is none of ${Object.keys(LOADED).join(", ")}`;
    throw read.invalid([{ path: ["type"], what: type === "" ? "it is missing" : what }]);
  }
  const result = LOADED[type].safeParse(read.value);
  if (!result.success) throw read.invalid(schemaProblems(result.error.issues));
  return { path, document: result.data, invalid: (problem, code) => read.invalid([problem], code) };
}

async function documentNames(folder: string): Promise<readonly string[]> {
  const stat = await lstat(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  });
  if (stat === null) return [];
  if (!stat.isDirectory()) throw unusable(folder, "it is not a folder of its own");
  const names = (await readdir(folder)).filter((name) => !name.startsWith(".") && !name.endsWith("~")).sort();
  const odd = names.find((name) => !/\.(?:json|ya?ml)$/.test(name));
  if (odd !== undefined) throw unusable(join(folder, odd), "its name ends with neither .json nor .yaml");
  if (names.length > DOCUMENTS) throw unusable(folder, `it has more than ${DOCUMENTS} documents`);
  return names;
}

function typeOf(value: unknown): string {
  const type: unknown = typeof value === "object" && value !== null && "type" in value ? value.type : "";
  return typeof type === "string" ? type : "";
}

function isLoaded(type: string): type is InterfaceContract["type"] {
  return Object.hasOwn(LOADED, type);
}

function unusable(path: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "POLICY_INVALID",
    message: `Cannot read document "${path}": ${why}`,
    hint: `ls -l '${path}'`,
  });
}
