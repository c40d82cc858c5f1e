import {
  DenialError,
  DoorwardError,
  HOST_ACTIONS,
  type AgentToolDoorSpec,
  type ToolName,
} from "@doorward/contracts";
import { askingPlugin, type ActionAsker, type HostActions } from "../actions/index.ts";
import type { Egress } from "../egress/index.ts";
import type { HostPort, SessionOpened } from "../gateway/index.ts";
import type { GrantAuthority } from "../grants/index.ts";
import type { MachineRecord, MachineRecords } from "../machines/life/index.ts";
import { runningMachine } from "./machine-egress.ts";

/** What the host side of the doors is made of. */
export interface DoorHostSources {
  readonly actions: HostActions;
  readonly egress: Egress;
  readonly grants: GrantAuthority;
  readonly records: MachineRecords;
  /** The agent-tool door in force for a machine. */
  readonly agentTool: (record: MachineRecord) => AgentToolDoorSpec | null;
}

/** Tools by the action that they ask for. */
const TOOLS: ReadonlyMap<string, ToolName> = new Map([
  ["system.clipboard.read", "host_clipboard_read"],
  ["system.clipboard.write", "host_clipboard_write"],
  ["system.hosts.write", "host_hosts_write"],
  ["system.host.write", "host_hosts_write"],
  ["system.fs.mutate", "host_change_files"],
  ["system.process.exec", "host_run_command"],
  ["system.workflow.run", "host_run_workflow"],
] satisfies readonly (readonly [(typeof HOST_ACTIONS)[number] | "system.host.write", ToolName])[]);

/** The host as doors ask for it: with the capabilities of their session's grant, and with nothing decided by the door. */
export function doorHost(sources: DoorHostSources): HostPort {
  const { actions, egress, records } = sources;
  return {
    hostAction: (session, request, signal, onEvent) =>
      actions.perform(askerOf(session, request, sources), request, signal, onEvent),
    requestEgress: async (session, { host, port, reason }, signal, onAsked) => {
      const { subject, grant, correlationId } = session;
      const machine = runningMachine(records, session.machine.id);
      if (machine === undefined) throw notRunning(session);
      const asked = { machine, subject, host, port, reason, grant, correlationId, onAsked };
      const given = await egress.request(asked, signal).catch((error: unknown) => {
        throw refusedByPerson(error);
      });
      const place = `"${given.host}" port ${String(port)}`;
      return given.decision === "approved"
        ? `The operator lets machine "${machine.name}" reach ${place}: try again what could not reach it`
        : `Machine "${machine.name}" may reach ${place} already (${given.rule})`;
    },
  };
}

function askerOf(
  { subject, grant: id, machine }: SessionOpened,
  request: unknown,
  { grants, records, agentTool }: DoorHostSources,
): ActionAsker {
  const live = grants.live(id);
  const record = records.get(machine.id);
  const spec = record === undefined ? null : agentTool(record);
  return {
    subject,
    via: "agent-tool",
    capabilities:
      live.implicit && subject.startsWith("operator:") ? "all" : new Set(live.grant.capabilities ?? []),
    grant: { id, signal: live.signal, check: () => void grants.live(id) },
    machine,
    plugin: askingPlugin(subject),
    ...(mustConfirm(spec, request) ? { confirm: "always" as const } : {}),
  };
}

/** Whether the door's policy asks a person, whatever the scope of the action says. */
function mustConfirm(spec: AgentToolDoorSpec | null, request: unknown): boolean {
  if (spec === null) return true;
  const action: unknown =
    typeof request === "object" && request !== null ? Reflect.get(request, "action") : undefined;
  const tool = typeof action === "string" ? TOOLS.get(action) : undefined;
  if (tool === undefined || spec.approvalRequired.includes(tool)) return true;
  return spec.hostMutationPolicy !== "preapproved" && tool !== "host_clipboard_read";
}

/** A person's no is final for the call; a rule's is a failure of it. */
function refusedByPerson(thrown: unknown): unknown {
  if (!(thrown instanceof DenialError) || !(thrown.cause instanceof DenialError)) return thrown;
  const { cause } = thrown;
  if (cause.code !== "APPROVAL_DENIED") return thrown;
  return new DenialError({ code: "APPROVAL_DENIED", rule: cause.rule, message: thrown.message, cause });
}

function notRunning({ machine }: SessionOpened): DoorwardError {
  return new DoorwardError({
    code: "MACHINE_NOT_RUNNING",
    message: `Cannot reach anything from "${machine.name}": it does not run`,
  });
}
