import type { FileOperation, FileScope } from "@doorward/contracts";
import type { PathRules } from "../../hosts/path-rules.ts";
import { outsideScope } from "../failures.ts";
import { loadRoots, placeOf, type FileRoot, type Place } from "./file-roots.ts";

const DEFAULT_MAX_BYTES = 1_048_576;

/** A file scope with its roots resolved. */
export interface LoadedScope {
  readonly id: string;
  readonly roots: readonly FileRoot[];
  readonly rules: PathRules;
  readonly operations: ReadonlySet<FileOperation["type"]>;
  readonly maxFileBytes: number;
  readonly recursiveRemove: boolean;
  readonly confirm: "always" | "never";
}

/** Resolves a scope of the policy against this host. */
export function loadScope(scope: FileScope, rules: PathRules): LoadedScope {
  return {
    id: scope.id,
    roots: loadRoots(scope, rules),
    rules,
    operations: new Set(scope.operations),
    maxFileBytes: scope.maxFileBytes ?? DEFAULT_MAX_BYTES,
    recursiveRemove: scope.recursiveRemove ?? false,
    confirm: scope.confirm ?? "always",
  };
}

/** The place of a path in a scope. */
export function placeIn(scope: LoadedScope, path: string): Place {
  return placeOf(scope.roots, path, scope.rules);
}

/** Throws an ActionError with SCOPE_VIOLATION for an operation that the scope does not name. */
export function checkOperation(scope: LoadedScope, operation: FileOperation): void {
  if (!scope.operations.has(operation.type))
    throw outsideScope(`Cannot do "${operation.type}": scope "${scope.id}" does not allow it`);
}

/** The bytes that an operation brings. */
export function contentOf(operation: {
  readonly content: string;
  readonly encoding?: "utf8" | "base64" | undefined;
}): Buffer {
  return Buffer.from(operation.content, operation.encoding ?? "utf8");
}

/** The path that an operation is about first. */
export function pathOf(operation: FileOperation): string {
  return operation.type === "rename" ? operation.from : operation.path;
}
