import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ActionCode, HostActionResponse, ScopeViolationReason } from "@doorward/contracts";
import type { FlowLab } from "../../packages/bridge/test/actions-flow-lab.ts";

/** One request, and what the reference host's contract answers it, so that a difference is seen here and not by its clients. */
export interface Row {
  readonly name: string;
  readonly code: ActionCode;
  readonly reason?: ScopeViolationReason;
  readonly request: (lab: FlowLab) => unknown;
  readonly answer?: "approve" | "deny";
  /** Capabilities of the asker; the operator asks when absent. */
  readonly capabilities?: readonly string[];
  readonly skip?: string | false;
  readonly check?: (failure: Failure, lab: FlowLab) => void;
}
/** An answer that says why nothing was done. */
export type Failure = Extract<HostActionResponse, { ok: false }>;

/** Runs the lab's program, or what the payload says. */
export const exec = (lab: FlowLab, payload: object): unknown => ({
  action: "system.process.exec",
  payload: { scope: "tool", command: lab.program, ...payload },
});

/** Changes files of the scope `notes`. */
export const files = (...operations: object[]): unknown => ({
  action: "system.fs.mutate",
  payload: { scope: "notes", operations },
});

/** Writes a name of the hosts file. */
export const hosts = (record: object): unknown => ({
  action: "system.hosts.write",
  payload: { records: [{ address: "10.0.0.1", hostname: "app.test", ...record }] },
});

/** A workflow of the lab's program. */
export const steps = (lab: FlowLab, ...asked: object[]): unknown => ({
  action: "system.workflow.run",
  payload: {
    ...{ scope: "tool", kind: "process-sequence", title: "Steps" },
    steps: asked.map((step, at) => ({ id: `s${at + 1}`, title: "A step", command: lab.program, ...step })),
  },
});

/** A command line of a preset. */
export const preset = (scope: string, program: string, line: string): unknown => ({
  action: "system.process.exec",
  payload: { scope, command: `/usr/bin/${program}`, args: line.split(" ").filter((word) => word !== "") },
});

/** Runs the one program of an odd scope. */
export const inScope = (lab: FlowLab, scope: string): unknown => ({
  action: "system.process.exec",
  payload: { scope, command: join(lab.base, "bin", scope) },
});

/** Why a row is left out that needs a program of this host. */
export const absent = (program: string): string | false =>
  existsSync(`/usr/bin/${program}`) ? false : `needs ${program}`;

/** A workflow of one step in an odd scope. */
export function stepsIn(lab: FlowLab, scope: string): unknown {
  return {
    action: "system.workflow.run",
    payload: {
      ...{ scope, kind: "process-sequence", title: "Steps" },
      steps: [{ id: "s1", title: "A step", command: join(lab.base, "bin", scope) }],
    },
  };
}
