import { AGENT_TOOLS } from "@doorward/contracts";
import type { AgentSession } from "../agent-session.ts";
import { waitsForOperator } from "../allowance.ts";
import type { Tool } from "../tool.ts";

/** What a model is told of the door before it uses it: where it works, from which folder, and what waits for a person. */
export function instructionsFor({ door }: AgentSession, tools: readonly Tool[]): string {
  const { machine, reach, agentTool } = door;
  const asked = tools.map(({ name }) => name).filter((name) => waitsForOperator(agentTool, name));
  const acts = tools.filter(({ name }) => AGENT_TOOLS[name].effect === "acts").map(({ name }) => name);
  return [
    `All tools work inside the isolated machine "${machine.name}", never on the host. Paths are paths of that machine; relative ones start at ${reach.workdir}.`,
    reach.narrowed
      ? `Only these folders can be reached: ${reach.folders.map(({ path }) => path).join(", ")}.`
      : "",
    asked.length === 0
      ? ""
      : `A person has to approve each call of ${asked.join(", ")}: such a call answers with an id, and check_approval tells how it stands. A refusal is final; do not repeat the call.`,
    acts.length === 0
      ? ""
      : `${acts.join(", ")} may need a person at the host to agree, and ${acts.length === 1 ? "" : "each "}can be refused.`,
    tools.some(({ name }) => name === "request_egress")
      ? "Programs there reach only the hosts of the internet that the operator allows (else a proxy answers 403): ask for another with request_egress."
      : "",
    "An error says what to do next.",
  ]
    .filter((line) => line !== "")
    .join(" ");
}
