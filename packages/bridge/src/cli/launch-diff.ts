import { diffInputs, type FingerprintChange } from "../machines/fingerprint-diff.ts";
import { escapeLine } from "@doorward/client/operator";
import type { LaunchRecord } from "./launch-source.ts";
import type { Output } from "./output.ts";

/** What two launches differ in. */
export interface LaunchDiff {
  readonly equal: boolean;
  readonly before: LaunchSummary;
  readonly after: LaunchSummary;
  readonly changes: readonly FingerprintChange[];
}

type LaunchSummary = Pick<LaunchRecord, "index" | "recordId" | "machine" | "at"> & {
  readonly digest: string;
};

const WIDTH = 160;
const SIGNS = { added: ["green", "+"], removed: ["red", "-"], changed: ["yellow", "~"] } as const;

/** Compares the fingerprint inputs of two launches. */
export function diffLaunches(before: LaunchRecord, after: LaunchRecord): LaunchDiff {
  const changes = diffInputs(before.fingerprint.inputs, after.fingerprint.inputs);
  const equal = before.fingerprint.digest === after.fingerprint.digest;
  return { equal, before: summary(before), after: summary(after), changes };
}

/** The difference for people: both launches, then one line for each change, by path. */
export function launchDiffText(diff: LaunchDiff, output: Output): string {
  const heads = [
    output.style("red", `--- ${headOf(diff.before)}`),
    output.style("green", `+++ ${headOf(diff.after)}`),
  ];
  if (diff.equal) return [...heads, "equal fingerprints"].join("\n");
  return [...heads, ...diff.changes.map((change) => line(change, output))].join("\n");
}

function line({ path, kind, from, to }: FingerprintChange, output: Output): string {
  const [style, sign] = SIGNS[kind];
  const values = [...(kind === "added" ? [] : [shown(from)]), ...(kind === "removed" ? [] : [shown(to)])];
  return `${output.style(style, `${sign} ${escapeLine(path)}`)}  ${values.join(" -> ")}`;
}

function shown(value: unknown): string {
  const text = escapeLine(JSON.stringify(value));
  return text.length <= WIDTH ? text : `${text.slice(0, WIDTH)}...`;
}

function headOf({ index, machine, at, digest }: LaunchSummary): string {
  return escapeLine(`${String(index)}  ${machine.name}  ${at}  ${digest}`);
}

function summary({ index, recordId, machine, at, fingerprint }: LaunchRecord): LaunchSummary {
  return { index, recordId, machine, at, digest: fingerprint.digest };
}
