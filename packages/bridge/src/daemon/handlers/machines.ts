import { DenialError, type TerminalView } from "@doorward/contracts";
import type { TerminalInfo } from "@doorward/guest";
import type { EvidenceLog } from "../../evidence/index.ts";
import type { Handlers, RouteCall } from "../../gateway/index.ts";
import { readMountEvidence } from "../../interfaces/index.ts";
import type { Asker, MachineRecord, Machines } from "../../machines/life/index.ts";
import { BRIDGE_SUBJECT, machineView } from "../../machines/life/index.ts";
import type { Caller } from "../../gateway/index.ts";
import type { Reviews } from "../reviews.ts";

const TERMINALS_LOOKED_AT = 1000;

interface TerminalOwner {
  readonly subject: string;
  readonly kind: "operator" | "agent";
}

type MachineHandlers = Pick<Handlers, Extract<keyof Handlers, `machines.${string}`>>;

/** Handlers of machine routes; a grant's holder sees its own machine only. */
export function machineHandlers(
  open: () => Promise<Machines>,
  reviews: Reviews,
  log: EvidenceLog,
): MachineHandlers {
  const visible = async (caller: Caller, nameOrId: string): Promise<MachineRecord> => {
    const record = (await open()).get(nameOrId);
    refuseForeign(caller, record);
    return record;
  };
  return {
    "machines.up": async (call) => (await open()).up(call.body, asker(call)),
    "machines.list": async ({ caller }) => {
      const records = (await open())
        .list()
        .filter((record) => caller.kind !== "grant" || caller.grant.machine === record.id);
      return { machines: records.map(machineView) };
    },
    "machines.get": async ({ caller, params }) => machineView(await visible(caller, params.machine)),
    "machines.inspect": async ({ params }) => {
      const record = (await open()).get(params.machine);
      return { machine: machineView(record), profile: record.profile, fingerprint: record.fingerprint };
    },
    "machines.mountEvidence": async ({ params }) => {
      const { name, evidence } = (await open()).get(params.machine);
      return readMountEvidence(log, name, evidence);
    },
    "machines.start": async (call) =>
      machineView(await (await open()).start(call.params.machine, call.body.timeToLive, asker(call))),
    "machines.stop": async ({ params, caller, correlationId }) =>
      machineView(await (await open()).stop(params.machine, subjectOf(caller), correlationId)),
    "machines.extend": async ({ params, body, caller, correlationId }) =>
      machineView(await (await open()).extend(params.machine, body.for, subjectOf(caller), correlationId)),
    "machines.remove": async ({ params, query, caller, correlationId }) => ({
      removed: await (
        await open()
      ).remove(params.machine, query.force === "true", subjectOf(caller), correlationId),
    }),
    "machines.logs": async ({ params, query }) => ({
      text: await (await open()).logs(params.machine, query.lines ?? 200),
    }),
    "machines.terminals": async ({ caller, params, signal }) => {
      const { id } = await visible(caller, params.machine);
      const found = await (await (await open()).connected(id, signal)).terminals(signal);
      const owners = await terminalOwners(log, id);
      return { terminals: found.map((each) => terminalView(each, owners.get(each.id))) };
    },
    "machines.review": async ({ params, signal }) => {
      const machines = await open();
      const record = machines.get(params.machine);
      return {
        reviews: [...(await reviews.show(record, await machines.connected(record.id, signal), signal))],
      };
    },
    "machines.bring": async ({ params, body, caller, correlationId, signal }) => {
      const record = (await open()).get(params.machine);
      return reviews.bring(record, body, { subject: subjectOf(caller), correlationId, signal });
    },
  };
}

/** Subject that a caller acts as. */
export function subjectOf(caller: Caller): string {
  return caller.kind === "anonymous" ? BRIDGE_SUBJECT : caller.subject;
}

function asker(call: RouteCall<"machines.up"> | RouteCall<"machines.start">): Asker {
  return {
    subject: subjectOf(call.caller),
    correlationId: call.correlationId,
    progress: call.progress,
    signal: call.signal,
  };
}

function refuseForeign(caller: Caller, record: MachineRecord): void {
  if (caller.kind !== "grant" || caller.grant.machine === record.id) return;
  throw new DenialError({
    code: "MACHINE_NOT_GRANTED",
    rule: "grant.machine",
    message: `Cannot use machine "${record.name}": grant "${caller.grant.grantId}" is for another machine`,
  });
}

/** Who opened a machine's terminals, newest first, as evidence has it; the machine itself is not believed in this. */
async function terminalOwners(log: EvidenceLog, machineId: string): Promise<Map<string, TerminalOwner>> {
  const { entries } = await log.list({ type: "terminal", machine: machineId, limit: TERMINALS_LOOKED_AT });
  const owners = new Map<string, TerminalOwner>();
  for (const { statement } of entries) {
    if (statement.predicateType !== "https://doorward.dev/evidence/terminal/v1") continue;
    const { event, terminal, subject, execution } = statement.predicate;
    if (event === "created") owners.set(terminal, { subject, kind: execution });
  }
  return owners;
}

function terminalView(found: TerminalInfo, owner: TerminalOwner | undefined): TerminalView {
  return {
    id: found.id,
    createdBy: owner?.subject ?? null,
    kind: owner?.kind ?? null,
    command: found.program,
    running: found.exit === null,
    viewers: found.viewers,
  };
}
