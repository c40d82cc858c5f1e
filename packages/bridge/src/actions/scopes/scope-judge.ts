import { realpathSync } from "node:fs";
import { basename, posix, win32 } from "node:path";
import type { Policy, ProcessScope, ScopeViolation } from "@doorward/contracts";
import { processRulesOf, type ProcessRules } from "../../hosts/process-rules.ts";
import { denyPlaces, findDenied, liesIn } from "../../policy/deny-list.ts";
import type { PathHost } from "../../policy/path-host.ts";
import { expandPath } from "../../policy/path-text.ts";
import { ActionError } from "../action-error.ts";
import { ArgumentRefusal, checkPathPlace, matchCommand, type MatchedCommand } from "../arguments/index.ts";
import type { CommandJudge, CommandPlan, CommandRequest, FileIdentity } from "../ports.ts";
import { commandEnvironment, deniedKeys } from "./environment.ts";
import { gitFoldersOf } from "./git-folders.ts";
import { isInterpreter } from "./interpreters.ts";
import { processScopes } from "./process-scopes.ts";
import { identifyProgram } from "./program.ts";
import { outsideScope, quoted } from "./violation.ts";
import { workingFolder } from "./working-folder.ts";

const DEFAULT_OUTPUT_BYTES = 1_048_576;

/** What commands are judged by. */
export interface JudgeContext {
  /** The policy in force, at each call. */
  readonly policy: () => Policy;
  readonly host: PathHost;
  /** User of the bridge. */
  readonly uid: number;
  /** The bridge's own environment, of which scopes may inherit. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folders of the host that running machines have mounted writable. */
  readonly writable: () => readonly string[];
  /** An empty folder of ours, for commands that need none. */
  readonly privateFolder: string;
}

/** Judges commands by the process scopes of the policy in force. */
export class ScopeJudge implements CommandJudge {
  readonly #context: JudgeContext;
  readonly #processes: ProcessRules;

  constructor(context: JudgeContext) {
    this.#context = context;
    this.#processes = processRulesOf(context.host.platform);
  }

  /** Throws an ActionError with SCOPE_DENIED or SCOPE_VIOLATION. */
  async judge(scopeId: string, request: CommandRequest): Promise<CommandPlan> {
    const scope = this.#scope(scopeId);
    const doing = `Cannot run ${quoted(request.command)} in scope "${scope.id}"`;
    const refuse = (violation: ScopeViolation): never => {
      throw outsideScope(doing, violation);
    };
    const executable = listed(scope, request.command, this.#context.host, refuse);
    const program = await this.#program(executable, refuse);
    const cwd = await this.#workingFolder(request, scope, refuse);
    const env = this.#environment(request, scope, refuse);
    const timeoutMs = timeLimit(request, scope, refuse);
    checkInput(request, scope, refuse);
    const { rule, paths } = await this.#arguments(request, scope, refuse);
    await this.#repositories(
      [request.command, program.path],
      [cwd.path, ...paths.map(({ path }) => path)],
      refuse,
    );
    return {
      scope: scope.id,
      program,
      command: request.command,
      args: [...request.args],
      cwd,
      env,
      timeoutMs,
      maxOutputBytes: scope.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES,
      input: request.input,
      effect: rule.effect,
      confirm: isInterpreter(program.path) ? "always" : (rule.confirm ?? scope.confirm ?? "always"),
    };
  }

  #scope(id: string): ProcessScope {
    const scope = processScopes(this.#context.policy().actions).find((each) => each.id === id);
    if (scope !== undefined) return scope;
    const message = `the policy has no process scope ${quoted(id)}`;
    throw new ActionError({
      code: "SCOPE_DENIED",
      message: `Cannot run a command: ${message}`,
      scopeViolation: { reason: "SCOPE_NOT_CONFIGURED", message },
    });
  }

  async #program(executable: ProcessScope["executables"][number], refuse: Refuse): Promise<FileIdentity> {
    const path = expandPath(executable.path, this.#context.host.home);
    const problem = this.#processes.programProblem(path);
    if (problem !== null) return notAllowlisted(refuse, `"${path}" may not be run: ${problem}`, "untrusted");
    const owner = executable.owner ?? "root";
    const verdict = await identifyProgram(path, { owner, uid: this.#context.uid });
    if ("problem" in verdict) return notAllowlisted(refuse, verdict.why, verdict.problem);
    const { program } = verdict;
    if (executable.sha256 !== undefined && executable.sha256 !== program.digest)
      return notAllowlisted(refuse, `"${path}" has not the digest that the policy names`, "untrusted");
    const machine = this.#writableOver(program.path);
    if (machine !== undefined)
      return notAllowlisted(
        refuse,
        `"${path}" lies in "${machine}", which a machine can write to`,
        "untrusted",
      );
    return program;
  }

  async #workingFolder(request: CommandRequest, scope: ProcessScope, refuse: Refuse): Promise<FileIdentity> {
    const roots = this.#resolved(scope.cwdRoots);
    if (scope.cwdRoots.length > 0 && roots.length === 0)
      return refuse({
        reason: "CWD_OUTSIDE_ALLOWED_ROOTS",
        message: "no working folder of the scope exists",
        pathSource: "cwd",
      });
    const verdict = await workingFolder(request.cwd, roots, this.#context.privateFolder);
    if ("violation" in verdict) return refuse(verdict.violation);
    const machine = this.#writableOver(verdict.cwd.path) ?? this.#writableIn(verdict.cwd.path);
    if (machine === undefined) return verdict.cwd;
    return refuse({
      reason: "CWD_OUTSIDE_ALLOWED_ROOTS",
      message: `the working folder ${quoted(verdict.cwd.path)} and "${machine}", which a machine can write to, overlap`,
      argumentPath: verdict.cwd.path,
      pathSource: "cwd",
    });
  }

  #environment(
    request: CommandRequest,
    scope: ProcessScope,
    refuse: Refuse,
  ): Readonly<Record<string, string>> {
    const denied = [
      ...deniedKeys(request.env, scope.environment),
      ...this.#processes.deniedKeys(Object.keys(request.env)),
    ].map((key) => key.slice(0, 128));
    if (denied.length === 0) {
      const { host, env } = this.#context;
      return commandEnvironment(request.env, scope.environment, { home: host.home, env });
    }
    const names = denied.slice(0, 10).map(quoted).join(", ");
    return refuse({
      reason: "ENV_KEYS_NOT_ALLOWED",
      message: `the scope does not let requests set ${names}`,
      deniedEnvKeys: denied.slice(0, 64),
    });
  }

  async #arguments(request: CommandRequest, scope: ProcessScope, refuse: Refuse): Promise<MatchedCommand> {
    try {
      const matched = matchCommand(request.args, scope, basename(request.command));
      const places = { roots: this.#resolved(scope.pathRoots ?? []), never: this.#never() };
      for (const path of matched.paths) await checkPathPlace(path, places);
      return matched;
    } catch (error) {
      if (error instanceof ArgumentRefusal) return refuse(error.problem);
      throw error;
    }
  }

  #never(): (resolved: string) => string | null {
    const { host } = this.#context;
    const extra = (this.#context.policy().deny ?? []).map((path) => expandPath(path, host.home));
    const places = denyPlaces(host, extra).filter(({ rule }) => rule !== "policy.paths.deny[system]");
    return (resolved) => {
      const denied = findDenied(resolved, places, host.caseInsensitive, ["is", "inside"]);
      if (denied !== undefined) return `leads into "${denied.place.path}" (${denied.place.what})`;
      const machine = this.#writableOver(resolved) ?? this.#writableIn(resolved);
      return machine === undefined ? null : `and "${machine}", which a machine can write to, overlap`;
    };
  }

  /** The work tree may be nobody's to write while the repository behind it is a machine's. */
  async #repositories(names: readonly string[], folders: readonly string[], refuse: Refuse): Promise<void> {
    for (const folder of folders) {
      for (const repository of await gitFoldersOf(names, folder)) {
        const machine = this.#writableOver(repository);
        if (machine !== undefined)
          refuse({
            reason: "SCOPE_POLICY_VIOLATION",
            message: `the repository ${quoted(repository)} of ${quoted(folder)} lies in "${machine}", which a machine can write to`,
          });
      }
    }
  }

  #writableOver(path: string): string | undefined {
    return this.#writable().find((folder) => liesIn(path, folder, this.#context.host.caseInsensitive));
  }

  #writableIn(path: string): string | undefined {
    return this.#writable().find((folder) => liesIn(folder, path, this.#context.host.caseInsensitive));
  }

  /** What running machines have, and what machines may get: one that has ended may have left something there. */
  #writable(): readonly string[] {
    const roots = this.#context.policy().roots.filter(({ access }) => access === "rw");
    const mounted = this.#context.writable();
    return [...mounted, ...this.#resolved([...mounted, ...roots.map(({ path }) => path)])];
  }

  #resolved(paths: readonly string[]): string[] {
    return paths.flatMap((path) => {
      try {
        return [realpathSync(expandPath(path, this.#context.host.home))];
      } catch {
        return [];
      }
    });
  }
}

type Refuse = (violation: ScopeViolation) => never;

function listed(
  scope: ProcessScope,
  command: string,
  { home, platform }: PathHost,
  refuse: Refuse,
): ProcessScope["executables"][number] {
  const paths = platform === "win32" ? win32 : posix;
  if (!paths.isAbsolute(command))
    return refuse({
      reason: "COMMAND_PATH_NOT_ABSOLUTE",
      message: `the command ${quoted(command)} is no absolute path`,
    });
  const found = scope.executables.find(({ path }) => expandPath(path, home) === command);
  return found ?? notAllowlisted(refuse, `the scope has no program ${quoted(command)}`, "untrusted");
}

function notAllowlisted(refuse: Refuse, message: string, problem: "absent" | "untrusted"): never {
  if (problem === "untrusted") return refuse({ reason: "COMMAND_NOT_ALLOWLISTED", message });
  throw new ActionError({ code: "PROCESS_SPAWN_ENOENT", message: `Cannot run a command: ${message}` });
}

function timeLimit({ timeoutMs }: CommandRequest, scope: ProcessScope, refuse: Refuse): number {
  const ceiling = scope.timeoutSeconds * 1000;
  if (timeoutMs === null) return ceiling;
  if (timeoutMs > 0 && timeoutMs <= ceiling) return Math.ceil(timeoutMs);
  return refuse({
    reason: "TIMEOUT_EXCEEDS_SCOPE_CEILING",
    message: `${timeoutMs} ms is not within the scope's limit of ${ceiling} ms`,
    timeoutCeilingMs: ceiling,
    // NaN and the infinities have no form in JSON.
    ...(Number.isFinite(timeoutMs) ? { requestedTimeoutMs: timeoutMs } : {}),
  });
}

function checkInput({ input }: CommandRequest, scope: ProcessScope, refuse: Refuse): void {
  const limit = scope.maxInputBytes ?? 0;
  if (input === null || input.length <= limit) return;
  refuse({
    reason: "SCOPE_POLICY_VIOLATION",
    message: `${input.length} bytes of input are more than the ${limit} of the scope`,
  });
}
