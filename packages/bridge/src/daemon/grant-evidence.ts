import type { EvidenceInput } from "@doorward/contracts";
import type { GrantEvent, GrantEvidence } from "../grants/index.ts";
import { BRIDGE_SUBJECT } from "../machines/life/index.ts";

/** Where records go; resolves when durable. */
export interface Appender {
  append(input: EvidenceInput): Promise<{ readonly index: number }>;
}

/** Writes what happens to grants into the evidence log. */
export function grantEvidence(log: Appender): GrantEvidence {
  const common = ({ grant, machine, by }: GrantEvent) => ({
    correlationId: grant.grantId,
    subject: by ?? BRIDGE_SUBJECT,
    machine: { id: machine.id, name: machine.name },
    grant: grant.grantId,
    policyHash: grant.policyHash,
  });
  const scope = ({ grant }: GrantEvent) => ({
    grantee: grant.subject,
    doors: grant.doors,
    operations: grant.operations,
    paths: grant.repoPaths,
    ...(grant.capabilities === undefined ? {} : { capabilities: grant.capabilities }),
    ...(grant.tools === undefined ? {} : { tools: grant.tools }),
    expiresAt: grant.expiresAt,
  });
  const append = async (input: EvidenceInput): Promise<void> => {
    await log.append(input);
  };
  return {
    minted: (event) =>
      append({ type: "grant-minted", ...common(event), ...scope(event), implicit: event.implicit }),
    narrowed: (event) =>
      append({ type: "grant-narrowed", ...common(event), ...scope(event), parent: event.parent }),
    renewed: (event) =>
      append({
        type: "grant-renewed",
        ...common(event),
        previousExpiresAt: event.previousExpiresAt,
        expiresAt: event.grant.expiresAt,
      }),
    revoked: (event) =>
      append({
        type: "grant-revoked",
        ...common(event),
        reason: event.reason.slice(0, 500),
        cause: event.cause,
        sessionsCut: event.sessionsCut,
      }),
    expired: (event) => append({ type: "grant-expired", ...common(event), sessionsCut: event.sessionsCut }),
  };
}
