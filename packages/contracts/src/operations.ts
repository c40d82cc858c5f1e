import * as z from "zod";

/** The kinds of host surface that a door adapts, to the letter of the source contract. */
export const INTERFACE_KINDS = ["terminal", "browser", "editor", "agent-tool"] as const;
export const InterfaceKind = z.enum(INTERFACE_KINDS).describe("Kind of host interface, and name of its door");
export type InterfaceKind = z.infer<typeof InterfaceKind>;

/** The doors of this build. Others are part of the contract and refused until they exist. */
export const DOORS = ["terminal"] as const;
export const DoorName = z.enum(DOORS).describe("A door that this build serves");
export type DoorName = z.infer<typeof DoorName>;

/** The closed list of operations that a grant can hold. */
export const OPERATIONS = [
  "terminal.attach",
  "terminal.observe",
  "terminal.input",
  "terminal.exec",
  "terminal.agent-exec",
] as const;
export const Operation = z.enum(OPERATIONS).describe("An operation at a door");
export type Operation = z.infer<typeof Operation>;

/** Operations that run code in the machine: path-narrowed grants can't hold them, nothing would enforce the paths. */
export const CODE_RUNNING_OPERATIONS: ReadonlySet<Operation> = new Set<Operation>([
  "terminal.attach",
  "terminal.input",
  "terminal.exec",
  "terminal.agent-exec",
]);

/** Door that serves an operation. */
export function doorOf(operation: Operation): DoorName {
  const door = operation.slice(0, operation.indexOf("."));
  return DoorName.parse(door);
}
