import { AGENT_TOOLS, type AgentToolDoorSpec, type ToolId, type ToolName } from "@doorward/contracts";
import type { FieldProblem } from "../policy/strict-text.ts";

type Path = FieldProblem["path"];

/** What only this build can't keep: accepting it would promise what nothing does. */
const UNBUILT_ARTIFACTS: ReadonlySet<string> = new Set(["RunArtifact", "SessionArtifact"]);

/** What a schema can't say of an agent-tool door: words that nothing enforces, and fields that contradict each other. */
export function agentToolProblems(spec: AgentToolDoorSpec, path: Path): FieldProblem[] {
  return [
    ...unbuiltProblems(spec, path),
    ...allowanceProblems(spec, [...path, "toolAllowances"]),
    ...unofferedTools(spec, spec.approvalRequired, [...path, "approvalRequired"]),
    ...approvalProblems(spec, [...path, "approvalRequired"]),
    ...clientProblems(spec, spec.registryGrantRefs, [...path, "registryGrantRefs"]),
  ];
}

function unbuiltProblems({ allowedOperations, agentPlaneEvidence }: AgentToolDoorSpec, path: Path) {
  const code = "DOOR_NOT_BUILT" as const;
  const plugin = allowedOperations.indexOf("agent-tool.plugin");
  const what = '"agent-tool.plugin" is for tools of plugins, which this build does not run';
  const artifacts = [...agentPlaneEvidence.artifacts.entries()].filter(([, each]) =>
    UNBUILT_ARTIFACTS.has(each),
  );
  return [
    ...(plugin < 0 ? [] : [{ path: [...path, "allowedOperations", plugin], what, code }]),
    ...artifacts.map(([at, artifact]) => ({
      path: [...path, "agentPlaneEvidence", "artifacts", at],
      what: `this build leaves no "${artifact}"; require "AgentMachineMountEvidence"`,
      code,
    })),
  ];
}

function allowanceProblems(spec: AgentToolDoorSpec, path: Path): FieldProblem[] {
  const tools = spec.toolAllowances.flatMap((each, at) =>
    unofferedTools(spec, each.tools, [...path, at, "tools"]),
  );
  return [...clientProblems(spec, spec.toolAllowances, path), ...tools];
}

/** Entries for clients that the door does not list, and second entries of one client. */
function clientProblems(
  { toolIds }: AgentToolDoorSpec,
  entries: readonly { readonly toolId: ToolId }[],
  path: Path,
): FieldProblem[] {
  return entries.flatMap(({ toolId }, at) => {
    const field = [...path, at, "toolId"];
    if (!toolIds.includes(toolId)) return [{ path: field, what: `"${toolId}" is none of its toolIds` }];
    const first = entries.findIndex((each) => each.toolId === toolId);
    return first === at ? [] : [{ path: field, what: `"${toolId}" has an entry already` }];
  });
}

function unofferedTools(
  { allowedOperations }: AgentToolDoorSpec,
  tools: readonly ToolName[],
  path: Path,
): FieldProblem[] {
  return tools.flatMap((tool, at) => {
    const { operation } = AGENT_TOOLS[tool];
    if (allowedOperations.includes(operation)) return [];
    return [
      { path: [...path, at], what: `"${tool}" needs "${operation}", which is none of its allowedOperations` },
    ];
  });
}

/** Waiting for the operator before one may ask what the operator decided would never end. */
function approvalProblems({ approvalRequired }: AgentToolDoorSpec, path: Path): FieldProblem[] {
  const at = approvalRequired.indexOf("check_approval");
  if (at < 0) return [];
  return [{ path: [...path, at], what: '"check_approval" tells what became of an approval, and needs none' }];
}
