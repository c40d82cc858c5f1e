import { DenialError, doorOf, DOORS, type DoorName, type Operation } from "@doorward/contracts";
import type { GatewayMachine, GrantsPort, MachinesPort } from "../gateway/index.ts";
import type { GrantAuthority } from "../grants/index.ts";
import {
  machineView,
  type MachineRecord,
  type MachineRecords,
  type Machines,
} from "../machines/life/index.ts";
import type { PolicyFile } from "../policy/index.ts";
import { unknownMachine } from "../unknown-machine.ts";
import { agentToolInForce, terminalInForce } from "./door-in-force.ts";
import { grantMachine } from "./handlers/grants.ts";
import { guardedReach } from "./guarded-reach.ts";
import { machineReach } from "./machine-reach.ts";

/** Grants as the gateway uses them; a connection's own grant is minted for the machine of an id. */
export function implicitGrants(
  grants: GrantAuthority,
  records: MachineRecords,
  policy: PolicyFile,
): GrantsPort {
  return {
    authenticate: (token) => grants.authenticate(token),
    check: (grantId, operation, machineId) => grants.check(grantId, operation, machineId),
    mintImplicit: ({ subject, machine, operations }) => {
      const record = records.get(machine);
      if (record === undefined) throw unknownMachine(machine, records.names());
      const allowed = withinInterface(policy, record, operations);
      const granted = grantMachine(record, policy);
      const doors = allowed.map(doorOf);
      const ask = { subject, doors, operations: allowed, seconds: 1, profile: granted.profile };
      policy.decideGrant({ ...ask, agentTool: granted.agentTool });
      return grants.mintImplicit({ subject, machine: granted, operations: allowed });
    },
    onEnded: (listener) => grants.onEnded(listener),
  };
}

/** Machines as the gateway sees them: what is stored, and the guests of those that run. */
export function gatewayMachines(
  records: MachineRecords,
  machines: () => Promise<Machines>,
  policy: PolicyFile,
): MachinesPort {
  return {
    find: (nameOrId) => {
      const record = records.find(nameOrId);
      if (record === undefined) return undefined;
      return gatewayMachine(record, policy);
    },
    names: () => records.names(),
    dial: async (machineId, open, signal) => {
      const link = await (await machines()).connected(machineId, signal);
      return link.dial(open, signal);
    },
    runningTerminals: async (machineId, signal) => {
      const link = await (await machines()).connected(machineId, signal);
      return (await link.terminals(signal)).filter(({ exit }) => exit === null).map(({ id }) => id);
    },
  };
}

/** What is in force is worked out when it is asked for: agent tools ask at every call. */
function gatewayMachine(record: MachineRecord, policy: PolicyFile): GatewayMachine {
  return {
    id: record.id,
    name: record.name,
    running: record.state === "running",
    get doors() {
      return machineView(record).doors;
    },
    get terminal() {
      return terminalInForce(policy, record);
    },
    get agentTool() {
      return agentToolInForce(policy, record);
    },
    reach: (repoPaths, operations) =>
      guardedReach(machineReach(record.repos, repoPaths, operations), record, policy.policy.protect ?? []),
    get socketOnly() {
      return socketOnly(policy, record);
    },
  };
}

/** What an operator's own connection is granted: no more than the interface profile in force allows to anybody. */
function withinInterface(
  policy: PolicyFile,
  { name, profile }: MachineRecord,
  operations: readonly Operation[],
): readonly Operation[] {
  const allowed = operations.filter((one) => policy.operations(profile.name, doorOf(one)).includes(one));
  if (allowed.length > 0) return allowed;
  throw new DenialError({
    code: "DOOR_NOT_OFFERED",
    rule: `policy.profiles.${profile.name}.doors`,
    message: `Cannot open a door of machine "${name}": its profile and interface profile allow none of ${operations.join(", ")}`,
    hint: `doorward contracts show SecureHostInterfaceProfile ${profile.name}`,
  });
}

/** The doors of a machine that loopback TCP does not reach. */
function socketOnly(policy: PolicyFile, { profile }: MachineRecord): readonly DoorName[] {
  if (!policy.profileNames().includes(profile.name)) return [];
  return DOORS.filter((door) => policy.interfaceProfile(profile.name, door)?.transportMode === "unix-socket");
}
