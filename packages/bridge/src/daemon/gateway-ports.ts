import { DEFAULT_TERMINAL_DOOR, DoorwardError } from "@doorward/contracts";
import type { GrantsPort, MachinesPort } from "../gateway/index.ts";
import type { GrantAuthority } from "../grants/index.ts";
import { machineView, type MachineRecords, type Machines } from "../machines/life/index.ts";
import { grantMachine } from "./handlers/grants.ts";

/** Grants as the gateway uses them; a connection's own grant is minted for the machine of an id. */
export function implicitGrants(grants: GrantAuthority, records: MachineRecords): GrantsPort {
  return {
    authenticate: (token) => grants.authenticate(token),
    check: (grantId, operation, machineId) => grants.check(grantId, operation, machineId),
    mintImplicit: ({ subject, machine, operations }) => {
      const record = records.get(machine);
      if (record === undefined)
        throw new DoorwardError({ code: "MACHINE_NOT_FOUND", message: `No machine has the id "${machine}"` });
      return grants.mintImplicit({ subject, machine: grantMachine(record), operations });
    },
    onEnded: (listener) => grants.onEnded(listener),
  };
}

/** Machines as the gateway sees them: what is stored, and the guests of those that run. */
export function gatewayMachines(records: MachineRecords, machines: () => Promise<Machines>): MachinesPort {
  return {
    find: (nameOrId) => {
      const record = records.find(nameOrId);
      if (record === undefined) return undefined;
      return {
        id: record.id,
        name: record.name,
        running: record.state === "running",
        doors: machineView(record).doors,
        terminal: record.profile.doors.terminal ?? DEFAULT_TERMINAL_DOOR,
      };
    },
    dial: async (machineId, open, signal) => {
      const link = await (await machines()).connected(machineId, signal);
      return link.dial(open, signal);
    },
  };
}
