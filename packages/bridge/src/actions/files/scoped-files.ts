import { unlinkSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { FileOperation, FileScope } from "@doorward/contracts";
import { pathRulesOf } from "../../hosts/path-rules-of.ts";
import { inFolder } from "../../machines/mounts/beneath.ts";
import { ActionError } from "../action-error.ts";
import { hostFailure, outsideScope, reasonOf } from "../failures.ts";
import type { FileActions, FilesPlan } from "../ports.ts";
import { applyOperation } from "./apply-operation.ts";
import { inHeldFolder, parentOf } from "./file-roots.ts";
import { FilesJournal, readInterrupted, type InterruptedFiles } from "./journal.ts";
import { loadScope, pathOf, placeIn, type LoadedScope } from "./loaded-scope.ts";
import { sha256 } from "./observe.ts";
import { planOperation } from "./plan-operations.ts";
import { PlannedTree } from "./planned-tree.ts";
import { unfinishedName } from "./replace-file.ts";

/** What file operations need to know of this host. */
export interface ScopedFilesOptions {
  readonly scopes: readonly FileScope[];
  /** Where plans that are being applied are written down; private to this bridge. */
  readonly journalFolder: string;
  readonly platform?: NodeJS.Platform;
}

/** File operations beneath the roots of scopes, from descriptor to descriptor. */
export class ScopedFiles implements FileActions {
  readonly #scopes: ReadonlyMap<string, LoadedScope>;
  readonly #journalFolder: string;

  constructor({ scopes, journalFolder, platform = process.platform }: ScopedFilesOptions) {
    const rules = pathRulesOf(platform);
    this.#scopes = new Map(scopes.map((scope) => [scope.id, loadScope(scope, rules)]));
    this.#journalFolder = journalFolder;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the port is asynchronous; the walk must not be
  async plan(scope: string, operations: readonly FileOperation[]): Promise<FilesPlan> {
    return this.#plan(scope, operations);
  }

  async apply(plan: FilesPlan, signal: AbortSignal): Promise<{ readonly applied: number }> {
    const scope = this.#scope(plan.scope);
    if (this.#plan(plan.scope, plan.operations).state !== plan.state)
      throw outsideScope(
        `Cannot change files of scope "${plan.scope}": they are no longer what the plan was made on`,
      );
    const steps = plan.operations.map((operation) => ({ operation, unfinished: unfinishedName() }));
    const entries = steps.map(({ operation, unfinished }) => ({
      type: operation.type,
      path: pathOf(operation),
      unfinished,
    }));
    using journal = FilesJournal.begin(this.#journalFolder, plan.scope, entries);
    for (const [index, { operation, unfinished }] of steps.entries()) {
      const progress = `operation ${String(index + 1)} of ${String(steps.length)} (${operation.type} "${pathOf(operation)}")`;
      if (signal.aborted)
        throw new ActionError({ code: "CANCELLED", message: `Cancelled before ${progress}` });
      journal.doing(index);
      applyStep(scope, operation, unfinished, `${progress}, after ${String(index)} that were done`);
      journal.done(index);
      await setImmediate();
    }
    return { applied: steps.length };
  }

  /** What plans of a killed bridge left: removes their unfinished files, and says how far each came. */
  recover(): readonly InterruptedFiles[] {
    return readInterrupted(this.#journalFolder, ({ scope, doing }) => {
      const loaded = this.#scopes.get(scope);
      if (loaded !== undefined && doing !== null) removeUnfinished(loaded, doing.path, doing.unfinished);
    });
  }

  #plan(id: string, operations: readonly FileOperation[]): FilesPlan {
    const scope = this.#scope(id);
    const tree = new PlannedTree();
    const changes = operations.map((operation) =>
      asFailure(() => planOperation(scope, tree, operation), "Cannot plan"),
    );
    const state = sha256(JSON.stringify([id, operations, tree.seen()]));
    return { scope: id, operations, changes, state, confirm: scope.confirm };
  }

  #scope(id: string): LoadedScope {
    const scope = this.#scopes.get(id);
    if (scope !== undefined) return scope;
    const message = `Cannot change files: the host's policy has no file scope "${id}"`;
    const scopeViolation = { reason: "SCOPE_NOT_CONFIGURED", message } as const;
    throw new ActionError({ code: "SCOPE_DENIED", message, scopeViolation });
  }
}

function applyStep(scope: LoadedScope, operation: FileOperation, unfinished: string, where: string): void {
  try {
    applyOperation(scope, operation, unfinished);
  } catch (error) {
    if (!(error instanceof ActionError)) throw hostFailure(`Cannot do ${where}: ${reasonOf(error)}`, error);
    const message = `${error.failure.message}; this was ${where}`;
    throw new ActionError({ ...error.failure, message }, { cause: error });
  }
}

function asFailure<T>(work: () => T, what: string): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ActionError) throw error;
    throw hostFailure(`${what}: ${reasonOf(error)}`, error);
  }
}

function removeUnfinished(scope: LoadedScope, path: string, unfinished: string): void {
  try {
    const { parent } = parentOf(placeIn(scope, path));
    inHeldFolder(parent, (folder) => unlinkSync(inFolder(folder, unfinished)));
  } catch {
    // It was never made, or its folder is no longer the scope's.
  }
}
