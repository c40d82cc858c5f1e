import { DenialError, DoorwardError, toDoorwardError, type EvidencePredicate } from "@doorward/contracts";
import type { ApprovalAsk, ApprovalGiven } from "../approvals/index.ts";
import { ActionError } from "./action-error.ts";
import type { ActionAsker, Planned } from "./flow-ports.ts";

type Confirmation = EvidencePredicate<"host-action">["confirmation"];

/** The queue of decisions, as far as actions use it. */
export interface ApprovalQueue {
  ask(ask: ApprovalAsk, signal: AbortSignal, onAsked?: (id: string) => void): Promise<ApprovalGiven>;
}

/** How an action was confirmed. */
export interface Confirmed {
  readonly confirmation: Confirmation;
  readonly approval: string | null;
}

/** An action that nobody confirmed. */
export class NotConfirmed extends ActionError {
  readonly confirmation: Confirmation;
  readonly approval: string | null;

  constructor(error: DoorwardError) {
    const tooLarge = error.code === "INPUT_TOO_LARGE";
    super({ code: tooLarge ? "VALIDATION_FAILED" : "CANCELLED", message: error.message }, { cause: error });
    const late = error instanceof DenialError && error.rule === "approvals.time";
    this.confirmation = late ? "expired" : "denied";
    const { approval } = error.details ?? {};
    this.approval = typeof approval === "string" ? approval : null;
  }
}

/** What is asked of the person on the host: the full effect, bound to request, scope and state. */
export function approvalAsk(
  plan: Planned,
  asked: {
    readonly asker: ActionAsker;
    readonly correlationId: string;
    readonly operation: string;
    readonly requestDigest: string;
    readonly seconds: number;
  },
): ApprovalAsk {
  const { asker, correlationId, operation, requestDigest, seconds } = asked;
  const { title, lines, scopeVersion, state, shape, scope } = plan;
  return {
    operation,
    requestedBy: asker.subject,
    machine: asker.machine,
    grant: asker.grant?.id ?? null,
    correlationId,
    title,
    lines,
    bound: { request: requestDigest, scopeVersion, state: state ?? null },
    shape: shape === null ? null : { of: { operation, scope, scopeVersion, shape: shape.of } },
    seconds,
  };
}

/** Asks, and waits for the decision; throws NotConfirmed. */
export async function confirmed(
  queue: ApprovalQueue,
  ask: ApprovalAsk,
  signal: AbortSignal,
  onAsked: (id: string) => void,
): Promise<Confirmed> {
  const questions: string[] = [];
  try {
    const given = await queue.ask(ask, signal, (id) => {
      questions.push(id);
      onAsked(id);
    });
    return { confirmation: questions.length > 0 ? "approved" : "session-approved", approval: given.id };
  } catch (error) {
    throw new NotConfirmed(toDoorwardError(error));
  }
}
