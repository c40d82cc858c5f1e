import type { EvidenceInput } from "@doorward/contracts";
import type { GrantEvent, GrantEvidence } from "../grants/index.ts";
import type { InFlight } from "../in-flight/index.ts";
import { BRIDGE_SUBJECT } from "../machines/life/index.ts";

/** Where records go; resolves when durable. */
export interface Appender {
  append(input: EvidenceInput, note?: number | null): Promise<{ readonly index: number }>;
}

/** How the grant of a connection ends whose bridge is lost. */
const LOST = {
  cause: "connection-end",
  reason: "its connection ended with the bridge",
  sessionsCut: 0,
} as const;

/**
 * Writes what happens to grants into the evidence log. The grant of a connection is in no store: its end is noted before
 * it is minted, for the next bridge to record if this one is lost. It is used while its minting is still being written; when
 * that fails there was no such grant, and no record says that it ended.
 */
export function grantEvidence(
  log: Appender,
  inFlight: Pick<InFlight, "begin" | "ended" | "forget">,
): GrantEvidence {
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
  /** Notes of the ends of grants of connections, once their minting is recorded; null for one that never was. */
  const ofConnections = new Map<string, Promise<number | null>>();
  const append = async (input: EvidenceInput): Promise<void> => {
    await log.append(input);
  };
  const appendEnd = async ({ grant }: GrantEvent, input: EvidenceInput): Promise<void> => {
    const minted = ofConnections.get(grant.grantId);
    if (minted === undefined) return append(input);
    const note = await minted;
    if (note !== null) {
      await log.append(input, note);
      inFlight.ended(note);
    }
    ofConnections.delete(grant.grantId);
  };
  const mintForConnection = async (event: GrantEvent, input: EvidenceInput): Promise<number> => {
    const note = inFlight.begin({ type: "grant-revoked", ...common({ ...event, by: null }), ...LOST });
    await log.append(input, note).catch((error: unknown) => {
      inFlight.forget(note);
      throw error;
    });
    return note;
  };
  return {
    minted: (event) => {
      const { implicit } = event;
      const input = { type: "grant-minted", ...common(event), ...scope(event), implicit } as const;
      if (!implicit) return append(input);
      const minted = mintForConnection(event, input);
      ofConnections.set(
        event.grant.grantId,
        minted.catch(() => null),
      );
      return minted.then(() => undefined);
    },
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
      appendEnd(event, {
        type: "grant-revoked",
        ...common(event),
        reason: event.reason.slice(0, 500),
        cause: event.cause,
        sessionsCut: event.sessionsCut,
      }),
    expired: (event) =>
      appendEnd(event, { type: "grant-expired", ...common(event), sessionsCut: event.sessionsCut }),
  };
}
