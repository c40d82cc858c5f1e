import { askingPlugin, type ActionAsker, type HostActions } from "../../actions/index.ts";
import type { Caller, Handlers } from "../../gateway/index.ts";
import type { GrantAuthority } from "../../grants/index.ts";
import type { MachineRecords } from "../../machines/life/index.ts";
import { subjectOf } from "./machines.ts";

type ActionHandlers = Pick<Handlers, Extract<keyof Handlers, `actions.${string}`>>;

/** Handlers of privileged actions; a grant's holder has the capabilities of its grant and sees its own requests. */
export function actionHandlers(
  actions: HostActions,
  grants: GrantAuthority,
  records: MachineRecords,
): ActionHandlers {
  return {
    "actions.run": ({ body, caller, signal, tell }) =>
      actions.perform(askerOf(caller, grants, records), body, signal, (event) => void tell(event)),
    "actions.list": ({ caller }) =>
      Promise.resolve({ actions: [...actions.reports(grantOf(caller))].slice(0, 1000) }),
    "actions.get": ({ params, caller }) => Promise.resolve(actions.report(params.action, grantOf(caller))),
  };
}

/** Who asks for an action, for a caller of the gateway; throws when its grant is over. */
function askerOf(caller: Caller, grants: GrantAuthority, records: MachineRecords): ActionAsker {
  const subject = subjectOf(caller);
  const plugin = askingPlugin(subject);
  const plain = { subject, via: plugin === null ? "api" : "plugin", plugin } as const;
  if (caller.kind === "operator") return { ...plain, capabilities: "all", grant: null, machine: null };
  if (caller.kind === "anonymous") return { ...plain, capabilities: new Set(), grant: null, machine: null };
  const id = caller.grant.grantId;
  const live = grants.live(id);
  const machine = records.get(caller.grant.machine);
  return {
    ...plain,
    capabilities: new Set(live.grant.capabilities ?? []),
    grant: { id, signal: live.signal, check: () => void grants.live(id) },
    machine: machine === undefined ? null : { id: machine.id, name: machine.name },
  };
}

function grantOf(caller: Caller): string | null {
  return caller.kind === "grant" ? caller.grant.grantId : null;
}
