import {
  DOORS,
  type AgentMachineProfile,
  type AgentToolDoor,
  type AgentToolDoorSpec,
  type DoorName,
  type Policy,
  type TerminalDoor,
  type TerminalDoorSpec,
} from "@doorward/contracts";
import { derivedDoor } from "./derive.ts";
import type { DoorDocument, LoadedDocument } from "./read-documents.ts";

/** A door's document and the operator's file that it is from; null when it was derived. */
export interface PlacedDoor {
  readonly document: DoorDocument;
  readonly path: string | null;
}

type Loaded<Contract extends AgentMachineProfile | DoorDocument> = LoadedDocument<Contract>;

/** Door that a document is about. */
export function doorOfDocument({ type }: DoorDocument): DoorName {
  return type === "TerminalDoor" ? "terminal" : "agent-tool";
}

/** What a door's document says of the door, without its head. */
export function doorSpec(document: TerminalDoor): TerminalDoorSpec;
export function doorSpec(document: AgentToolDoor): AgentToolDoorSpec;
export function doorSpec(document: DoorDocument): TerminalDoorSpec | AgentToolDoorSpec;
export function doorSpec(document: DoorDocument): TerminalDoorSpec | AgentToolDoorSpec {
  const { id: _id, type: _type, specVersion: _version, name: _name, ...rest } = document;
  const { agentMachineProfileRef: _profile, ...spec } = rest;
  return spec;
}

/** Names of profiles whose own text has a door of a kind. */
export function explicitDoors(
  policy: Policy,
  profiles: readonly Loaded<AgentMachineProfile>[],
  door: DoorName,
): ReadonlySet<string> {
  const written = Object.entries(policy.profiles ?? {});
  return new Set([
    ...written.filter(([, { doors }]) => doors?.[door] !== undefined).map(([name]) => name),
    ...profiles
      .filter(({ document }) => document.doors[door] !== undefined)
      .map(({ document }) => document.name),
  ]);
}

/** Profiles with the doors that documents give them. */
export function withDoors(
  profiles: ReadonlyMap<string, AgentMachineProfile>,
  doors: readonly Loaded<DoorDocument>[],
): ReadonlyMap<string, AgentMachineProfile> {
  const joined = new Map(profiles);
  for (const { document } of doors) {
    for (const [name, profile] of joined) {
      if (profile.id === document.agentMachineProfileRef) joined.set(name, withDoor(profile, document));
    }
  }
  return joined;
}

/** Every door of every profile, the operator's document or the derived one. */
export function placeDoors(
  profiles: ReadonlyMap<string, AgentMachineProfile>,
  doors: readonly Loaded<DoorDocument>[],
): ReadonlyMap<string, ReadonlyMap<DoorName, PlacedDoor>> {
  const placed = [...profiles].map(([name, profile]) => {
    const own = DOORS.flatMap((door) => {
      const found = placeDoor(profile, door, doors);
      return found === null ? [] : [[door, found] as const];
    });
    return [name, new Map(own)] as const;
  });
  return new Map(placed);
}

function placeDoor(
  profile: AgentMachineProfile,
  door: DoorName,
  doors: readonly Loaded<DoorDocument>[],
): PlacedDoor | null {
  const written = doors.find(({ document }) => {
    return doorOfDocument(document) === door && document.agentMachineProfileRef === profile.id;
  });
  if (written !== undefined) return { document: written.document, path: written.path };
  const document = derivedDoor(profile, door);
  return document === null ? null : { document, path: null };
}

function withDoor(profile: AgentMachineProfile, document: DoorDocument): AgentMachineProfile {
  const { doors } = profile;
  if (document.type === "TerminalDoor")
    return { ...profile, doors: { ...doors, terminal: doorSpec(document) } };
  return { ...profile, doors: { ...doors, "agent-tool": doorSpec(document) } };
}
