import type { AgentToolDoorSpec, RegistryGrant, ToolAllowance } from "@doorward/contracts";

/** What tools may change on the host, the least first. */
const MUTATIONS = ["deny", "dry-run-only", "approval-required", "preapproved"] as const;

/** An agent-tool door that allows only what both allow; null when that is nothing. Registry grants are as the second names them. */
export function narrowedAgentTool(
  one: AgentToolDoorSpec,
  other: AgentToolDoorSpec,
): AgentToolDoorSpec | null {
  const toolIds = both(one.toolIds, other.toolIds).filter((id) => {
    return [one, other].every(({ registryGrantRefs: refs }) => hasGrant(refs, id));
  });
  const allowedOperations = both(one.allowedOperations, other.allowedOperations);
  if (toolIds.length === 0 || allowedOperations.length === 0) return null;
  return {
    ...one,
    toolIds,
    allowedOperations,
    toolAllowances: toolIds.flatMap((id) => allowance(id, one.toolAllowances, other.toolAllowances)),
    approvalRequired: [...new Set([...one.approvalRequired, ...other.approvalRequired])],
    registryGrantRefs: other.registryGrantRefs.length === 0 ? one.registryGrantRefs : other.registryGrantRefs,
    hostMutationPolicy: lesser(one.hostMutationPolicy, other.hostMutationPolicy),
  };
}

/** Whether a kind of client is not asked for a registry grant, or has one. */
function hasGrant(refs: readonly RegistryGrant[], id: RegistryGrant["toolId"]): boolean {
  return refs.length === 0 || refs.some(({ toolId }) => toolId === id);
}

function allowance(
  id: ToolAllowance["toolId"],
  one: readonly ToolAllowance[],
  other: readonly ToolAllowance[],
): ToolAllowance[] {
  const written = [one, other].flatMap((each) => each.find(({ toolId }) => toolId === id) ?? []);
  const [first, second] = written;
  if (first === undefined) return [];
  return [{ toolId: id, tools: second === undefined ? first.tools : both(first.tools, second.tools) }];
}

function both<Item>(one: readonly Item[], other: readonly Item[]): Item[] {
  return one.filter((item) => other.includes(item));
}

function lesser(
  one: (typeof MUTATIONS)[number],
  other: (typeof MUTATIONS)[number],
): (typeof MUTATIONS)[number] {
  return MUTATIONS.indexOf(one) < MUTATIONS.indexOf(other) ? one : other;
}
