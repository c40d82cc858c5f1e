import type { EvidenceRow } from "@doorward/contracts";
import { escapeLine } from "@doorward/client/operator";
import type { Style } from "./output.ts";
import type { Run } from "./run.ts";

/** The longest name of a record type. */
const TYPE_WIDTH = 16;
const NARROWEST = 60;
/** A terminal needs this many columns to have room for the type beside what happened, which says it too. */
const WITH_TYPE = 100;

/** Colours by the start of a record's type; what is not here stays plain. */
const STYLES: readonly (readonly [string, Style])[] = [
  ["denial", "red"],
  ["machine-end", "yellow"],
  ["grant-revoked", "yellow"],
  ["grant-expired", "yellow"],
  ["key-rotation", "yellow"],
  ["policy-change", "yellow"],
  ["launch", "green"],
  ["approval", "cyan"],
  ["host-action", "cyan"],
  ["plugin", "cyan"],
  ["tool-call", "bold"],
  ["command", "bold"],
  ["bridge", "dim"],
  ["session", "dim"],
];

/**
 * Records as lines of a story. On a terminal: the day once, then local times, and no line wider than the terminal; a narrow
 * one has no column of types.
 * Elsewhere: the whole time and the whole line, so that it can be searched.
 */
export class EvidenceStory {
  readonly #run: Run;
  readonly #width: number;
  readonly #terminal: boolean;
  #day = "";

  constructor(run: Run) {
    const { isTTY, columns } = run.cli.stdout;
    this.#run = run;
    this.#terminal = isTTY === true;
    this.#width = this.#terminal ? Math.max(NARROWEST, columns ?? 80) : Number.POSITIVE_INFINITY;
  }

  /** The line of a record, behind a heading when its day is another than that of the one before. */
  lines(row: EvidenceRow): string[] {
    const { output } = this.#run;
    const at = new Date(row.at);
    const day = at.toLocaleDateString("sv-SE");
    const heading = this.#terminal && day !== this.#day ? [output.style("dim", `-- ${day}`)] : [];
    this.#day = day;
    const time = this.#terminal ? at.toLocaleTimeString("sv-SE") : row.at;
    const index = String(row.index).padStart(6);
    const type = this.#width < WITH_TYPE ? "" : `${row.type.padEnd(TYPE_WIDTH)}  `;
    const room = this.#width - `${index}  ${time}  ${type}`.length;
    const summary = cut(escapeLine(row.summary), room);
    const style = STYLES.find(([start]) => row.type.startsWith(start))?.[1];
    const styled = (text: string): string => (style === undefined ? text : output.style(style, text));
    return [
      ...heading,
      `${output.style("dim", `${index}  ${time}`)}  ${type === "" ? styled(summary) : `${styled(type)}${summary}`}`,
    ];
  }
}

/** Records of which neighbours say the same but for how long it took, as one that says how many they are. */
export function folded(rows: readonly EvidenceRow[]): readonly EvidenceRow[] {
  const shown: { row: EvidenceRow; count: number }[] = [];
  for (const row of rows) {
    const last = shown.at(-1);
    if (last !== undefined && row.type === "tool-call" && sameDeed(last.row, row)) last.count += 1;
    else shown.push({ row, count: 1 });
  }
  return shown.map(({ row, count }) =>
    count === 1 ? row : { ...row, summary: `${row.summary} (${String(count)} times in a row)` },
  );
}

function sameDeed(one: EvidenceRow, other: EvidenceRow): boolean {
  const deed = ({ summary }: EvidenceRow): string => summary.replaceAll(/ in [0-9.]+[sm](?=$|[ ,:])/g, "");
  return one.type === other.type && deed(one) === deed(other);
}

function cut(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}\u2026`;
}
