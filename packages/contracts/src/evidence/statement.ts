import * as z from "zod";
import { BridgeStartPredicate, BridgeStopPredicate, KeyRotationPredicate } from "./bridge-records.ts";
import { HostActionPredicate, ToolCallPredicate } from "./action-records.ts";
import {
  ApprovalPredicate,
  DenialPredicate,
  DenialsPredicate,
  PolicyChangePredicate,
} from "./decision-records.ts";
import { EgressChangePredicate, EgressPredicate, SecretChangePredicate } from "./egress-records.ts";
import {
  GrantExpiredPredicate,
  GrantMintedPredicate,
  GrantNarrowedPredicate,
  GrantRenewedPredicate,
  GrantRevokedPredicate,
} from "./grant-records.ts";
import {
  LaunchPredicate,
  MachineEndPredicate,
  MachineExtendPredicate,
  ReviewPredicate,
} from "./machine-records.ts";
import { PluginHostCallPredicate, PluginLifecyclePredicate } from "./plugin-records.ts";
import {
  CommandPredicate,
  ForwardPredicate,
  SessionClosePredicate,
  SessionOpenPredicate,
  TerminalPredicate,
} from "./session-records.ts";

/** The predicate schema of every record type; a new type is one line here and one in {@link EvidenceStatement}. */
export const EVIDENCE_PREDICATES = {
  launch: LaunchPredicate,
  "machine-extend": MachineExtendPredicate,
  "machine-end": MachineEndPredicate,
  review: ReviewPredicate,
  "session-open": SessionOpenPredicate,
  "session-close": SessionClosePredicate,
  terminal: TerminalPredicate,
  command: CommandPredicate,
  forward: ForwardPredicate,
  "tool-call": ToolCallPredicate,
  "host-action": HostActionPredicate,
  "plugin-lifecycle": PluginLifecyclePredicate,
  "plugin-host-call": PluginHostCallPredicate,
  "grant-minted": GrantMintedPredicate,
  "grant-narrowed": GrantNarrowedPredicate,
  "grant-renewed": GrantRenewedPredicate,
  "grant-revoked": GrantRevokedPredicate,
  "grant-expired": GrantExpiredPredicate,
  egress: EgressPredicate,
  "egress-change": EgressChangePredicate,
  "secret-change": SecretChangePredicate,
  denial: DenialPredicate,
  denials: DenialsPredicate,
  approval: ApprovalPredicate,
  "policy-change": PolicyChangePredicate,
  "bridge-start": BridgeStartPredicate,
  "bridge-stop": BridgeStopPredicate,
  "key-rotation": KeyRotationPredicate,
} as const;

/** The closed union of record types. */
export type EvidenceType = keyof typeof EVIDENCE_PREDICATES;

/** The predicate of one record type. */
export type EvidencePredicate<T extends EvidenceType> = z.infer<(typeof EVIDENCE_PREDICATES)[T]>;

/** An in-toto ResourceDescriptor, reduced to name and SHA-256. */
export const EvidenceArtifact = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(300)
    .describe("What the digest is of, e.g. record/e_7_k3x9q2mz or machine/m_..."),
  digest: z
    .strictObject({
      sha256: z
        .string()
        .regex(/^[a-f0-9]{64}$/)
        .describe("SHA-256, hex"),
    })
    .describe("Its digest"),
});
export type EvidenceArtifact = z.infer<typeof EvidenceArtifact>;

function statement<T extends EvidenceType, P extends z.ZodType>(type: T, predicate: P) {
  return z.strictObject({
    _type: z.literal("https://in-toto.io/Statement/v1").describe("in-toto Statement v1"),
    subject: z
      .array(EvidenceArtifact)
      .min(1)
      .max(20)
      .describe("What the statement is about: first the record itself, then named artefacts"),
    predicateType: z.literal(predicateTypeOf(type)).describe("Type of the record"),
    predicate: predicate.describe("What happened"),
  });
}

/** The in-toto predicateType URI of a record type. */
export function predicateTypeOf<T extends EvidenceType>(type: T): `https://doorward.dev/evidence/${T}/v1` {
  return `https://doorward.dev/evidence/${type}/v1`;
}

/** The record type of a predicateType URI; null for one that is not ours. */
export function evidenceTypeOf(predicateType: string): EvidenceType | null {
  const type = /^https:\/\/doorward\.dev\/evidence\/([a-z-]+)\/v1$/.exec(predicateType)?.[1] ?? "";
  return isEvidenceType(type) ? type : null;
}

/** Whether a string is one of our record types. */
export function isEvidenceType(value: string): value is EvidenceType {
  return Object.hasOwn(EVIDENCE_PREDICATES, value);
}

/** The in-toto Statement of any record. */
export const EvidenceStatement = z
  .discriminatedUnion("predicateType", [
    statement("launch", LaunchPredicate),
    statement("machine-extend", MachineExtendPredicate),
    statement("machine-end", MachineEndPredicate),
    statement("review", ReviewPredicate),
    statement("session-open", SessionOpenPredicate),
    statement("session-close", SessionClosePredicate),
    statement("terminal", TerminalPredicate),
    statement("command", CommandPredicate),
    statement("forward", ForwardPredicate),
    statement("tool-call", ToolCallPredicate),
    statement("host-action", HostActionPredicate),
    statement("plugin-lifecycle", PluginLifecyclePredicate),
    statement("plugin-host-call", PluginHostCallPredicate),
    statement("grant-minted", GrantMintedPredicate),
    statement("grant-narrowed", GrantNarrowedPredicate),
    statement("grant-renewed", GrantRenewedPredicate),
    statement("grant-revoked", GrantRevokedPredicate),
    statement("grant-expired", GrantExpiredPredicate),
    statement("egress", EgressPredicate),
    statement("egress-change", EgressChangePredicate),
    statement("secret-change", SecretChangePredicate),
    statement("denial", DenialPredicate),
    statement("denials", DenialsPredicate),
    statement("approval", ApprovalPredicate),
    statement("policy-change", PolicyChangePredicate),
    statement("bridge-start", BridgeStartPredicate),
    statement("bridge-stop", BridgeStopPredicate),
    statement("key-rotation", KeyRotationPredicate),
  ])
  .describe("One record of the evidence: an in-toto Statement v1 with a predicate of one of the types");
export type EvidenceStatement = z.infer<typeof EvidenceStatement>;

/** What a caller appends: the type, its predicate without what the log fills in, and artefacts the record is about. */
export type EvidenceInput = {
  [T in EvidenceType]: { readonly type: T; readonly artifacts?: readonly EvidenceArtifact[] } & Omit<
    EvidencePredicate<T>,
    "recordId" | "at"
  >;
}[EvidenceType];
