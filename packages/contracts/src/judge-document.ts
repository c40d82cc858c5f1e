import * as z from "zod";
import { DOCUMENTS } from "./documents.ts";

/** One thing that is wrong with a document. */
export interface DocumentProblem {
  /** JSON Pointer (RFC 6901) of the value that is wrong, missing or unknown. */
  readonly path: string;
  readonly message: string;
}

/** Whether a value is a document of ours, and if not, why. */
export interface DocumentVerdict {
  /** Type it says it has; null when it names none that has a contract. */
  readonly type: string | null;
  readonly valid: boolean;
  readonly problems: readonly DocumentProblem[];
}

const Named = z.union([z.object({ type: z.string() }), z.object({ kind: z.string() })]);

/** The contract that a document names in `type`, or in `kind` as AgentPlane does; null when there is none of that name. */
export function typeOfDocument(value: unknown): string | null {
  const named = Named.safeParse(value);
  if (!named.success) return null;
  const type = "type" in named.data ? named.data.type : named.data.kind;
  return Object.hasOwn(DOCUMENTS, type) ? type : null;
}

/** Judges a document by the contract it names, or by that of `type` for those that name none. */
export function judgeDocument(value: unknown, type: string | null = typeOfDocument(value)): DocumentVerdict {
  const schema = type !== null && Object.hasOwn(DOCUMENTS, type) ? DOCUMENTS[type] : undefined;
  if (schema === undefined) {
    const message = `names no contract in "type" or "kind"; known are ${Object.keys(DOCUMENTS).join(", ")}`;
    return { type: null, valid: false, problems: [{ path: "/type", message }] };
  }
  const judged = schema.safeParse(value);
  return {
    type,
    valid: judged.success,
    problems: judged.success ? [] : judged.error.issues.flatMap(problemsOf),
  };
}

function problemsOf(issue: z.core.$ZodIssue): DocumentProblem[] {
  const message = issue.message;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: pointer([...issue.path, key]),
      message: "is no field of this contract",
    }));
  }
  return [{ path: pointer(issue.path), message }];
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
