import type { Logger } from "pino";
import type { Egress, KnownMachine } from "../egress/index.ts";
import { createEgressFront } from "../egress/proxy/front.ts";
import type { SecretBindings } from "../egress/ports.ts";
import { ensureMachineCa, type MachineCa } from "../egress/tls/machine-ca.ts";
import {
  authorityFolder,
  type EgressPort,
  type MachineRecord,
  type MachineRecords,
} from "../machines/life/index.ts";

/** What the machines' way out is composed of. */
export interface MachineEgressParts {
  readonly egress: Egress;
  readonly secrets: SecretBindings;
  readonly stateDir: string;
  readonly log: Logger;
}

/** Puts the proxy front between the guests of machines and the gate: begins and ends with each machine. */
export function machineEgress({ egress, secrets, stateDir, log }: MachineEgressParts): EgressPort {
  const authorities = new Map<string, MachineCa>();
  const authority = (id: string): MachineCa => {
    const found = authorities.get(id) ?? ensureMachineCa(authorityFolder(stateDir, id));
    authorities.set(id, found);
    return found;
  };
  const front = createEgressFront({
    gate: egress.gate,
    secrets,
    ca: ({ id }) => authority(id),
    log: log.child({ part: "egress" }),
  });
  return {
    start: (machine, link) => {
      // A launch may have renewed the machine's authority.
      authorities.delete(machine.id);
      egress.start(machine, link, front);
    },
    end: (machineId, reason) => egress.end(machineId, reason),
    forget: (machineId) => {
      egress.forget(machineId);
      authorities.delete(machineId);
    },
  };
}

/** The machine of an id as the way out knows it, while it runs. */
export function runningMachine(records: MachineRecords, id: string): KnownMachine | undefined {
  const record = records.get(id);
  return record?.state === "running" ? knownMachine(record) : undefined;
}

/** A machine as the way out knows it. */
export function knownMachine({ id, name, subject, profile }: MachineRecord): KnownMachine {
  return { id, name, subject, profile: profile.name };
}
