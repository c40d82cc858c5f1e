import { basename } from "node:path";
import {
  ACTION_PRESETS,
  type ActionPolicy,
  type ArgumentValue,
  type CommandRule,
  type FlagRule,
  type Policy,
  type ProcessScope,
} from "@doorward/contracts";
import { compiled } from "../actions/arguments/check-value.ts";
import { neverRequested, neverSet } from "../actions/scopes/environment.ts";
import { isInterpreter } from "../actions/scopes/interpreters.ts";
import type { FieldProblem } from "./strict-text.ts";

type Path = readonly (string | number)[];

/** Ids that plans of other actions bear. */
const RESERVED = new Set(["etc-hosts", "hosts", "clipboard", "system", "doorward"]);

/** What a schema can't say of actions, as far as the text alone shows it: ids, flags, interpreters, variables. */
export function actionProblems({ actions }: Policy): FieldProblem[] {
  if (actions === undefined) return [];
  return [
    ...idProblems(actions),
    ...(actions.processes ?? []).flatMap((scope, at) => scopeProblems(scope, ["actions", "processes", at])),
    ...pathProblems(actions),
  ];
}

function idProblems(actions: ActionPolicy): FieldProblem[] {
  const enabled = (actions.presets ?? []).map(({ preset }) => preset);
  const processes = [
    ...(actions.processes ?? []).map(({ id }, at) => ({ id, path: ["actions", "processes", at, "id"] })),
    ...enabled.map((id, at) => ({ id, path: ["actions", "presets", at, "preset"] })),
  ];
  const files = (actions.files ?? []).map(({ id }, at) => ({ id, path: ["actions", "files", at, "id"] }));
  return [...doubles(processes), ...doubles(files), ...[...processes, ...files].flatMap(reserved)];
}

interface NamedScope {
  readonly id: string;
  readonly path: Path;
}

function doubles(scopes: readonly NamedScope[]): FieldProblem[] {
  const seen = new Set<string>();
  return scopes.flatMap(({ id, path }) => {
    if (seen.has(id)) return [{ path, what: `there is a scope "${id}" already` }];
    seen.add(id);
    return [];
  });
}

function reserved({ id, path }: NamedScope): FieldProblem[] {
  const preset: boolean = ACTION_PRESETS.some((name) => name === id);
  if (preset && path[1] === "files")
    return [{ path, what: `"${id}" is the name of a preset of process scopes` }];
  return RESERVED.has(id) ? [{ path, what: `"${id}" is a reserved id` }] : [];
}

function scopeProblems(scope: ProcessScope, path: Path): FieldProblem[] {
  return [
    ...environmentProblems(scope, [...path, "environment"]),
    ...flagProblems(scope.globalFlags ?? [], [], [...path, "globalFlags"]),
    ...commandProblems(scope, [...path, "commands"]),
    ...interpreterProblems(
      scope,
      scope.executables.map(({ path: program }) => program),
      path,
    ),
  ];
}

function environmentProblems({ environment }: ProcessScope, path: Path): FieldProblem[] {
  const problem = (key: string, what: string | null, at: Path): FieldProblem[] =>
    what === null ? [] : [{ path: [...path, ...at], what: `"${key}" may not stand there: ${what}` }];
  return [
    ...(environment?.request ?? []).flatMap((key, at) => problem(key, neverRequested(key), ["request", at])),
    ...(environment?.inherit ?? []).flatMap((key, at) => problem(key, neverSet(key), ["inherit", at])),
    ...Object.keys(environment?.set ?? {}).flatMap((key) => problem(key, neverSet(key), ["set", key])),
  ];
}

function commandProblems(scope: ProcessScope, path: Path): FieldProblem[] {
  const seen = new Set<string>();
  return scope.commands.flatMap((rule, at) => {
    const here = [...path, at];
    const key = JSON.stringify([rule.words, rule.programs ?? []]);
    const double = seen.has(key)
      ? [{ path: here, what: "a command of the same words stands before it" }]
      : [];
    seen.add(key);
    return [
      ...double,
      ...flagProblems(rule.flags ?? [], scope.globalFlags ?? [], [...here, "flags"]),
      ...operandProblems(rule, here),
    ];
  });
}

function flagProblems(flags: readonly FlagRule[], before: readonly FlagRule[], path: Path): FieldProblem[] {
  const seen = new Set(before.flatMap(({ names }) => names));
  return flags.flatMap((flag, at) => {
    const twice = flag.names.filter((name, index) => seen.has(name) || flag.names.indexOf(name) < index);
    for (const name of flag.names) seen.add(name);
    return [
      ...twice.map((name) => ({ path: [...path, at, "names"], what: `"${name}" stands twice` })),
      ...(flag.value === undefined ? [] : valueProblems(flag.value, [...path, at, "value"])),
    ];
  });
}

function operandProblems({ operands }: CommandRule, path: Path): FieldProblem[] {
  if (operands === undefined) return [];
  const here = [...path, "operands"];
  return [
    ...(operands.min > operands.max ? [{ path: [...here, "max"], what: "it is less than min" }] : []),
    ...valueProblems(operands.value, [...here, "value"]),
    ...(operands.first ?? []).flatMap((value, at) => valueProblems(value, [...here, "first", at])),
  ];
}

function valueProblems(value: ArgumentValue, path: Path): FieldProblem[] {
  if (value.kind === "integer" && value.min > value.max)
    return [{ path: [...path, "max"], what: "it is less than min" }];
  if (value.kind === "one-of" && value.values.some((each) => each.startsWith("-")))
    return [{ path: [...path, "values"], what: "a value that starts with a hyphen is refused anyway" }];
  if (value.kind !== "match") return [];
  try {
    compiled(value.pattern);
    return [];
  } catch {
    return [{ path: [...path, "pattern"], what: "it is no regular expression" }];
  }
}

/** Interpreters run what their arguments say: only arguments that leave no choice, each use confirmed. */
export function interpreterProblems(
  scope: ProcessScope,
  programs: readonly string[],
  path: Path,
): FieldProblem[] {
  const found = programs.find((program) => isInterpreter(program));
  if (found === undefined) return [];
  const name = basename(found);
  const never = scope.confirm === "never" || scope.commands.some(({ confirm }) => confirm === "never");
  const loose =
    scope.commands.findIndex((rule) => !isExact(rule)) >= 0 || (scope.globalFlags ?? []).length > 0;
  const why = never
    ? "it can't be used without a confirmation each time"
    : "its commands must be exact words, without flags and operands";
  if (!never && !loose && (scope.maxInputBytes ?? 0) === 0 && scope.environment?.request === undefined)
    return [];
  const place = [...path, "executables"];
  return [
    {
      path: place,
      what: `"${name}" runs what its arguments say: ${never || loose ? why : "it takes no input and no variables of a request"}`,
    },
  ];
}

function isExact(rule: CommandRule): boolean {
  return (
    rule.words.length > 0 &&
    (rule.flags ?? []).length === 0 &&
    rule.operands === undefined &&
    rule.separator !== true
  );
}

function pathProblems(actions: ActionPolicy): FieldProblem[] {
  return actionPaths(actions).flatMap(({ path, text }) =>
    text.split(/[/\\]/).includes("..") ? [{ path, what: `"${text}" has a ".." in it` }] : [],
  );
}

/** A path of the actions of a policy, and what it is for. */
export interface PolicyPathUse {
  readonly path: Path;
  readonly text: string;
  readonly use: "program" | "cwd" | "argument" | "files" | "variable";
}

/** Every path that the actions of a policy name. */
export function actionPaths(actions: ActionPolicy): PolicyPathUse[] {
  const list = (
    texts: readonly string[] | undefined,
    path: Path,
    use: PolicyPathUse["use"],
  ): PolicyPathUse[] => (texts ?? []).map((text, at) => ({ path: [...path, at], text, use }));
  const processes = (actions.processes ?? []).flatMap((scope, at) => {
    const here = ["actions", "processes", at];
    const programs = scope.executables.map(({ path: text }, index) => ({
      path: [...here, "executables", index, "path"],
      text,
      use: "program" as const,
    }));
    const variables = Object.entries(scope.environment?.set ?? {}).flatMap(([key, value]) =>
      value
        .split(":")
        .filter((part) => part.startsWith("/"))
        .map((text) => ({ path: [...here, "environment", "set", key], text, use: "variable" as const })),
    );
    return [
      ...programs,
      ...list(scope.cwdRoots, [...here, "cwdRoots"], "cwd"),
      ...list(scope.pathRoots, [...here, "pathRoots"], "argument"),
      ...variables,
    ];
  });
  const presets = (actions.presets ?? []).flatMap((preset, at) => {
    const here = ["actions", "presets", at];
    return [
      ...list(preset.executables, [...here, "executables"], "program"),
      ...list(preset.cwdRoots, [...here, "cwdRoots"], "cwd"),
      ...list(preset.pathRoots, [...here, "pathRoots"], "argument"),
    ];
  });
  const files = (actions.files ?? []).flatMap(({ roots }, at) =>
    list(roots, ["actions", "files", at, "roots"], "files"),
  );
  return [...processes, ...presets, ...files];
}
