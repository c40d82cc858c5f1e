import {
  DEFAULT_TERMINAL_DOOR,
  DenialError,
  doorOf,
  DOORS,
  DoorwardError,
  type AgentToolDoorSpec,
  type DoorName,
  type Operation,
  type TerminalDoorSpec,
} from "@doorward/contracts";
import type { GrantsPort, MachinesPort } from "../gateway/index.ts";
import type { GrantAuthority } from "../grants/index.ts";
import {
  machineView,
  type MachineRecord,
  type MachineRecords,
  type Machines,
} from "../machines/life/index.ts";
import { narrowedAgentTool, narrowedTerminal } from "../interfaces/index.ts";
import type { PolicyFile } from "../policy/index.ts";
import { grantMachine } from "./handlers/grants.ts";
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
      if (record === undefined)
        throw new DoorwardError({ code: "MACHINE_NOT_FOUND", message: `No machine has the id "${machine}"` });
      const allowed = withinInterface(policy, record, operations);
      return grants.mintImplicit({ subject, machine: grantMachine(record), operations: allowed });
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
      return {
        id: record.id,
        name: record.name,
        running: record.state === "running",
        doors: machineView(record).doors,
        terminal: terminalInForce(policy, record),
        agentTool: agentToolInForce(policy, record),
        reach: (repoPaths, operations) => machineReach(record.repos, repoPaths, operations),
        socketOnly: socketOnly(policy, record),
      };
    },
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

/** The terminal door as it was when the machine was launched, made narrower where the policy in force is. */
function terminalInForce(policy: PolicyFile, { profile }: MachineRecord): TerminalDoorSpec {
  const launched = profile.doors.terminal ?? DEFAULT_TERMINAL_DOOR;
  if (!policy.profileNames().includes(profile.name)) return launched;
  const now = policy.profile(profile.name).doors.terminal;
  return now === undefined ? launched : narrowedTerminal(launched, now);
}

/**
 * The agent-tool door as it was when the machine was launched, made narrower where the policy and the interface profile
 * in force are; null when it was launched without one, or nothing of it is left.
 */
export function agentToolInForce(policy: PolicyFile, { profile }: MachineRecord): AgentToolDoorSpec | null {
  const launched = profile.doors["agent-tool"];
  if (launched === undefined || !policy.profileNames().includes(profile.name)) return launched ?? null;
  const now = policy.profile(profile.name).doors["agent-tool"];
  if (now === undefined) return null;
  const offered: readonly string[] = policy.operations(profile.name, "agent-tool");
  const allowedOperations = now.allowedOperations.filter((one) => offered.includes(one));
  return narrowedAgentTool(launched, { ...now, allowedOperations });
}
