import {
  DOORS,
  doorOf,
  profileDocument,
  type AgentMachineProfile,
  type DoorName,
  type Operation,
  type Policy,
  type SecureHostInterfaceProfile,
  type TerminalDoor,
} from "@doorward/contracts";
import { mergedProfiles } from "../policy/effective-policy.ts";
import {
  checkInterfaces,
  checkProfiles,
  checkTerminals,
  doorSpec,
  sortDocuments,
  type SortedDocuments,
} from "./check-documents.ts";
import { derivedInterface, derivedTerminalDoor, hostAdapter } from "./derive.ts";
import { offeredOperations, operatorsOnly } from "./door-operations.ts";
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

interface Placed<Contract extends InterfaceContract> {
  readonly document: Contract;
  readonly path: string | null;
}

/** The contracts in force: what policy.yaml says and what the operator's documents say, joined and checked. */
export class InterfaceSet {
  readonly #policy: Policy;
  readonly #documents: readonly LoadedDocument[];
  readonly #sorted: SortedDocuments;
  readonly #profiles: ReadonlyMap<string, AgentMachineProfile>;
  readonly #terminals: ReadonlyMap<string, Placed<TerminalDoor>>;

  /** Throws `POLICY_INVALID` or `DOOR_NOT_BUILT` with the file and field of the first document that does not fit. */
  constructor(policy: Policy, documents: readonly LoadedDocument[] = []) {
    this.#policy = policy;
    this.#documents = documents;
    this.#sorted = sortDocuments(documents);
    checkProfiles(this.#sorted.profiles, policy);
    const profiles = this.#joinProfiles();
    checkTerminals(this.#sorted.terminals, profiles, this.#explicitTerminals());
    this.#profiles = this.#withTerminals(profiles);
    this.#terminals = this.#placeTerminals();
    const doors = [...this.#terminals].map(([profile, { document }]) => {
      return [document.id, { profile, door: "terminal" as const }] as const;
    });
    checkInterfaces(this.#sorted.interfaces, this.#profiles, new Map(doors));
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
    const operations = this.operations(profile, door);
    const target = this.#profiles.get(profile);
    const doorRef = this.#terminals.get(profile)?.document.id;
    if (operations.length === 0 || target === undefined || doorRef === undefined) return null;
    const written = this.#written(profile, door)?.document;
    const transportMode =
      this.#policy.bridge?.tcp === false ? "unix-socket" : (written?.transportMode ?? "loopback-websocket");
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
    const terminal = this.#terminals.get(name);
    const written = this.#sorted.profiles.find(({ document }) => document.name === name);
    const common = { profile: name, inForce: true, note: null };
    return [
      ...(profile === undefined ? [] : [{ ...common, path: written?.path ?? null, document: profile }]),
      ...(terminal === undefined ? [] : [{ ...common, ...terminal }]),
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

  /** Names of profiles whose own text has a terminal door. */
  #explicitTerminals(): ReadonlySet<string> {
    const written = Object.entries(this.#policy.profiles ?? {});
    return new Set([
      ...written.filter(([, { doors }]) => doors?.terminal !== undefined).map(([name]) => name),
      ...this.#sorted.profiles
        .filter(({ document }) => document.doors.terminal !== undefined)
        .map(({ document }) => document.name),
    ]);
  }

  #withTerminals(
    profiles: ReadonlyMap<string, AgentMachineProfile>,
  ): ReadonlyMap<string, AgentMachineProfile> {
    const joined = new Map(profiles);
    for (const { document } of this.#sorted.terminals) {
      for (const [name, profile] of joined) {
        if (profile.id !== document.agentMachineProfileRef) continue;
        joined.set(name, { ...profile, doors: { ...profile.doors, terminal: doorSpec(document) } });
      }
    }
    return joined;
  }

  #placeTerminals(): ReadonlyMap<string, Placed<TerminalDoor>> {
    const placed = new Map<string, Placed<TerminalDoor>>();
    for (const [name, profile] of this.#profiles) {
      const spec = profile.doors.terminal;
      if (spec === undefined) continue;
      const written = this.#sorted.terminals.find(
        ({ document }) => document.agentMachineProfileRef === profile.id,
      );
      placed.set(name, {
        document: written?.document ?? derivedTerminalDoor(profile, spec),
        path: written?.path ?? null,
      });
    }
    return placed;
  }
}

function isForThisHost({ document }: LoadedDocument<SecureHostInterfaceProfile>): boolean {
  return document.hostAdapter === hostAdapter();
}
