import { join } from "node:path";
import { InterfaceSet, readDocuments } from "../interfaces/index.ts";
import type { JoinedPolicy } from "./decide-in-force.ts";
import { EMPTY_POLICY, policyHash } from "./effective-policy.ts";
import { parsePolicy } from "./parse-policy.ts";
import type { PathHost } from "./path-host.ts";
import { readPolicyFile } from "./policy-storage.ts";

/** A policy with the digest of what it means. */
export interface HashedPolicy extends JoinedPolicy {
  readonly hash: string;
}

/** The policy in force, and the file that it was read from. */
export interface InForce extends HashedPolicy {
  readonly exists: boolean;
  readonly text: string | null;
  readonly mode: number;
}

/** Reads a policy file and the documents beside it. */
export async function readInForce(path: string, host: PathHost): Promise<InForce> {
  const stored = await readPolicyFile(path);
  const joined = await joinPolicy(stored?.text ?? null, path, host);
  return { ...joined, exists: stored !== null, text: stored?.text ?? null, mode: stored?.mode ?? 0o600 };
}

/** A policy's text together with the documents that lie beside it: both are in force, or neither. */
export async function joinPolicy(text: string | null, path: string, host: PathHost): Promise<HashedPolicy> {
  const documents = await readDocuments(interfacesFolder(path));
  const named = documents.flatMap(({ document }) =>
    document.type === "AgentMachineProfile" ? [document.name] : [],
  );
  const policy = text === null ? EMPTY_POLICY : parsePolicy(text, path, new Set(named), host).policy;
  const interfaces = new InterfaceSet(policy, documents);
  return { policy, interfaces, hash: policyHash(policy, interfaces.documents) };
}

/** Where the interface documents of a policy file lie. */
export function interfacesFolder(policyFile: string): string {
  return join(policyFile, "..", "interfaces");
}
