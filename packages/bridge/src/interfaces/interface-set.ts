import {
  DOORS,
  doorOf,
  profileDocument,
  type AgentMachineProfile,
  type DoorName,
  type Operation,
  type Policy,
  type SecureHostInterfaceProfile,
} from "@doorward/contracts";
import { mergedProfiles } from "../policy/effective-policy.ts";
import {
  checkDoors,
  checkInterfaces,
  checkProfiles,
  sortDocuments,
  type SortedDocuments,
} from "./check-documents.ts";
import { derivedInterface, hostAdapter, SERVED_TRANSPORTS } from "./derive.ts";
import { offeredOperations, operatorsOnly } from "./door-operations.ts";
import { explicitDoors, placeDoors, withDoors, type PlacedDoor } from "./join-doors.ts";
import type { InterfaceContract, LoadedDocument } from "./read-documents.ts";

/** A document as it is in force, or why it is not. */
export interface ContractInForce {
  readonly profile: string;
  /** File of the operator's document; null when the bridge derived it from policy.yaml and the defaults. */
  readonly path: string | null;
  readonly inForce: boolean;
  /** What the operator's document says that is not in force; null when there is nothing. */
  readonly note: string | null;
  readonly document: InterfaceContract;
}

/** The contracts in force: what policy.yaml says and what the operator's documents say, joined and checked. */
export class InterfaceSet {
  readonly #policy: Policy;
  readonly #documents: readonly LoadedDocument[];
  readonly #sorted: SortedDocuments;
  readonly #profiles: ReadonlyMap<string, AgentMachineProfile>;
  readonly #doors: ReadonlyMap<string, ReadonlyMap<DoorName, PlacedDoor>>;
  /** Answers that were worked out before: every request at a door asks. */
  readonly #answered = new Map<string, SecureHostInterfaceProfile | null>();

  /** Throws `POLICY_INVALID` or `DOOR_NOT_BUILT` with the file and field of the first document that does not fit. */
  constructor(policy: Policy, documents: readonly LoadedDocument[] = []) {
    this.#policy = policy;
    this.#documents = documents;
    this.#sorted = sortDocuments(documents);
    checkProfiles(this.#sorted.profiles, policy);
    const profiles = this.#joinProfiles();
    const { doors } = this.#sorted;
    checkDoors(doors, profiles, (door) => explicitDoors(policy, this.#sorted.profiles, door));
    this.#profiles = withDoors(profiles, doors);
    this.#doors = placeDoors(this.#profiles, doors);
    const ids = [...this.#doors].flatMap(([profile, own]) =>
      [...own].map(([door, { document }]) => [document.id, { profile, door }] as const),
    );
    checkInterfaces(this.#sorted.interfaces, this.#profiles, new Map(ids));
  }

  /** The operator's documents, for the policy's digest. */
  get documents(): readonly InterfaceContract[] {
    return this.#documents.map(({ document }) => document).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Every profile by name, `default` included. */
  get profiles(): ReadonlyMap<string, AgentMachineProfile> {
    return this.#profiles;
  }

  /** How the host reaches a door of a profile; null when nothing may be done there. */
  interfaceProfile(profile: string, door: DoorName): SecureHostInterfaceProfile | null {
    const key = `${door} ${profile}`;
    const known = this.#answered.get(key);
    if (known !== undefined) return known;
    const answer = this.#interfaceProfile(profile, door);
    if (this.#profiles.has(profile)) this.#answered.set(key, answer);
    return answer;
  }

  #interfaceProfile(profile: string, door: DoorName): SecureHostInterfaceProfile | null {
    const operations = this.operations(profile, door);
    const target = this.#profiles.get(profile);
    const doorRef = this.#doors.get(profile)?.get(door)?.document.id;
    if (operations.length === 0 || target === undefined || doorRef === undefined) return null;
    const written = this.#written(profile, door)?.document;
    const [socket, loopback] = SERVED_TRANSPORTS[door];
    const transportMode = this.#policy.bridge?.tcp === false ? socket : (written?.transportMode ?? loopback);
    if (written === undefined) return derivedInterface(target, door, doorRef, operations, transportMode);
    return { ...written, transportMode, allowedOperations: operations };
  }

  /** Operations that grants may hold at a door of a profile: those that the door offers and its interface allows. */
  operations(profile: string, door: DoorName): Operation[] {
    const spec = this.#profiles.get(profile);
    const offered = spec === undefined ? [] : offeredOperations(spec, door);
    const allowed: readonly string[] | undefined = this.#written(profile, door)?.document.allowedOperations;
    return allowed === undefined ? offered : offered.filter((operation) => allowed.includes(operation));
  }

  /** The first of some operations that the doors of a profile let nobody but the operator use. */
  operatorsOnly(profile: string, operations: readonly Operation[]): Operation | undefined {
    const spec = this.#profiles.get(profile);
    if (spec === undefined) return undefined;
    return operations.find((operation) => operatorsOnly(spec, doorOf(operation)).includes(operation));
  }

  /** The rule that keeps an operation out of the grants on a profile; null when none does. */
  ruleAgainst(profile: string, door: DoorName, operation: Operation): string | null {
    if (this.operations(profile, door).includes(operation)) return null;
    const spec = this.#profiles.get(profile);
    const offered = spec !== undefined && offeredOperations(spec, door).includes(operation);
    const written = this.#written(profile, door);
    if (!offered || written === undefined) return `policy.profiles.${profile}.doors`;
    return `${written.document.id} allowedOperations`;
  }

  /** Every document in force, by profile, and the operator's documents that are not. */
  list(): readonly ContractInForce[] {
    return [
      ...[...this.#profiles.keys()].flatMap((name) => this.#ofProfile(name)),
      ...this.#sorted.interfaces.filter((each) => !isForThisHost(each)).map((each) => this.#elsewhere(each)),
    ];
  }

  #ofProfile(name: string): ContractInForce[] {
    const profile = this.#profiles.get(name);
    const written = this.#sorted.profiles.find(({ document }) => document.name === name);
    const common = { profile: name, inForce: true, note: null };
    return [
      ...(profile === undefined ? [] : [{ ...common, path: written?.path ?? null, document: profile }]),
      ...[...(this.#doors.get(name)?.values() ?? [])].map((door) => ({ ...common, ...door })),
      ...DOORS.flatMap((door) => this.#interfaceRow(name, door)),
    ];
  }

  #interfaceRow(profile: string, door: DoorName): ContractInForce[] {
    const written = this.#written(profile, door);
    const document = this.interfaceProfile(profile, door);
    const path = written?.path ?? null;
    if (document === null) {
      if (written === undefined) return [];
      const note = "the door offers nothing of what it allows";
      return [{ profile, path, inForce: false, note, document: written.document }];
    }
    const left = written?.document.allowedOperations.filter(
      (operation) => !document.allowedOperations.includes(operation),
    );
    const note =
      left === undefined || left.length === 0 ? null : `not offered by the door: ${left.join(", ")}`;
    return [{ profile, path, inForce: true, note, document }];
  }

  #elsewhere({ document, path }: LoadedDocument<SecureHostInterfaceProfile>): ContractInForce {
    const profile = this.#nameOf(document.agentMachineProfileRef);
    const note = `for hosts of the kind "${document.hostAdapter}"; this one is "${hostAdapter()}"`;
    return { profile, path, inForce: false, note, document };
  }

  #written(profile: string, door: DoorName): LoadedDocument<SecureHostInterfaceProfile> | undefined {
    const id = this.#profiles.get(profile)?.id;
    return this.#sorted.interfaces.find((each) => {
      const { agentMachineProfileRef, interfaceKind } = each.document;
      return agentMachineProfileRef === id && interfaceKind === door && isForThisHost(each);
    });
  }

  #nameOf(ref: string): string {
    return [...this.#profiles.values()].find(({ id }) => id === ref)?.name ?? "";
  }

  #joinProfiles(): ReadonlyMap<string, AgentMachineProfile> {
    const joined = new Map(
      [...mergedProfiles(this.#policy)].map(([name, spec]) => [name, profileDocument(name, spec)]),
    );
    for (const { document } of this.#sorted.profiles) joined.set(document.name, document);
    return joined;
  }
}

function isForThisHost({ document }: LoadedDocument<SecureHostInterfaceProfile>): boolean {
  return document.hostAdapter === hostAdapter();
}
