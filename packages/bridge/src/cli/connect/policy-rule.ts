import type { DoorwardClient } from "@doorward/client";
import type { DoorName, Operation } from "@doorward/contracts";
import { decideGrant } from "../../policy/grant-rules.ts";
import { canAsk, confirm } from "../confirm.ts";
import { LONGEST_RULE } from "../mcp/operations.ts";
import type { Run } from "../run.ts";

/** What a client's grants will ask for. */
export interface RuleAsk {
  readonly tool: string;
  readonly door: DoorName;
  readonly operations: readonly Operation[];
  readonly time: string;
  readonly profile: string;
}

/**
 * Sees to it that the policy lets a kind of agent be granted what its client will ask for: with `allow` a rule is added
 * where none fits, on a terminal after a question. Answers whether it may now.
 */
export async function ensureRule(
  run: Run,
  client: DoorwardClient,
  ask: RuleAsk,
  allow: boolean,
): Promise<boolean> {
  const { signal } = run.cli;
  const { policy, path } = await client.call("policy.show", {}, { signal });
  const { tool, door, operations, profile } = ask;
  const doors = [door];
  const wanted = { subject: `agent:${tool}:any`, doors, operations, seconds: 600, profile };
  try {
    decideGrant(policy, wanted, path);
    return true;
  } catch (cause) {
    const rule = { to: `agent:${tool}:*`, doors, operations: [...operations], for: LONGEST_RULE };
    const question = `Your policy grants nothing to ${rule.to} yet. Add ${operations.join(", ")} for up to ${LONGEST_RULE}?`;
    const yes = allow || (!run.output.json && canAsk(run.cli) && (await confirm(run.cli, question)));
    if (!yes) {
      run.output.note(
        `The policy allows no grant for it yet: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
      run.output.note(
        run.output.commands("Add --allow to this command, or edit the policy: doorward policy show"),
      );
      return false;
    }
    await client.call("policy.grant", { body: rule }, { signal });
    run.output.info(
      `The policy now lets ${rule.to} be granted ${operations.join(", ")} for up to ${LONGEST_RULE}`,
    );
    return true;
  }
}
