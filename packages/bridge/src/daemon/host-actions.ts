import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FileScope } from "@doorward/contracts";
import { HostActions, type ActionParts, type HostActionsOptions } from "../actions/index.ts";
import { HostClipboard } from "../actions/clipboard/index.ts";
import { ScopedFiles, type InterruptedFiles } from "../actions/files/index.ts";
import { HostsFile } from "../actions/hosts-file/index.ts";
import type { FileActions } from "../actions/ports.ts";
import { HostCommands } from "../actions/run/index.ts";
import { privateFolderOf, ScopeJudge } from "../actions/scopes/index.ts";
import { MachineRecord } from "../machines/life/index.ts";
import type { PolicyFile } from "../policy/index.ts";
import { expandPath } from "../policy/path-text.ts";
import type { Folders } from "../state/index.ts";

/** What host actions of a bridge are opened with. */
export interface HostActionsSources extends Omit<HostActionsOptions, "parts" | "policy" | "cutFiles"> {
  readonly folders: Folders;
  readonly policy: PolicyFile;
}

/** Opens the host actions of this host; programs and files that a killed bridge left in the middle are settled first. */
export async function openHostActions({ folders, ...sources }: HostActionsSources): Promise<HostActions> {
  const { policy, store, log } = sources;
  const privateFolder = privateFolderOf(folders.state);
  const journalFolder = join(folders.state, "actions", "journal");
  for (const folder of [privateFolder, journalFolder]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const runner = new HostCommands();
  const ended = await runner.reap();
  if (ended > 0) log.warn({ programs: ended }, "ended programs of host actions that a killed bridge left");
  const machines = store.documents("machines", MachineRecord);
  const judge = new ScopeJudge({
    policy: () => policy.policy,
    host: policy.host,
    uid: process.getuid?.() ?? 0,
    env: process.env,
    writable: () => machines.list().flatMap(writableFolders),
    privateFolder,
  });
  const scoped = (): ScopedFiles => new ScopedFiles({ scopes: fileScopes(policy), journalFolder });
  const cutFiles = recovered(scoped, log);
  const files: FileActions = {
    plan: async (scope, operations) => await scoped().plan(scope, operations),
    apply: async (plan, signal) => await scoped().apply(plan, signal),
  };
  const clipboard = new HostClipboard({ env: process.env });
  const parts: ActionParts = { judge, runner, files, hosts: new HostsFile(), clipboard };
  return await HostActions.open({ ...sources, parts, cutFiles });
}

/** A scope that can't be loaded refuses its own requests; it does not keep the bridge from opening. */
function recovered(scoped: () => ScopedFiles, log: HostActionsSources["log"]): readonly InterruptedFiles[] {
  try {
    return scoped().recover();
  } catch (error) {
    log.error({ err: error }, "file operations that a killed bridge left could not be looked at");
    return [];
  }
}

/** File scopes of the policy in force, their roots written out. */
function fileScopes({ policy, host }: PolicyFile): FileScope[] {
  return (policy.actions?.files ?? []).map((scope) => ({
    ...scope,
    roots: scope.roots.map((root) => expandPath(root, host.home)),
  }));
}

/** Folders of the host that a machine may write, running or not: what it wrote stays. */
function writableFolders({ repos }: MachineRecord): string[] {
  return repos.filter(({ access }) => access === "rw").map(({ hostPath }) => hostPath);
}
