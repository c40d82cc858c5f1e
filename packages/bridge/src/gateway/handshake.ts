import type { IncomingMessage } from "node:http";
import {
  DenialError,
  DoorwardError,
  type DoorName,
  type ServedGrant,
  type Operation,
} from "@doorward/contracts";
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

/** A plain request that may go on. */
export interface AcceptedRequest {
  readonly grant: ServedGrant;
  readonly machine: GatewayMachine;
  readonly place: DoorPlace;
  /** Query of the URL, without `?`. */
  readonly query: string;
}

/** Judges a WebSocket handshake: a straight list of refusals, the cheapest first; throws the first that applies. */
export function judgeHandshake(handshake: Handshake, options: HandshakeOptions): AcceptedHandshake {
  const { request, listener } = handshake;
  const { machine: target, place, query } = placeOf(handshake, options);
  guardMethod(request);
  const protocols = protocolsOf(request);
  guardProtocol(protocols, place.endpoint);
  const caller = options.authentication.callerOf(request, listener, protocols);
  handshake.caller = caller;
  options.authentication.admit(caller, listener);
  if (caller.kind === "anonymous") throw tokenMissing();
  const machine = guardMachine(handshake, caller, target, place, options);
  options.sessions.guardLimits(caller.kind === "grant" ? caller.grant.grantId : null);
  return { caller, machine, place, query };
}

/** Judges a plain request at a door by the same list; only holders of grants make such. */
export function judgeDoorRequest(handshake: Handshake, options: HandshakeOptions): AcceptedRequest {
  const { request, listener } = handshake;
  const { machine: target, place, query } = placeOf(handshake, options);
  guardHttpMethod(request, place.endpoint);
  const caller = options.authentication.callerOf(request, listener);
  handshake.caller = caller;
  options.authentication.admit(caller, listener, "door");
  if (caller.kind === "anonymous") throw tokenMissing();
  if (caller.kind === "operator") throw operatorsRequest(target);
  const machine = guardMachine(handshake, caller, target, place, options);
  return { grant: caller.grant, machine, place, query };
}

/** Whether a path is that of a door which serves plain requests. */
export function servesRequests(url: string, registry: DoorRegistry): boolean {
  if (!url.startsWith("/v1/machines/")) return false;
  const segment = /^\/v1\/machines\/[^/?]+\/doors\/([^?]+)/.exec(url)?.[1] ?? "";
  return registry.has(segment) && registry.find(segment).endpoint.methods !== undefined;
}

function placeOf(
  handshake: Handshake,
  { registry }: HandshakeOptions,
): { readonly machine: string; readonly place: DoorPlace; readonly query: string } {
  const { request, rules } = handshake;
  guardRequest(request, rules);
  const { machine, segment, query } = doorPathOf(request.url ?? "", registry);
  handshake.target = machine;
  const place = registry.find(segment);
  handshake.door = place.entry.id;
  guardQuery(query, place.endpoint);
  return { machine, place, query };
}

/** The machine, if it runs and the caller may enter by this door just now. */
function guardMachine(
  handshake: Handshake,
  caller: Caller,
  target: string,
  { entry, endpoint }: DoorPlace,
  options: HandshakeOptions,
): GatewayMachine {
  const machine = machineFor(caller, target, options.machines);
  handshake.machine = machine;
  guardRunning(machine);
  guardOffered(machine, entry.id);
  guardTransport(machine, entry.id, handshake.listener);
  if (caller.kind === "grant")
    guardGranted(caller.grant.grantId, machine.id, endpoint.operations, options.grants);
  return machine;
}

/** Subprotocols that a client offers, in its order. */
function protocolsOf(request: IncomingMessage): readonly string[] {
  const header = request.headers["sec-websocket-protocol"];
  return header === undefined ? [] : header.split(",").map((protocol) => protocol.trim());
}

interface DoorPath {
  readonly machine: string;
  readonly segment: string;
  readonly query: string;
}

function doorPathOf(url: string, registry: DoorRegistry): DoorPath {
  const [path, query] = splitUrl(url);
  const [, version, kind, machine = "", doors, ...rest] = decodeSegments(path);
  const segment = rest.join("/");
  const below = rest.length > 1 && !registry.has(segment);
  if (version !== "v1" || kind !== "machines" || doors !== "doors" || machine === "" || below) {
    throw new DoorwardError({ code: "ROUTE_NOT_FOUND", message: "Cannot open the door: none has this path" });
  }
  return { machine, segment, query };
}

function guardQuery(query: string, endpoint: DoorEndpoint): void {
  if (query === "" || endpoint.query === true) return;
  throw new DoorwardError({ code: "INPUT_INVALID", message: "Cannot open the door: it takes no query" });
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

function guardHttpMethod(request: IncomingMessage, { methods = [] }: DoorEndpoint): void {
  if (methods.includes(request.method ?? "")) return;
  const allow = methods.join(", ");
  throw new DoorwardError({
    code: "METHOD_NOT_ALLOWED",
    message: `Cannot call this door with "${request.method ?? ""}": it takes ${allow}`,
    details: { allow },
  });
}

function operatorsRequest(machine: string): DoorwardError {
  return new DoorwardError({
    code: "TOKEN_MISSING",
    message:
      "Cannot serve the request: plain requests at a door carry the token of a grant, the operator's too",
    hint: `doorward mcp ${machine}, or doorward grant create ${machine} --to SUBJECT`,
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

/** A client that offers a subprotocol takes the absence of one in the answer for a refusal, so offers must fit. */
function guardProtocol(offered: readonly string[], { protocol }: DoorEndpoint): void {
  if (protocol === null ? offered.every((one) => one.startsWith("bearer.")) : offered.includes(protocol))
    return;
  throw new DoorwardError({
    code: "PROTOCOL_ERROR",
    message:
      protocol === null
        ? "Cannot open the door: it has no subprotocol, and the client offers one"
        : `Cannot open the door: the client does not offer subprotocol "${protocol}"`,
  });
}
