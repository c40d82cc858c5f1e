import { closeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Bounded, SearchLine } from "../../files.ts";
import { ANSWER_BYTES, MAX_LINE_BYTES, type FilesRequestOf } from "../../files-protocol.ts";
import { quoted } from "./file-failure.ts";
import { holdListed, listNames, selectionArgs } from "./find-files.ts";
import { pathOf, type Reach } from "./reach.ts";
import type { Ripgrep, RipgrepRun } from "./ripgrep.ts";
import { walkToFound, type Found } from "./walk.ts";

/** A long run of opens lets others have their turn after so many. */
const OPENS_AT_ONCE = 256;
const ROOM = ANSWER_BYTES - 65_536;

/** Searches files. */
export async function searchFiles(
  reach: Reach,
  ripgrep: Ripgrep,
  request: FilesRequestOf<"search">,
  signal: AbortSignal,
): Promise<Bounded<SearchLine>> {
  const doing = `Cannot search ${quoted(request.path)}`;
  const found = walkToFound(reach, request.path, { follow: true, doing });
  try {
    const search = new Search(reach, ripgrep, { request, doing, found }, signal);
    if (found.held.kind === "file") await search.ofOne();
    else if (found.held.kind !== "folder") return { items: [], truncated: false };
    else if (reach.everything) await search.ofPaths();
    else await search.ofDescriptors();
    return search.result();
  } finally {
    closeSync(found.held.fd);
  }
}

class Search {
  readonly #reach: Reach;
  readonly #ripgrep: Ripgrep;
  readonly #request: FilesRequestOf<"search">;
  readonly #doing: string;
  readonly #found: Found;
  readonly #top: string;
  readonly #signal: AbortSignal;
  readonly #lines: SearchLine[] = [];
  #matches = 0;
  #room = ROOM;
  #truncated = false;

  constructor(
    reach: Reach,
    ripgrep: Ripgrep,
    of: { readonly request: FilesRequestOf<"search">; readonly doing: string; readonly found: Found },
    signal: AbortSignal,
  ) {
    this.#reach = reach;
    this.#ripgrep = ripgrep;
    this.#request = of.request;
    this.#doing = of.doing;
    this.#found = of.found;
    this.#top = of.found.names.length === 0 ? "" : pathOf(of.found.names);
    this.#signal = signal;
  }

  /** One file, by its descriptor. */
  async ofOne(): Promise<void> {
    await this.#batch([{ fd: this.#found.held.fd, path: pathOf(this.#found.names) }]);
  }

  /** A stream that reaches everything has no path to be kept from: ripgrep walks by itself, as fast as it can. */
  async ofPaths(): Promise<void> {
    const args = [...selectionArgs(this.#request, this.#found.names), ...this.#patternArgs(), "--", "./"];
    const folder = this.#found.held.fd;
    await this.#run({ args, folder }, (label) => `${this.#top}/${label.replace(/^\.\//, "")}`);
    this.#lines.sort(byPlace);
  }

  /**
   * Where less is reached, ripgrep only names the files; they are opened by descriptors here and handed to it, since a
   * path that is swapped for a link between its look and its open would let it read anything of the machine.
   */
  async ofDescriptors(): Promise<void> {
    const named = { selection: this.#request, doing: this.#doing };
    const names = await listNames(this.#ripgrep, this.#found, named, this.#signal);
    const { batchFiles } = this.#ripgrep;
    for (let at = 0; at < names.items.length && !this.#full; at += batchFiles) {
      await this.#held(names.items.slice(at, at + batchFiles), (files) => this.#batch(files));
    }
    this.#truncated ||= names.truncated;
  }

  result(): Bounded<SearchLine> {
    return { items: this.#lines, truncated: this.#truncated };
  }

  get #full(): boolean {
    return this.#truncated;
  }

  async #held(names: readonly string[], use: (files: NamedFile[]) => Promise<void>): Promise<void> {
    using _turn = await this.#ripgrep.batches.take(this.#signal);
    const files: NamedFile[] = [];
    try {
      for (const [index, name] of names.entries()) {
        if (index % OPENS_AT_ONCE === OPENS_AT_ONCE - 1) await setImmediate();
        const held = holdListed(this.#reach, this.#found.held, name);
        if (held !== undefined) files.push({ fd: held.fd, path: `${this.#top}/${name}` });
      }
      if (files.length > 0) await use(files);
    } finally {
      for (const { fd } of files) closeSync(fd);
    }
  }

  async #batch(files: readonly NamedFile[]): Promise<void> {
    const labels = files.map((_, index) => `/proc/self/fd/${String(index + 3)}`);
    const paths = new Map(labels.map((label, index) => [label, files[index]?.path ?? ""]));
    const from = this.#lines.length;
    const args = [...this.#patternArgs(), "--", ...labels];
    const descriptors = files.map(({ fd }) => fd);
    await this.#run({ args, files: descriptors }, (label) => paths.get(label));
    const added = this.#lines.splice(from).sort(byPlace);
    for (const line of added) this.#lines.push(line);
  }

  async #run(
    run: Pick<RipgrepRun, "args" | "files" | "folder">,
    pathOfLabel: (label: string) => string | undefined,
  ): Promise<void> {
    const record = (bytes: Buffer): boolean => this.#record(bytes.toString("utf8"), pathOfLabel);
    const whole: RipgrepRun = { ...run, doing: this.#doing, separator: "\n", record };
    const { complete } = await this.#ripgrep.run(whole, this.#signal);
    this.#truncated ||= !complete;
  }

  #record(record: string, pathOfLabel: (label: string) => string | undefined): boolean {
    const parts = /^([^\0]+)\0(\d{1,15})([:-])([^]*)$/.exec(record);
    const path = pathOfLabel(parts?.[1] ?? "");
    // separators between groups, and what it says of binary files
    if (parts === null || path === undefined) return true;
    const match = parts[3] === ":";
    if (match && this.#matches === this.#request.limit) return false;
    if (match) this.#matches += 1;
    const line = { path, line: Number(parts[2]), match, text: cut(parts[4] ?? "") };
    this.#room -= Buffer.byteLength(JSON.stringify(line)) + 1;
    if (this.#room < 0) return false;
    this.#lines.push(line);
    return true;
  }

  #patternArgs(): string[] {
    const { pattern, literal, caseSensitive, context } = this.#request;
    return [
      ...["--no-heading", "--with-filename", "--line-number", "--null", "--color=never", "--no-messages"],
      ...["--no-mmap", `--max-columns=${String(MAX_LINE_BYTES)}`, "--max-columns-preview"],
      ...(literal ? ["--fixed-strings"] : []),
      caseSensitive ? "--case-sensitive" : "--ignore-case",
      `--context=${String(context)}`,
      `--regexp=${pattern}`,
    ];
  }
}

interface NamedFile {
  readonly fd: number;
  readonly path: string;
}

function byPlace(a: SearchLine, b: SearchLine): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.line - b.line;
}

/** A line without its end, cut where it is too long. */
function cut(text: string): string {
  const line = text.replace(/\r$/, "");
  if (Buffer.byteLength(line) <= MAX_LINE_BYTES) return line;
  return Buffer.from(line)
    .subarray(0, MAX_LINE_BYTES)
    .toString("utf8")
    .replace(/\ufffd$/, "");
}
