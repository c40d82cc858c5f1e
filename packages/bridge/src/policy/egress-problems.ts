import type { EgressRule, EgressSpec, Policy } from "@doorward/contracts";
import { rangeProblem, readHost } from "../egress/addresses.ts";
import type { FieldProblem } from "./strict-text.ts";

type Path = readonly (string | number)[];

/** What a schema can't say of egress: hosts that would never be reached, ranges, and rules that need TLS to be opened. */
export function egressProblems(policy: Policy): FieldProblem[] {
  const profiles = Object.entries(policy.profiles ?? {});
  return [
    ...specProblems(policy.egress, ["egress"]),
    ...profiles.flatMap(([name, profile]) => specProblems(profile.egress, ["profiles", name, "egress"])),
  ];
}

function specProblems(
  spec: { readonly allow?: EgressSpec["allow"] | undefined } | undefined,
  path: Path,
): FieldProblem[] {
  return (spec?.allow ?? []).flatMap((rule, at) => ruleProblems(rule, [...path, "allow", at]));
}

function ruleProblems(rule: EgressRule, path: Path): FieldProblem[] {
  const problems = (rule.addresses ?? []).flatMap((range, at): FieldProblem[] => {
    const what = rangeProblem(range);
    return what === null ? [] : [{ path: [...path, "addresses", at], what }];
  });
  const host = hostProblem(rule);
  if (host !== null) problems.push({ path: [...path, "host"], what: host });
  const narrowed = rule.methods !== undefined ? "methods" : rule.paths !== undefined ? "paths" : null;
  const plain = (rule.ports ?? [443]).every((port) => port === 80);
  if (narrowed !== null && rule.tls !== "open" && !plain)
    problems.push({ path: [...path, narrowed], what: "they can be seen only with tls: open" });
  return problems;
}

function hostProblem({ host, addresses }: EgressRule): string | null {
  const wildcard = host.startsWith("*.");
  const asked = readHost(wildcard ? host.slice(2) : host);
  if (asked.kind === "invalid") return `"${host}" is no host name: ${asked.why}`;
  if (asked.kind === "address")
    return addresses !== undefined && asked.plain && !wildcard
      ? null
      : `"${host}" is an address: name it with the range that it is in, under addresses`;
  if (addresses !== undefined) return null;
  if (asked.local) return `"${host}" is a name for local use: it needs addresses`;
  return wildcard && !host.slice(2).includes(".") ? `"${host}" covers a whole top-level domain` : null;
}
