export { offeredOperations } from "./door-operations.ts";
export { InterfaceSet, type ContractInForce } from "./interface-set.ts";
export { readDocument, readDocuments, type InterfaceContract } from "./read-documents.ts";
export { keepMountEvidence, readMountEvidence, type EvidenceKeeper } from "./kept-mount-evidence.ts";
export { mountEvidence, type MountEvidenceSource } from "./mount-evidence.ts";
export { narrowedAgentTool } from "./narrowed-agent-tool.ts";
export { narrowedTerminal } from "./narrowed-terminal.ts";
