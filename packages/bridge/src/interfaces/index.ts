export { offeredOperations } from "./door-operations.ts";
export { InterfaceSet, type ContractInForce } from "./interface-set.ts";
export { readDocument, readDocuments, type InterfaceContract } from "./read-documents.ts";
export { narrowedTerminal } from "./narrowed-terminal.ts";
