import { durationSeconds } from "@doorward/contracts";
import type { Approvals } from "../../approvals/index.ts";
import type { Handlers } from "../../gateway/index.ts";
import { subjectOf } from "./machines.ts";

type ApprovalHandlers = Pick<Handlers, Extract<keyof Handlers, `approvals.${string}`>>;

/** When whoever did not read is told again. */
const AGAIN_MS = 500;

/** Handlers of pending decisions; their routes admit the operator alone. */
export function approvalHandlers(approvals: Approvals): ApprovalHandlers {
  return {
    "approvals.list": () => Promise.resolve({ approvals: approvals.list() }),
    "approvals.watch": ({ tell, signal }) => watch(approvals, tell, signal),
    "approvals.approve": async ({ params, body, caller }) => {
      const seconds = body.for === undefined ? null : durationSeconds(body.for);
      const where = body.where ?? "command";
      const given = { digest: body.digest, by: subjectOf(caller), seconds, where };
      const { id, expiresAt } = await approvals.approve(params.approval, given);
      return { id, expiresAt };
    },
    "approvals.deny": async ({ params, body, caller }) => {
      await approvals.deny(params.approval, subjectOf(caller), body.reason ?? null, body.where ?? "command");
      return { id: params.approval };
    },
  };
}

function watch(
  approvals: Approvals,
  tell: (event: { approvals: ReturnType<Approvals["list"]> }) => boolean,
  signal: AbortSignal,
): Promise<{ ended: string }> {
  return new Promise((resolve) => {
    let again: NodeJS.Timeout | undefined;
    const show = (): void => {
      clearTimeout(again);
      // What somebody was too slow for would stay unseen until the next change, which may be the end of its time.
      if (!tell({ approvals: approvals.list() })) again = setTimeout(show, AGAIN_MS).unref();
    };
    const listening = approvals.onChange(show);
    const stop = (): void => {
      clearTimeout(again);
      listening[Symbol.dispose]();
      resolve({ ended: "the caller went away" });
    };
    show();
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
