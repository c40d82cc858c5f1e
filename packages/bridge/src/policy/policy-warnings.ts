import { doorOf, type DoorName, type PolicyGrantRule } from "@doorward/contracts";
import { toolIdOf } from "@doorward/doors";
import { readAuthorities } from "../egress/read-authorities.ts";
import type { PolicyFile } from "./policy-file.ts";
import { judgeRoot } from "./judge-path.ts";

/** Something in a valid policy that does nothing, or not what its words say. */
export interface PolicyWarning {
  readonly field: string;
  readonly what: string;
}

/** What the operator should know of a policy that is valid; nothing of it keeps the policy from being in force. */
export async function policyWarnings(file: PolicyFile): Promise<PolicyWarning[]> {
  if (!file.exists) return [{ field: "", what: "there is no such file: nothing is allowed" }];
  const grants = (file.policy.grants ?? []).flatMap((rule, at) => grantWarnings(file, rule, at));
  return [...(await rootWarnings(file)), ...grants, ...(await authorityWarnings(file))];
}

/** Authorities that rules of egress name and that can't be read: their hosts are refused. */
async function authorityWarnings({ policy, host }: PolicyFile): Promise<PolicyWarning[]> {
  const profiles = Object.entries(policy.profiles ?? {});
  const places = [
    { field: "egress", egress: policy.egress },
    ...profiles.map(([name, { egress }]) => ({ field: `profiles.${name}.egress`, egress })),
  ];
  const named = places.flatMap(({ field, egress }) =>
    (egress?.allow ?? []).map(({ ca }, at) => ({ field: `${field}.allow[${String(at)}].ca`, ca })),
  );
  const warnings = named.map(async ({ field, ca }): Promise<PolicyWarning[]> => {
    if (ca === undefined) return [];
    return await readAuthorities(ca, host.home).then(
      () => [],
      (error: unknown) => [{ field, what: error instanceof Error ? error.message : String(error) }],
    );
  });
  return (await Promise.all(warnings)).flat();
}

async function rootWarnings(file: PolicyFile): Promise<PolicyWarning[]> {
  const { policy, host, path } = file;
  if (policy.roots.length === 0)
    return [{ field: "roots", what: "it is empty: no repo may be given to a machine" }];
  const warnings: PolicyWarning[] = [];
  for (const [at, root] of policy.roots.entries()) {
    const verdict = await judgeRoot(root.path, { policy, file: path, host });
    if (!verdict.allowed)
      warnings.push({ field: `roots[${String(at)}].path`, what: `${root.path}: ${verdict.reason}` });
  }
  return warnings;
}

function grantWarnings(file: PolicyFile, rule: PolicyGrantRule, at: number): PolicyWarning[] {
  const profiles = rule.profiles ?? file.profileNames();
  const where = profiles.length === 1 ? `profile ${profiles.join("")} does not` : `none of its profiles does`;
  const field = `grants[${String(at)}]`;
  const useless = rule.operations.filter(
    (one) => !profiles.some((profile) => file.operations(profile, doorOf(one)).includes(one)),
  );
  const warnings = useless.map((one) => ({ field, what: `nobody is granted ${one}: ${where} offer it` }));
  const client = clientProblem(file, rule, profiles);
  return client === null ? warnings : [...warnings, { field: `${field}.to`, what: client }];
}

/** A kind of client that no agent-tool door of the rule's profiles serves; null where one does, or the rule names no kind. */
function clientProblem(
  file: PolicyFile,
  { to, doors }: PolicyGrantRule,
  profiles: readonly string[],
): string | null {
  const door: DoorName = "agent-tool";
  if (!doors.includes(door) || !/^(?:agent:[^:*]+:|ci:)/.test(to)) return null;
  const id = toolIdOf(to);
  if (id === null) return `"${to}" is no kind of client that the agent-tool door knows`;
  const doorsOfIt = profiles.flatMap((profile) => file.profile(profile).doors[door] ?? []);
  if (doorsOfIt.length === 0 || doorsOfIt.some(({ toolIds }) => toolIds.includes(id))) return null;
  return `toolIds of the agent-tool door have no "${id}"`;
}
