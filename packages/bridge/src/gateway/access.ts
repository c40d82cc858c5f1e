import { DenialError, DoorwardError, type RouteAccess } from "@doorward/contracts";
import { unknownMachine } from "../unknown-machine.ts";
import type { Caller, GatewayMachine, MachinesPort } from "./ports.ts";

/** Refuses a caller whom a route's access does not admit. */
export function guardAccess(access: RouteAccess, caller: Caller): void {
  if (access === "public" || caller.kind === "operator") return;
  if (caller.kind === "anonymous") throw tokenMissing();
  if (access === "grant") return;
  throw new DenialError({
    code: "OPERATOR_ONLY",
    rule: "gateway.access.operator",
    message: `Cannot serve "${caller.subject}": only the operator may do this, on the bridge's own socket`,
  });
}

/**
 * Finds the machine that a caller names. To a grant's holder every machine but its own looks the same, whether or not it
 * exists.
 */
export function machineFor(caller: Caller, nameOrId: string, machines: MachinesPort): GatewayMachine {
  if (caller.kind === "anonymous") throw tokenMissing();
  const machine = machines.find(nameOrId);
  if (caller.kind === "grant" && machine?.id !== caller.grant.machine) {
    throw new DenialError({
      code: "MACHINE_NOT_GRANTED",
      rule: "grant.machine",
      message: `Cannot reach machine "${nameOrId}": grant "${caller.grant.grantId}" is for another machine`,
    });
  }
  if (machine !== undefined) return machine;
  throw unknownMachine(nameOrId, machines.names());
}

/** The error of a caller who showed no token where one is needed. */
export function tokenMissing(): DoorwardError {
  return new DoorwardError({
    code: "TOKEN_MISSING",
    message: "Cannot serve the request: it carries no token",
    hint: "Send Authorization: Bearer with a token that `doorward grant create` printed",
  });
}
