import { doorOf, durationSeconds, type Policy } from "@doorward/contracts";
import { agentToolProblems } from "../interfaces/agent-tool-problems.ts";
import { compileGlob } from "./glob.ts";
import { actionProblems } from "./action-problems.ts";
import { mergeProfile } from "./effective-policy.ts";
import { egressProblems } from "./egress-problems.ts";
import type { FieldProblem } from "./strict-text.ts";

/** Longest time of any grant, in seconds. */
export const LONGEST_GRANT_SECONDS = 30 * 86_400;

/** What a schema can't say of a policy: names that must exist, doors that must fit their operations, times, globs. */
export function policyProblems(policy: Policy, documented: ReadonlySet<string>): FieldProblem[] {
  const known = new Set(["default", ...Object.keys(policy.profiles ?? {}), ...documented]);
  return [
    ...rootProblems(policy, known),
    ...grantProblems(policy, known),
    ...profileProblems(policy),
    ...protectProblems(policy),
    ...egressProblems(policy),
    ...actionProblems(policy),
  ];
}

function rootProblems(policy: Policy, known: ReadonlySet<string>): FieldProblem[] {
  const seen = new Map<string, number>();
  return policy.roots.flatMap((root, index) => {
    const problems = unknownProfiles(known, root.profiles, ["roots", index, "profiles"]);
    if (root.path.split("/").includes("..")) {
      problems.push({ path: ["roots", index, "path"], what: `"${root.path}" has a ".." in it` });
    }
    const first = seen.get(root.path);
    if (first !== undefined) {
      problems.push({
        path: ["roots", index, "path"],
        what: `"${root.path}" stands in roots[${first}] already`,
      });
    }
    seen.set(root.path, index);
    return problems;
  });
}

function grantProblems(policy: Policy, known: ReadonlySet<string>): FieldProblem[] {
  return (policy.grants ?? []).flatMap((rule, index) => {
    const problems = unknownProfiles(known, rule.profiles, ["grants", index, "profiles"]);
    for (const [at, operation] of rule.operations.entries()) {
      if (rule.doors.includes(doorOf(operation))) continue;
      const path = ["grants", index, "operations", at];
      problems.push({
        path,
        what: `"${operation}" belongs to the door "${doorOf(operation)}", which is not listed`,
      });
    }
    if (durationSeconds(rule.for) > LONGEST_GRANT_SECONDS) {
      problems.push({ path: ["grants", index, "for"], what: `"${rule.for}" is more than 30 days` });
    }
    return problems;
  });
}

function profileProblems(policy: Policy): FieldProblem[] {
  return Object.entries(policy.profiles ?? {}).flatMap(([name, profile]) => {
    const tools = mergeProfile(profile).doors["agent-tool"];
    return [
      ...globProblems(profile.mounts?.hide ?? [], ["profiles", name, "mounts", "hide"]),
      ...(tools === undefined ? [] : agentToolProblems(tools, ["profiles", name, "doors", "agent-tool"])),
    ];
  });
}

function protectProblems(policy: Policy): FieldProblem[] {
  return globProblems(policy.protect ?? [], ["protect"]);
}

/** What is wrong with globs. */
export function globProblems(globs: readonly string[], path: readonly (string | number)[]): FieldProblem[] {
  return globs.flatMap((glob, index) => {
    const what = compileGlob(glob).problem;
    return what === null ? [] : [{ path: [...path, index], what }];
  });
}

function unknownProfiles(
  known: ReadonlySet<string>,
  names: readonly string[] | undefined,
  path: readonly (string | number)[],
): FieldProblem[] {
  return (names ?? []).flatMap((name, index) => {
    return known.has(name) ? [] : [{ path: [...path, index], what: `there is no profile "${name}"` }];
  });
}
