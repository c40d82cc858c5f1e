import {
  AGENT_TOOLS,
  CODE_RUNNING_OPERATIONS,
  DenialError,
  DoorwardError,
  doorOf,
  knownCapability,
  type DoorName,
  type Operation,
  type ToolName,
} from "@doorward/contracts";
import type { GrantMachine } from "./ports.ts";

/** What a grant covers, apart from time. */
export interface Scope {
  readonly doors: readonly DoorName[];
  readonly operations: readonly Operation[];
  readonly paths: readonly string[];
  /** Actions on the host that may be asked for. */
  readonly capabilities: readonly string[];
  /** Tools of the agent-tool door that may be called; null for those of the operations. */
  readonly tools: readonly ToolName[] | null;
}

/** What somebody asks for; what is left out is taken from the operations, the machine or the parent. */
export interface ScopeAsk {
  readonly doors?: readonly DoorName[] | undefined;
  readonly operations?: readonly Operation[] | undefined;
  readonly paths?: readonly string[] | undefined;
  readonly capabilities?: readonly string[] | undefined;
  readonly tools?: readonly ToolName[] | undefined;
}

/** Scope of a new grant on a machine; refuses what the machine does not offer or nothing could enforce. */
export function mintedScope(
  ask: ScopeAsk & { readonly operations: readonly Operation[] },
  machine: Pick<GrantMachine, "name" | "doors" | "repoHostPaths">,
): Scope {
  const operations = unique(ask.operations);
  const doors = unique(ask.doors ?? operations.map(doorOf));
  const absent = doors.find((door) => !machine.doors.includes(door));
  if (absent !== undefined) {
    const message = `Cannot mint grant: machine "${machine.name}" does not offer door "${absent}"`;
    throw new DenialError({ code: "DOOR_NOT_OFFERED", rule: "profile.doors", message });
  }
  checkDoorsOf(operations, doors);
  const paths = unique(ask.paths ?? machine.repoHostPaths).map(plainPath);
  checkWithin(
    "path",
    paths,
    (path) => covers(machine.repoHostPaths, path),
    `the repos of machine "${machine.name}"`,
  );
  const capabilities = knownCapabilities(ask.capabilities ?? []);
  const tools = ask.tools === undefined ? null : unique(ask.tools);
  checkTools(tools, operations);
  return enforceable({ doors, operations, paths, capabilities, tools }, machine.repoHostPaths);
}

/** Scope of a child; refuses whatever its parent does not cover. */
export function narrowedScope(ask: ScopeAsk, parent: Scope, repoHostPaths: readonly string[]): Scope {
  const doors = unique(ask.doors ?? parent.doors);
  const inherited = parent.operations.filter((one) => {
    return doors.includes(doorOf(one)) && (ask.tools === undefined || isUsed(one, ask.tools));
  });
  const operations = unique(ask.operations ?? inherited);
  const paths = unique(ask.paths ?? parent.paths).map(plainPath);
  checkWithin("door", doors, (door) => parent.doors.includes(door), "its parent");
  checkWithin("operation", operations, (operation) => parent.operations.includes(operation), "its parent");
  checkWithin("path", paths, (path) => covers(parent.paths, path), "its parent");
  const capabilities = knownCapabilities(ask.capabilities ?? parent.capabilities);
  checkWithin("capability", capabilities, (one) => parent.capabilities.includes(one), "its parent");
  checkDoorsOf(operations, doors);
  const tools = narrowedTools(ask.tools, parent, operations);
  checkTools(tools, operations);
  return enforceable({ doors, operations, paths, capabilities, tools }, repoHostPaths);
}

/** Whether a path is one of the roots or lies under one. Both are resolved paths without `.` and `..`. */
export function covers(roots: readonly string[], path: string): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`));
}

/** Capabilities by their first names; one that nobody knows is refused instead of carried along. */
function knownCapabilities(asked: readonly string[]): readonly string[] {
  return unique(
    asked.map((capability) => {
      const known = knownCapability(capability);
      if (known !== null) return known;
      throw new DoorwardError({
        code: "INPUT_INVALID",
        message: `Cannot make grant: capability ${JSON.stringify(capability)} is not known`,
      });
    }),
  );
}

/** Tools of a child: those asked for, or of its parent's those that its operations still serve. */
function narrowedTools(
  asked: readonly ToolName[] | undefined,
  parent: Scope,
  operations: readonly Operation[],
): readonly ToolName[] | null {
  const limit = parent.tools;
  if (asked !== undefined) {
    const tools = unique(asked);
    checkWithin("tool", tools, (tool) => limit?.includes(tool) !== false, "its parent");
    return tools;
  }
  if (limit === null || !operations.some((one) => doorOf(one) === "agent-tool")) return null;
  const kept = limit.filter((tool) => operations.includes(AGENT_TOOLS[tool].operation));
  if (kept.length > 0) return kept;
  const message = `Cannot make grant: its operations serve none of its parent's tools, ${limit.join(", ")}`;
  throw new DenialError({ code: "GRANT_TOO_WIDE", rule: "grant.tools", message });
}

/** Whether an operation is of use to a grant that names tools: another door's is, and so is listing them. */
function isUsed(operation: Operation, tools: readonly ToolName[]): boolean {
  if (doorOf(operation) !== "agent-tool" || operation === "agent-tool.list") return true;
  return tools.some((tool) => AGENT_TOOLS[tool].operation === operation);
}

/** Tools and operations of one grant go together: a tool without its operation can't be called, an operation without a tool opens more than was named. */
function checkTools(tools: readonly ToolName[] | null, operations: readonly Operation[]): void {
  if (tools === null) return;
  const homeless = tools.find((tool) => !operations.includes(AGENT_TOOLS[tool].operation));
  if (homeless !== undefined) {
    const needed = AGENT_TOOLS[homeless].operation;
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot make grant: tool "${homeless}" needs operation "${needed}", which it does not include`,
      hint: `--op ${needed}`,
    });
  }
  const unused = operations.find((operation) => !isUsed(operation, tools));
  if (unused === undefined) return;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot make grant: none of its tools needs operation "${unused}"`,
    hint: "Leave the operation out, or name a tool of it with --tool",
  });
}

function unique<Item>(items: readonly Item[]): readonly Item[] {
  return [...new Set(items)];
}

function checkDoorsOf(operations: readonly Operation[], doors: readonly DoorName[]): void {
  if (operations.length === 0 || doors.length === 0) {
    const what = doors.length === 0 ? "door" : "operation";
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot make grant: it would have no ${what}`,
    });
  }
  const homeless = operations.find((operation) => !doors.includes(doorOf(operation)));
  if (homeless === undefined) return;
  const door = doorOf(homeless);
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot make grant: operation "${homeless}" needs door "${door}", which it does not include`,
    hint: `--door ${door}`,
  });
}

/** Paths are compared by their letters, so that only one spelling is accepted. */
function plainPath(path: string): string {
  const plain = path.startsWith("/") && !/\/(?:\.{0,2}(?:\/|$))|[\u0000-\u001f\u007f]/.test(path);
  if (plain || path === "/") return path;
  throw new DoorwardError({
    code: "PATH_INVALID",
    message: `Cannot make grant: path ${JSON.stringify(path)} is not absolute and resolved`,
    hint: "realpath PATH",
  });
}

function checkWithin<Item extends string>(
  what: string,
  asked: readonly Item[],
  allowed: (item: Item) => boolean,
  limit: string,
): void {
  const wider = asked.find((item) => !allowed(item));
  if (wider === undefined) return;
  throw new DenialError({
    code: "GRANT_TOO_WIDE",
    rule: what === "capability" ? "grant.capabilities" : `grant.${what}s`,
    message: `Cannot make grant: ${what} "${wider}" is not within ${limit}`,
  });
}

/** Code that runs in a machine reaches all of its mounts, so that narrower paths would be a promise nobody keeps. */
function enforceable(scope: Scope, repoHostPaths: readonly string[]): Scope {
  const uncovered = repoHostPaths.find((repo) => !covers(scope.paths, repo));
  const runner = scope.operations.find((operation) => CODE_RUNNING_OPERATIONS.has(operation));
  if (uncovered === undefined || runner === undefined) return scope;
  throw new DenialError({
    code: "GRANT_UNENFORCEABLE",
    rule: "grant.paths",
    message: `Cannot make grant: operation "${runner}" reaches "${uncovered}", which its paths leave out`,
    hint: "doorward up REPO --new",
    details: { operation: runner, path: uncovered },
  });
}
