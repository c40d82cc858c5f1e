import { durationSeconds } from "@doorward/contracts";
import type { Egress, KnownMachine } from "../../egress/index.ts";
import type { Handlers } from "../../gateway/index.ts";
import type { MachineRecords } from "../../machines/life/index.ts";
import { unknownMachine } from "../../unknown-machine.ts";
import { knownMachine } from "../machine-egress.ts";
import { subjectOf } from "./machines.ts";

type EgressHandlers = Pick<Handlers, Extract<keyof Handlers, `egress.${string}`>>;

/** Handlers of the way out. */
export function egressHandlers(egress: Egress, records: MachineRecords): EgressHandlers {
  const machine = (nameOrId: string): KnownMachine => {
    const record = records.find(nameOrId);
    if (record !== undefined) return knownMachine(record);
    throw unknownMachine(nameOrId, records.names());
  };
  return {
    "egress.show": ({ params }) => Promise.resolve(egress.view(machine(params.machine))),
    "egress.allow": ({ params, body, caller, correlationId }) => {
      const seconds = body.for === undefined ? null : durationSeconds(body.for);
      const ask = { host: body.host, ports: [...new Set(body.ports ?? [443])], seconds };
      return egress.allow(machine(params.machine), ask, { subject: subjectOf(caller), correlationId });
    },
    "egress.deny": ({ params, body, caller, correlationId }) =>
      egress.deny(machine(params.machine), body.host, { subject: subjectOf(caller), correlationId }),
    "egress.watch": async ({ params, tell, signal }) => ({
      ended: await egress.watch(machine(params.machine), tell, signal),
    }),
  };
}
