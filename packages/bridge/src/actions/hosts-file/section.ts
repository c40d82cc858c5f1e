import { isIP } from "node:net";
import type { HostsRecord } from "@doorward/contracts";
import { ActionError } from "../action-error.ts";
import { hostFailure } from "../failures.ts";

const MARKER = /^#\s*(BEGIN|END)\s+FDO:(.*?)\s*$/i;
const MAX_TAG = 64;
/** Names that this host's own programs take for granted. */
const RESERVED: ReadonlySet<string> = new Set([
  "localhost",
  "localhost.localdomain",
  "localhost4",
  "localhost4.localdomain4",
  "localhost6",
  "localhost6.localdomain6",
  "ip6-localhost",
  "ip6-loopback",
  "ip6-localnet",
  "ip6-mcastprefix",
  "ip6-allnodes",
  "ip6-allrouters",
  "broadcasthost",
]);
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/;

/** A tag or owner as a marker has it. */
export function cleanTag(tag: string): string {
  return tag.replace(/[^A-Za-z0-9._-]/g, "").slice(0, MAX_TAG) || "default";
}

/** Judges records and drops doubles. Throws an ActionError with VALIDATION_FAILED. */
export function checkRecords(
  records: readonly HostsRecord[],
  ownNames: readonly string[],
): readonly HostsRecord[] {
  const kept = new Map<string, HostsRecord>();
  for (const record of records) {
    const problem = recordProblem(record, ownNames);
    if (problem !== null)
      throw new ActionError({
        code: "VALIDATION_FAILED",
        message: `Cannot write "${record.hostname.slice(0, 253)}" to the hosts file: ${problem}`,
      });
    const key = `${record.address.toLowerCase()} ${record.hostname.toLowerCase()}`;
    if (!kept.has(key)) kept.set(key, record);
  }
  return [...kept.values()];
}

function recordProblem(
  { address, hostname, comment }: HostsRecord,
  ownNames: readonly string[],
): string | null {
  if (isIP(address) === 0 || address.includes("%")) return `"${address.slice(0, 45)}" is no IP address`;
  const name = hostname.toLowerCase();
  const labels = name.split(".");
  if (name.length > 253 || labels.some((label) => !LABEL.test(label))) return "it is no host name";
  if (/^\d+$/.test(labels.at(-1) ?? "")) return "it reads as an address";
  if (RESERVED.has(name) || name.endsWith(".localhost")) return "this name always means the host itself";
  if (ownNames.some((own) => own.toLowerCase() === name)) return "it is this host's own name";
  if (comment === undefined) return null;
  if (UNPRINTABLE.test(comment) || /\p{Surrogate}/u.test(comment))
    return "its comment holds characters that are no text of one line";
  return /\b(?:BEGIN|END)\s+FDO:/i.test(comment) ? "its comment looks like the edge of a section" : null;
}

/**
 * The hosts file with one section replaced, or added at the end; all other bytes stay. Text is one character per byte,
 * so that no encoding is lost. Throws an ActionError with OS_ERROR for sections that are not in order.
 */
export function replaceSection(text: string, section: string, records: readonly HostsRecord[]): string {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text.split(/\r?\n/);
  const found = findSection(lines, section);
  const body = [`# BEGIN ${section}`, ...records.map(recordLine), `# END ${section}`];
  if (found === null) {
    const start = text === "" || text.endsWith("\n") ? text : text + newline;
    return `${start}${body.join(newline)}${newline}`;
  }
  // Joined from the pieces: other lines may end in their own way.
  const offsets = lineOffsets(text);
  const rest = text.slice(offsets[found.end + 1] ?? text.length);
  return `${text.slice(0, offsets[found.begin])}${body.join(newline)}${newline}${rest}`;
}

function findSection(lines: readonly string[], section: string): { begin: number; end: number } | null {
  let open: { name: string; at: number } | null = null;
  let found: { begin: number; end: number } | null = null;
  for (const [at, line] of lines.entries()) {
    const [, edge, tag] = MARKER.exec(line) ?? [];
    if (edge === undefined || tag === undefined) continue;
    const name = `FDO:${tag}`;
    if (edge.toUpperCase() === "BEGIN") {
      if (open !== null) throw disorder(at, `section "${open.name}" has no end before it`);
      open = { name, at };
      continue;
    }
    if (open?.name !== name) throw disorder(at, `section "${name}" ends without a beginning`);
    if (name === section && found !== null) throw disorder(at, `section "${name}" is there twice`);
    if (name === section) found = { begin: open.at, end: at };
    open = null;
  }
  if (open !== null) throw disorder(open.at, `section "${open.name}" has no end`);
  return found;
}

function disorder(at: number, what: string): ActionError {
  return hostFailure(`Cannot edit the hosts file: line ${String(at + 1)}: ${what}; mend it by hand first`);
}

function lineOffsets(text: string): readonly number[] {
  const offsets = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) offsets.push(at + 1);
  return offsets;
}

function recordLine({ address, hostname, comment }: HostsRecord): string {
  const note = comment === undefined || comment.trim() === "" ? "" : ` # ${comment.trim()}`;
  return Buffer.from(`${address} ${hostname}${note}`, "utf8").toString("latin1");
}
