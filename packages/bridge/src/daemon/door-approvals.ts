import type { Approvals } from "../approvals/index.ts";
import type { ApprovalsPort } from "../gateway/index.ts";

const WAIT_SECONDS = 120;

/** Approvals as the doors ask for them: once, for exactly what is shown. */
export function doorApprovals(approvals: Approvals): ApprovalsPort {
  return {
    approve: async (session, { operation, summary }, signal) => {
      const { subject, machine, grant, correlationId, door } = session;
      const asked = {
        operation,
        requestedBy: subject,
        machine,
        grant,
        correlationId,
        title: `${subject} asks for ${operation} in "${machine.name}"`,
        lines: [`At the door ${door}, under grant ${grant}`, ...summary.split("\n")],
        bound: { operation, summary },
        shape: null,
        seconds: WAIT_SECONDS,
      };
      await approvals.ask(asked, signal);
    },
  };
}
