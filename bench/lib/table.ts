import { loadavg } from "node:os";
import type { BenchRow, Beside, Unit } from "./row.ts";

const HEAD = ["what", "doorward", "p99", "reach", "met", "beside"] as const;

/** The rows as a Markdown table, which reads well in a terminal too. */
export function markdownTable(rows: readonly BenchRow[]): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0), 3));
  const line = (cellsOf: readonly string[]): string =>
    `| ${cellsOf.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  const [head = [], ...body] = lines.map((cellsOf) => line(cellsOf));
  return [head, rule, ...body].join("\n");
}

/** Remarks to rows that have some, one line each. */
export function remarks(rows: readonly BenchRow[]): string {
  return rows
    .flatMap(({ name, note, beside }) => [
      ...(note === undefined ? [] : [`- ${name}: ${note}.`]),
      ...beside.flatMap((peer) => (peer.note === undefined ? [] : [`- ${name}: ${peer.note}.`])),
    ])
    .join("\n");
}

/** A number with the digits that mean something. */
export function format(value: number, unit: Unit): string {
  const digits = unit === "records/s" || value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  const text = value.toFixed(digits);
  return unit === "ratio"
    ? text
    : `${unit === "records/s" ? Number(text).toLocaleString("en") : text} ${unit}`;
}

/** Load average of the last minute. */
export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

function cells(row: BenchRow): string[] {
  const { name, unit, value, p99, reach = "", met, beside } = row;
  return [
    name,
    format(value, unit),
    p99 === undefined ? "" : format(p99, unit),
    reach,
    reach === "" ? "" : met === true ? "met" : met === false ? "**not met**" : "not known",
    beside.map((peer) => besideText(peer, unit)).join("; "),
  ];
}

function besideText({ name, value, p99 }: Beside, unit: Unit): string {
  if (value === null) return `${name}: missing`;
  return `${name} ${format(value, unit)}${p99 === undefined ? "" : ` (p99 ${format(p99, unit)})`}`;
}
