import type { RouteResult } from "@doorward/contracts";
import type { Handlers } from "../../gateway/index.ts";
import type { PolicyFile } from "../../policy/index.ts";

type PolicyHandlers = Pick<Handlers, Extract<keyof Handlers, `policy.${string}`>>;

/** Handlers of policy routes; `settled` resolves when every grant and machine was judged by the policy in force. */
export function policyHandlers(policy: PolicyFile, settled: () => Promise<void>): PolicyHandlers {
  const view = (): RouteResult<"policy.show"> => ({
    path: policy.path,
    exists: policy.exists,
    hash: policy.hash,
    policy: policy.policy,
  });
  return {
    "policy.show": () => Promise.resolve(view()),
    "policy.check": async ({ body }) => policy.judgePath(body.path),
    "policy.allow": async ({ body }) => {
      await policy.allow(body.path, body.access);
      await settled();
      return view();
    },
    "policy.remove": async ({ body }) => {
      await policy.remove(body.path);
      await settled();
      return view();
    },
    "policy.preset": async ({ body }) => {
      await policy.enablePreset(body);
      await settled();
      return view();
    },
    "policy.grant": async ({ body }) => {
      await policy.addGrantRule(body);
      await settled();
      return view();
    },
    "policy.reload": async () => {
      await policy.reload();
      await settled();
      return view();
    },
  };
}
