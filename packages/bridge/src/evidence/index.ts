export { openCheckpoint, type Checkpoint, type OpenedCheckpoint } from "./checkpoint.ts";
export { exportEvidence, type Exported, type ExportOptions } from "./export.ts";
export {
  createEvidenceKey,
  isMissing,
  openEvidenceKey,
  readEvidenceKey,
  type EvidenceKey,
  type EvidencePublicKey,
} from "./key.ts";
export { listRecords, type EvidencePage, type EvidenceQuery, type ListSource } from "./list.ts";
export { LogFiles } from "./log-files.ts";
export { EvidenceLog, type EvidenceLogOptions } from "./log.ts";
export type { Appended, Placed } from "./log-writer.ts";
export { openEvidence, rotateEvidenceKey, type EvidencePlace } from "./open-evidence.ts";
export {
  proveConsistency,
  proveInclusion,
  rootOfInclusion,
  tlogProof,
  type ConsistencyProof,
  type InclusionProof,
} from "./prove.ts";
export { readLeaf, type EvidenceEntry } from "./record.ts";
export { noteVerifier, parseVkey, vkeyLine, type NoteVerifier } from "./signed-note.ts";
export { escapeControls, summarize } from "./summarize.ts";
export { readPublicSync } from "./read-public.ts";
export { verifyEvidence, type VerifyOptions, type VerifyReport } from "./verify.ts";
export type { VerifyProblem } from "./verify-bundle.ts";
export { Witness, seenLogs, readWitnessVkey, type SeenLog, type WitnessAnswer } from "./witness.ts";
export { addWitness, readWitnessList, removeWitness, type WitnessPlace } from "./witness-list.ts";
export type { WitnessState } from "./witnessing.ts";
export type { KeepOptions } from "./referenced.ts";
export { parseWitnessVkey } from "./cosignature.ts";
export type { GivenWitness } from "./verify-kept.ts";
export { serveWitness, type WitnessAddress, type WitnessServer } from "./witness-server.ts";
export { requestFor } from "./witness-client.ts";
