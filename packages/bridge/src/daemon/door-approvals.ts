import type { ApprovalRequest, PendingQuestion } from "@doorward/doors";
import type { ApprovalAsk, Approvals } from "../approvals/index.ts";
import type { ApprovalsPort, SessionOpened } from "../gateway/index.ts";

/** How long a decision is waited for while something stands still for it, and how long where nothing does. */
const WAIT_SECONDS = 120;
const PENDING_SECONDS = 600;

/** Approvals as the doors ask for them: for exactly what is shown. */
export function doorApprovals(approvals: Approvals): ApprovalsPort {
  return {
    approve: async (session, request, signal) => {
      await approvals.ask(askOf(session, request, WAIT_SECONDS), signal);
    },
    ask: (session, request) => {
      const asked = askOf(session, request, PENDING_SECONDS);
      const standing = approvals.standing(asked);
      return standing === null ? approvals.question(asked) : decidedBefore(standing);
    },
  };
}

function askOf(session: SessionOpened, request: ApprovalRequest, seconds: number): ApprovalAsk {
  const { subject, machine, grant, correlationId, door } = session;
  const { operation, what, summary, bound, shape } = request;
  return {
    operation,
    requestedBy: subject,
    machine,
    grant,
    correlationId,
    title: `${subject} asks ${what === undefined ? `for ${operation}` : `to ${what}`} in "${machine.name}"`,
    lines: [`At the door ${door}, under grant ${grant}`, ...summary.split("\n")],
    bound: { operation, summary, bound: bound ?? null },
    shape: shape === null || shape === undefined ? null : { of: { operation, shape: shape.of } },
    seconds,
  };
}

/** What an approval for a time covers is not asked. */
function decidedBefore({
  id,
  expiresAt,
}: {
  readonly id: string;
  readonly expiresAt: string | null;
}): PendingQuestion {
  return {
    id,
    expiresAt: expiresAt ?? new Date().toISOString(),
    decided: Promise.resolve({ id }),
    [Symbol.dispose]: () => undefined,
  };
}
