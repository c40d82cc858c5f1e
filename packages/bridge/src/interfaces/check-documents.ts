import { isDeepStrictEqual } from "node:util";
import {
  DOORS,
  doorOf,
  Operation,
  type AgentMachineProfile,
  type DoorName,
  type DoorwardError,
  type Policy,
  type SecureHostInterfaceProfile,
  type TerminalDoor,
  type TerminalDoorSpec,
} from "@doorward/contracts";
import { globProblems } from "../policy/check-policy.ts";
import { hostAdapter } from "./derive.ts";
import type { InterfaceContract, LoadedDocument } from "./read-documents.ts";

type Loaded<Contract extends InterfaceContract> = LoadedDocument<Contract>;

/** The documents of the operator by type. */
export interface SortedDocuments {
  readonly profiles: readonly Loaded<AgentMachineProfile>[];
  readonly terminals: readonly Loaded<TerminalDoor>[];
  readonly interfaces: readonly Loaded<SecureHostInterfaceProfile>[];
}

/** Ways to a door that this build's gateway serves. */
const TRANSPORTS: ReadonlySet<string> = new Set(["unix-socket", "loopback-websocket"]);

/** Sorts documents by type; throws when two have the same URN. */
export function sortDocuments(documents: readonly LoadedDocument[]): SortedDocuments {
  refuseDoubles(documents, ({ document }) => document.id, "id", "has the same id");
  const of = <Type extends InterfaceContract["type"]>(type: Type) =>
    documents.filter((each): each is Loaded<Extract<InterfaceContract, { type: Type }>> => {
      return each.document.type === type;
    });
  return {
    profiles: of("AgentMachineProfile"),
    terminals: of("TerminalDoor"),
    interfaces: of("SecureHostInterfaceProfile"),
  };
}

/** Throws unless profile documents have names that policies can use, and that nothing else has. */
export function checkProfiles(profiles: SortedDocuments["profiles"], policy: Policy): void {
  refuseDoubles(profiles, ({ document }) => document.name, "name", "defines the same profile");
  for (const { document, invalid } of profiles) {
    const { name, mounts } = document;
    if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(name)) {
      throw invalid({
        path: ["name"],
        what: `"${name}" is not a profile's name: a-z, 0-9 and -, at most 40`,
      });
    }
    if (Object.hasOwn(policy.profiles ?? {}, name)) {
      throw invalid({ path: ["name"], what: `policy.yaml defines the profile "${name}" too` });
    }
    const [problem] = globProblems(mounts.hide, ["mounts", "hide"]);
    if (problem !== undefined) throw invalid(problem);
  }
}

/** Throws unless each terminal door belongs to a profile, and says nothing else of it than the profile itself. */
export function checkTerminals(
  terminals: SortedDocuments["terminals"],
  profiles: ReadonlyMap<string, AgentMachineProfile>,
  explicit: ReadonlySet<string>,
): void {
  refuseDoubles(
    terminals,
    ({ document }) => document.agentMachineProfileRef,
    "agentMachineProfileRef",
    "is the terminal door of the same profile",
  );
  for (const { document, invalid } of terminals) {
    const profile = profileOf(document, profiles, invalid);
    if (!explicit.has(profile.name)) continue;
    if (isDeepStrictEqual(doorSpec(document), profile.doors.terminal)) continue;
    const what = `the profile "${profile.name}" itself has another terminal door`;
    throw invalid({ path: ["agentMachineProfileRef"], what });
  }
}

/** Throws unless each interface profile is about a door of a profile that exist, in words that this build enforces. */
export function checkInterfaces(
  interfaces: SortedDocuments["interfaces"],
  profiles: ReadonlyMap<string, AgentMachineProfile>,
  doorIds: ReadonlyMap<string, { readonly profile: string; readonly door: string }>,
): void {
  const key = ({ document }: Loaded<SecureHostInterfaceProfile>): string =>
    [document.agentMachineProfileRef, document.interfaceKind, document.hostAdapter].join(" ");
  refuseDoubles(interfaces, key, "agentMachineProfileRef", "is for the same profile, kind and host");
  for (const { document, invalid } of interfaces) {
    const { interfaceKind: kind, doorRef } = document;
    if (!isBuilt(kind)) {
      const what = `this build has no ${kind} door, so nothing would enforce it`;
      throw invalid({ path: ["interfaceKind"], what }, "DOOR_NOT_BUILT");
    }
    const profile = profileOf(document, profiles, invalid);
    const door = doorIds.get(doorRef);
    if (door === undefined) throw invalid({ path: ["doorRef"], what: `"${doorRef}" names no door` });
    if (door.profile !== profile.name || door.door !== kind) {
      const what = `"${doorRef}" is the ${door.door} door of the profile "${door.profile}"`;
      throw invalid({ path: ["doorRef"], what });
    }
    checkOperations(document, invalid);
    if (document.hostAdapter === hostAdapter()) checkEnforceable(document, invalid);
  }
}

function checkOperations(
  { allowedOperations, interfaceKind }: SecureHostInterfaceProfile,
  invalid: LoadedDocument["invalid"],
): void {
  for (const [index, name] of allowedOperations.entries()) {
    const operation = Operation.safeParse(name);
    if (operation.success && doorOf(operation.data) === interfaceKind) continue;
    const what = `"${name}" is no operation of the ${interfaceKind} door`;
    throw invalid({ path: ["allowedOperations", index], what });
  }
}

function checkEnforceable(document: SecureHostInterfaceProfile, invalid: LoadedDocument["invalid"]): void {
  const transport: string = document.transportMode;
  if (!TRANSPORTS.has(transport)) {
    const what = `this build serves no door through "${transport}"`;
    throw invalid({ path: ["transportMode"], what }, "DOOR_NOT_BUILT");
  }
  const decision: string = document.denialBehavior.defaultDecision;
  if (decision !== "deny") {
    const what = `"${decision}" is not served at the ${document.interfaceKind} door; use "deny"`;
    throw invalid({ path: ["denialBehavior", "defaultDecision"], what }, "DOOR_NOT_BUILT");
  }
  const commands: boolean = document.evidenceRequirements.commands;
  if (!commands) {
    const what = "commands are always recorded; use true";
    throw invalid({ path: ["evidenceRequirements", "commands"], what });
  }
}

/** What a terminal door's document says of the door, without its head. */
export function doorSpec(document: TerminalDoor): TerminalDoorSpec {
  const { id: _id, type: _type, specVersion: _version, name: _name, ...rest } = document;
  const { agentMachineProfileRef: _profile, ...spec } = rest;
  return spec;
}

/** The profile that a document names by its URN. */
function profileOf(
  { agentMachineProfileRef: ref }: { readonly agentMachineProfileRef: string },
  profiles: ReadonlyMap<string, AgentMachineProfile>,
  invalid: (problem: { path: readonly string[]; what: string }) => DoorwardError,
): AgentMachineProfile {
  const profile = [...profiles.values()].find(({ id }) => id === ref);
  if (profile !== undefined) return profile;
  throw invalid({ path: ["agentMachineProfileRef"], what: `"${ref}" names no profile` });
}

function refuseDoubles<Contract extends InterfaceContract>(
  documents: readonly Loaded<Contract>[],
  key: (each: Loaded<Contract>) => string,
  field: string,
  what: string,
): void {
  const seen = new Map<string, string>();
  for (const each of documents) {
    const first = seen.get(key(each));
    if (first !== undefined) throw each.invalid({ path: [field], what: `"${first}" ${what}` });
    seen.set(key(each), each.path);
  }
}

function isBuilt(kind: string): kind is DoorName {
  return DOORS.some((door) => door === kind);
}
