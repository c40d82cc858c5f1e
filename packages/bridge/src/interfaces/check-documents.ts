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
} from "@doorward/contracts";
import { globProblems } from "../policy/check-policy.ts";
import { agentToolProblems } from "./agent-tool-problems.ts";
import { hostAdapter, SERVED_TRANSPORTS } from "./derive.ts";
import { doorOfDocument, doorSpec } from "./join-doors.ts";
import type { DoorDocument, InterfaceContract, LoadedDocument } from "./read-documents.ts";

type Loaded<Contract extends InterfaceContract> = LoadedDocument<Contract>;

/** The documents of the operator by type. */
export interface SortedDocuments {
  readonly profiles: readonly Loaded<AgentMachineProfile>[];
  readonly doors: readonly Loaded<DoorDocument>[];
  readonly interfaces: readonly Loaded<SecureHostInterfaceProfile>[];
}

/** Sorts documents by type; throws when two have the same URN. */
export function sortDocuments(documents: readonly LoadedDocument[]): SortedDocuments {
  refuseDoubles(documents, ({ document }) => document.id, "id", "has the same id");
  const of = <Type extends InterfaceContract["type"]>(type: Type) =>
    documents.filter((each): each is Loaded<Extract<InterfaceContract, { type: Type }>> => {
      return each.document.type === type;
    });
  return {
    profiles: of("AgentMachineProfile"),
    doors: [...of("TerminalDoor"), ...of("AgentToolDoor")],
    interfaces: of("SecureHostInterfaceProfile"),
  };
}

/** Throws unless profile documents have names that policies can use, and that nothing else has. */
export function checkProfiles(profiles: SortedDocuments["profiles"], policy: Policy): void {
  refuseDoubles(profiles, ({ document }) => document.name, "name", "defines the same profile");
  for (const { document, invalid } of profiles) {
    const { name, mounts, doors } = document;
    if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(name)) {
      throw invalid({
        path: ["name"],
        what: `"${name}" is not a profile's name: a-z, 0-9 and -, at most 40`,
      });
    }
    if (Object.hasOwn(policy.profiles ?? {}, name)) {
      throw invalid({ path: ["name"], what: `policy.yaml defines the profile "${name}" too` });
    }
    const tools = doors["agent-tool"];
    const [problem] = [
      ...globProblems(mounts.hide, ["mounts", "hide"]),
      ...(tools === undefined ? [] : agentToolProblems(tools, ["doors", "agent-tool"])),
    ];
    if (problem !== undefined) throw invalid(problem);
  }
}

/**
 * Throws unless each door belongs to a profile, says nothing else of it than the profile itself, and nothing that this
 * build can't keep. `explicit` has the profiles whose own text has a door of a kind.
 */
export function checkDoors(
  doors: SortedDocuments["doors"],
  profiles: ReadonlyMap<string, AgentMachineProfile>,
  explicit: (door: DoorName) => ReadonlySet<string>,
): void {
  for (const door of DOORS) {
    const own = doors.filter(({ document }) => doorOfDocument(document) === door);
    const ref = ({ document }: Loaded<DoorDocument>): string => document.agentMachineProfileRef;
    refuseDoubles(own, ref, "agentMachineProfileRef", `is the ${door} door of the same profile`);
  }
  for (const { document, invalid } of doors) {
    const profile = profileOf(document, profiles, invalid);
    const [problem] = document.type === "AgentToolDoor" ? agentToolProblems(doorSpec(document), []) : [];
    if (problem !== undefined) throw invalid(problem);
    const door = doorOfDocument(document);
    if (!explicit(door).has(profile.name)) continue;
    if (isDeepStrictEqual(doorSpec(document), profile.doors[door])) continue;
    const what = `the profile "${profile.name}" itself has another ${door} door`;
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
    if (document.hostAdapter === hostAdapter()) checkEnforceable(document, SERVED_TRANSPORTS[kind], invalid);
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

function checkEnforceable(
  document: SecureHostInterfaceProfile,
  served: readonly string[],
  invalid: LoadedDocument["invalid"],
): void {
  const transport: string = document.transportMode;
  if (!served.includes(transport)) {
    const what = `this build serves no ${document.interfaceKind} door through "${transport}"; use ${served.join(" or ")}`;
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
