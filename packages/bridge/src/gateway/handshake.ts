import type { IncomingMessage } from "node:http";
import { DenialError, DoorwardError, type DoorName, type Operation } from "@doorward/contracts";
import type { DoorEndpoint } from "@doorward/doors";
import { machineFor, tokenMissing } from "./access.ts";
import type { Authentication } from "./authentication.ts";
import type { DoorPlace, DoorRegistry } from "./door-registry.ts";
import type { DoorSessions } from "./door-sessions.ts";
import { splitUrl } from "./http-calls.ts";
import type { Caller, GatewayMachine, GrantsPort, ListenerKind, MachinesPort } from "./ports.ts";
import { guardRequest, type RequestRules } from "./request-guard.ts";
import { decodeSegments } from "./route-table.ts";

/** What judging a handshake takes. */
export interface HandshakeOptions {
  readonly registry: DoorRegistry;
  readonly authentication: Authentication;
  readonly grants: GrantsPort;
  readonly machines: MachinesPort;
  readonly sessions: DoorSessions;
}

/** What became known of a handshake so far; a refusal is recorded with it. */
export interface Handshake {
  readonly request: IncomingMessage;
  readonly listener: ListenerKind;
  readonly rules: RequestRules;
  caller: Caller;
  machine: GatewayMachine | undefined;
  /** Machine that the path names. */
  target: string | undefined;
  door: DoorName | undefined;
}

/** A handshake that may go on. */
export interface AcceptedHandshake {
  readonly caller: Exclude<Caller, { kind: "anonymous" }>;
  readonly machine: GatewayMachine;
  readonly place: DoorPlace;
  /** Query of the URL, without `?`. */
  readonly query: string;
}

/** Judges a WebSocket handshake: a straight list of refusals, the cheapest first; throws the first that applies. */
export function judgeHandshake(handshake: Handshake, options: HandshakeOptions): AcceptedHandshake {
  const { request, listener, rules } = handshake;
  guardRequest(request, rules);
  const path = doorPathOf(request.url ?? "");
  handshake.target = path.machine;
  const place = options.registry.find(path.segment);
  const { entry, endpoint } = place;
  handshake.door = entry.id;
  guardQuery(path.query, endpoint);
  guardMethod(request);
  const protocols = protocolsOf(request);
  guardProtocol(protocols, endpoint);
  const caller = options.authentication.callerOf(request, listener, protocols);
  handshake.caller = caller;
  options.authentication.admit(caller, listener);
  if (caller.kind === "anonymous") throw tokenMissing();
  const machine = machineFor(caller, path.machine, options.machines);
  handshake.machine = machine;
  guardRunning(machine);
  guardOffered(machine, entry.id);
  guardTransport(machine, entry.id, listener);
  if (caller.kind === "grant")
    guardGranted(caller.grant.grantId, machine.id, endpoint.operations, options.grants);
  options.sessions.guardLimits(caller.kind === "grant" ? caller.grant.grantId : null);
  return { caller, machine, place, query: path.query };
}

/** Subprotocols that a client offers, in its order. */
export function protocolsOf(request: IncomingMessage): readonly string[] {
  const header = request.headers["sec-websocket-protocol"];
  return header === undefined ? [] : header.split(",").map((protocol) => protocol.trim());
}

interface DoorPath {
  readonly machine: string;
  readonly segment: string;
  readonly query: string;
}

function doorPathOf(url: string): DoorPath {
  const [path, search] = splitUrl(url);
  const [, version, kind, machine = "", doors, segment = "", ...rest] = decodeSegments(path);
  if (version !== "v1" || kind !== "machines" || doors !== "doors" || machine === "" || rest.length > 0) {
    throw new DoorwardError({ code: "ROUTE_NOT_FOUND", message: "Cannot upgrade: no door has this path" });
  }
  return { machine, segment, query: search };
}

function guardQuery(query: string, endpoint: DoorEndpoint): void {
  if (query === "" || endpoint.query === true) return;
  throw new DoorwardError({ code: "INPUT_INVALID", message: "Cannot upgrade: this door takes no query" });
}

function guardMethod(request: IncomingMessage): void {
  const upgrade = request.headers.upgrade?.toLowerCase();
  if (
    request.method === "GET" &&
    upgrade === "websocket" &&
    request.headers["sec-websocket-version"] === "13"
  )
    return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: "Cannot open the door: it takes a WebSocket handshake, version 13, with GET",
  });
}

function guardRunning(machine: GatewayMachine): void {
  if (machine.running) return;
  throw new DoorwardError({
    code: "MACHINE_NOT_RUNNING",
    message: `Cannot open a door of machine "${machine.name}": it is not running`,
    hint: `doorward start ${machine.name}`,
  });
}

function guardOffered(machine: GatewayMachine, door: DoorName): void {
  if (machine.doors.includes(door)) return;
  throw new DenialError({
    code: "DOOR_NOT_OFFERED",
    rule: `profile.doors.${door}`,
    message: `Cannot open door "${door}" of machine "${machine.name}": its profile does not offer it`,
  });
}

/** Refuses loopback TCP where the interface profile of the door says "unix-socket". */
function guardTransport(machine: GatewayMachine, door: DoorName, listener: ListenerKind): void {
  const refusal = listener === "tcp" ? transportRefusal(machine, door) : undefined;
  if (refusal !== undefined) throw refusal;
}

/** Why a door of a machine is not reached over loopback TCP; undefined when it is. */
export function transportRefusal(machine: GatewayMachine, door: DoorName): DenialError | undefined {
  if (machine.socketOnly?.includes(door) !== true) return undefined;
  return new DenialError({
    code: "POLICY_DENIED",
    rule: `interface.${door}.transportMode`,
    message: `Cannot use door "${door}" of machine "${machine.name}" over loopback TCP: its interface profile allows the bridge's own socket only`,
    hint: "Use DOORWARD_URL=unix:PATH with the socket that `doorward bridge status` shows",
  });
}

/** One operation of the door is enough to enter; the door checks each as it comes. */
export function guardGranted(
  grantId: string,
  machineId: string,
  operations: readonly Operation[],
  grants: GrantsPort,
): void {
  let refusal: unknown;
  for (const operation of operations) {
    try {
      grants.check(grantId, operation, machineId);
      return;
    } catch (thrown) {
      refusal ??= thrown;
    }
  }
  throw refusal;
}

function guardProtocol(offered: readonly string[], { protocol }: DoorEndpoint): void {
  if (protocol === null || offered.includes(protocol)) return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message: `Cannot open the door: the client does not offer subprotocol "${protocol}"`,
  });
}
