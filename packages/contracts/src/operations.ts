import * as z from "zod";

/** The kinds of host surface that a door adapts, to the letter of the source contract. */
export const INTERFACE_KINDS = ["terminal", "browser", "editor", "agent-tool"] as const;
export const InterfaceKind = z.enum(INTERFACE_KINDS).describe("Kind of host interface, and name of its door");
export type InterfaceKind = z.infer<typeof InterfaceKind>;

/** The doors of this build. Others are part of the contract and refused until they exist. */
export const DOORS = ["terminal", "agent-tool"] as const;
export const DoorName = z.enum(DOORS).describe("A door that this build serves");
export type DoorName = z.infer<typeof DoorName>;

/** Operations at an agent-tool door: list tools, and call those with one kind of effect. */
export const AGENT_TOOL_OPERATIONS = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
  "agent-tool.egress",
  "agent-tool.host-action",
  "agent-tool.plugin",
] as const;

/** The closed list of operations that a grant can hold. */
export const OPERATIONS = [
  "terminal.attach",
  "terminal.observe",
  "terminal.input",
  "terminal.exec",
  "terminal.agent-exec",
  "terminal.forward",
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
  "agent-tool.egress",
  "agent-tool.host-action",
] as const;
export const Operation = z.enum(OPERATIONS).describe("An operation at a door");
export type Operation = z.infer<typeof Operation>;

/** Operations that run code in the machine, or reach what runs there: path-narrowed grants can't hold them, nothing would enforce the paths. */
export const CODE_RUNNING_OPERATIONS: ReadonlySet<Operation> = new Set<Operation>([
  "terminal.attach",
  "terminal.input",
  "terminal.exec",
  "terminal.agent-exec",
  "terminal.forward",
  "agent-tool.exec",
]);

/** Door that serves an operation. */
export function doorOf(operation: Operation): DoorName {
  const door = operation.slice(0, operation.indexOf("."));
  return DoorName.parse(door);
}

/** What browser automation may do, to the letter of the estate's browser receipts. */
export const BROWSER_PERMISSION_SCOPES = [
  "read_page",
  "activate_control",
  "enter_text",
  "download_file",
  "upload_file",
  "observe_network_metadata",
  "managed_identity_delegate",
  "capture_screenshot",
  "navigate",
  "clipboard_read",
  "clipboard_write",
] as const;

/** The closed list of operations that the contracts know; {@link OPERATIONS} are those that this build serves. */
export const CONTRACT_OPERATIONS = [
  ...OPERATIONS,
  "browser.attach",
  "browser.observe",
  "browser.read_page",
  "browser.activate_control",
  "browser.enter_text",
  "browser.download_file",
  "browser.upload_file",
  "browser.observe_network_metadata",
  "browser.managed_identity_delegate",
  "browser.capture_screenshot",
  "browser.navigate",
  "browser.clipboard_read",
  "browser.clipboard_write",
  "editor.read",
  "editor.write",
  "editor.watch",
  "editor.search",
  "editor.task",
  "editor.test",
  "editor.run",
  "editor.debug",
  "editor.language-server",
  "agent-tool.plugin",
] as const;
export const ContractOperation = z
  .enum(CONTRACT_OPERATIONS)
  .describe("An operation that the contracts know, served by this build or not");
export type ContractOperation = z.infer<typeof ContractOperation>;
