import type { IncomingMessage } from "node:http";
import { toDoorwardError, type DoorwardError, type ServedGrant, type Operation } from "@doorward/contracts";
import { FirstAbort, type DoorHost, type DoorSession } from "@doorward/doors";
import type { ByteBudget } from "./byte-budget.ts";
import type { Denials } from "./denials.ts";
import type { LiveSession } from "./live-session.ts";
import type {
  ApprovalsPort,
  GatewayEvidence,
  GatewayMachine,
  GrantsPort,
  HostPort,
  MachinesPort,
} from "./ports.ts";

/** What of the bridge a session at a door may reach. */
export interface SessionHostOptions {
  readonly grants: GrantsPort;
  readonly machines: MachinesPort;
  readonly evidence: GatewayEvidence;
  readonly approvals: ApprovalsPort;
  readonly host: HostPort;
  readonly denials: Denials;
  readonly bytes: ByteBudget;
}

/** What the gateway established of a session before it hands it to its door. */
export interface CheckedSession {
  readonly grant: ServedGrant;
  readonly machine: GatewayMachine;
  /** Query of the URL, without `?`. */
  readonly query: string;
  readonly request: IncomingMessage;
  /** Whether it is the operator's own connection. */
  readonly operator: boolean;
}

/** A live session as its door sees it. */
export function doorSessionOf(
  session: LiveSession,
  checked: CheckedSession,
  options: SessionHostOptions,
): DoorSession {
  const { opened } = session;
  const { grant, machine, query, request, operator } = checked;
  return {
    id: opened.session,
    protocol: opened.protocol,
    query,
    machine: opened.machine,
    subject: opened.subject,
    grantId: opened.grant,
    kind: opened.subject.startsWith("operator:") ? "operator" : "agent",
    operations: new Set(grant.operations),
    spec: machine.terminal,
    // The policy may have become narrower since the session began.
    get agentTool() {
      return (options.machines.find(machine.id) ?? machine).agentTool;
    },
    reach: machine.reach(grant.repoPaths, grant.operations),
    capabilities: operator ? "all" : new Set(grant.capabilities),
    tools: grant.tools === undefined ? null : new Set(grant.tools),
    announced: announcedBy(request),
    signal: session.signal,
    bytes: options.bytes.of(opened.grant),
    host: hostOf(session, machine, options),
  };
}

/** What a client says of how it connects; anything but a short plain word is nothing. */
function announcedBy(request: IncomingMessage): string | null {
  const said = request.headers["x-doorward-client"];
  return typeof said === "string" && /^[a-z0-9-]{1,32}$/.test(said) ? said : null;
}

function hostOf(session: LiveSession, { terminal }: GatewayMachine, options: SessionHostOptions): DoorHost {
  const { grants, machines, evidence, approvals, host, denials } = options;
  const { opened, signal: over } = session;
  const whileOpen = async <T>(signal: AbortSignal, work: (either: AbortSignal) => Promise<T>): Promise<T> => {
    using either = new FirstAbort(signal, over);
    return await work(either.signal);
  };
  return {
    check: (operation) => {
      over.throwIfAborted();
      try {
        grants.check(opened.grant, operation, opened.machine.id);
      } catch (thrown) {
        throw refused(session, operation, toDoorwardError(thrown), denials);
      }
    },
    dial: (open, signal) => whileOpen(signal, (either) => machines.dial(opened.machine.id, open, either)),
    runningTerminals: (signal) =>
      whileOpen(signal, (either) => machines.runningTerminals(opened.machine.id, either)),
    record: (record) => {
      session.observe(record);
      return evidence.sessionEvent(opened, record);
    },
    begin: (beginning) => {
      const begun = evidence.sessionBegins(opened, beginning);
      return {
        approved: (approval) => begun.approved(approval),
        record: (record) => {
          session.observe(record);
          return begun.record(record);
        },
        [Symbol.dispose]: () => begun[Symbol.dispose](),
      };
    },
    transcript: async (about) => {
      over.throwIfAborted();
      return evidence.transcript(opened, terminal.transcript, about);
    },
    approve: (request, signal) => whileOpen(signal, (either) => approvals.approve(opened, request, either)),
    ask: (request) => {
      over.throwIfAborted();
      return approvals.ask(opened, request);
    },
    hostAction: (request, signal, onEvent = () => undefined) =>
      whileOpen(signal, (either) => host.hostAction(opened, request, either, onEvent)),
    requestEgress: (request, signal, onAsked) =>
      whileOpen(signal, (either) => host.requestEgress(opened, request, either, onAsked)),
    onNotice: (listener) => session.onNotice(listener),
  };
}

/** An operation that is not granted leaves the session open; a grant that is over ends it at once. */
function refused(
  session: LiveSession,
  operation: Operation,
  error: DoorwardError,
  denials: Denials,
): DoorwardError {
  const { subject, grant, door, machine, correlationId } = session.opened;
  const caller = { kind: "operator", subject } as const;
  void denials.note(error, {
    caller,
    grant,
    attempted: "door.operation",
    door,
    operation,
    machine,
    correlationId,
  });
  if (error.entry.status === 401 || error.code === "GRANT_NOT_FOUND") session.cut(error);
  return error;
}
