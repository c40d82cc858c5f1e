import { DenialError, DoorwardError } from "@doorward/contracts";

/** An answer to a program whose request was refused or could not be served. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** Header that names the refusal: a structured field (RFC 9651) whose parameters are the rule and the command that allows. */
const REFUSAL_HEADER = "Doorward-Egress";

const REASONS: ReadonlyMap<number, string> = new Map([
  [400, "Bad Request"],
  [403, "Forbidden by Doorward, see doorward egress ls"], // all that pip, git and npm show of a refused tunnel
  [405, "Method Not Allowed"],
  [408, "Request Timeout"],
  [413, "Content Too Large"],
  [417, "Expectation Failed"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [504, "Gateway Timeout"],
]);

/** Puts an error into words for the program: page, plain text or JSON, whichever it accepts, and the header. */
export function refusalOf(error: DoorwardError, accept: string | undefined): Refusal {
  const status = statusOf(error);
  const page = pageOf(error, accept ?? "");
  return {
    status,
    reason: REASONS.get(status) ?? "Error",
    headers: [
      REFUSAL_HEADER,
      headerOf(error),
      "Content-Type",
      page.type,
      "Content-Length",
      String(Buffer.byteLength(page.body)),
      "Cache-Control",
      "no-store",
      "X-Content-Type-Options",
      "nosniff",
      "Content-Security-Policy",
      "default-src 'none'",
    ],
    body: page.body,
  };
}

/** A refusal as the bytes of an HTTP/1.1 answer that ends its connection. */
export function refusalBytes(refusal: Refusal): string {
  const lines = [`HTTP/1.1 ${refusal.status} ${refusal.reason}`];
  for (let at = 0; at < refusal.headers.length; at += 2) {
    lines.push(`${refusal.headers[at] ?? ""}: ${refusal.headers[at + 1] ?? ""}`);
  }
  return `${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n${refusal.body}`;
}

/** What of the bridge's own codes a proxy says with another status. */
function statusOf(error: DoorwardError): number {
  if (error instanceof DenialError) return 403;
  const { status } = error.entry;
  if (error.code === "TIMED_OUT") return 504;
  return status === 499 || status === 500 || status === 503 ? 502 : status;
}

function headerOf(error: DoorwardError): string {
  const kind = error instanceof DenialError ? "denied" : "failed";
  const rule = error instanceof DenialError ? `; rule=${structured(error.rule)}` : "";
  const command = error.hint?.startsWith("doorward ") === true ? error.hint : undefined;
  const allow = command === undefined ? "" : `; allow=${structured(command)}`;
  return `${kind}; code=${structured(error.code)}${rule}${allow}`;
}

function structured(text: string): string {
  const ascii = text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 500);
  return `"${ascii.replaceAll(/["\\]/g, "\\$&")}"`;
}

function pageOf(error: DoorwardError, accept: string): { readonly type: string; readonly body: string } {
  const rule = error instanceof DenialError ? error.rule : undefined;
  if (/\bjson\b/i.test(accept)) {
    const said = error.hint === undefined ? error.message : `${error.message} (on the host: ${error.hint})`;
    const body = { error: said, code: error.code, message: error.message, rule, hint: error.hint };
    return { type: "application/json", body: `${JSON.stringify(body)}\n` };
  }
  if (/text\/html/i.test(accept)) return { type: "text/html; charset=utf-8", body: htmlPage(error, rule) };
  const lines = [`${error.message} [${error.code}]`];
  if (rule !== undefined) lines.push(`Rule: ${rule}`);
  if (error.hint !== undefined) lines.push(`On the host: ${error.hint}`);
  const body = lines.map((line) => line.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?")).join("\n");
  return { type: "text/plain; charset=utf-8", body: `${body}\n` };
}

function htmlPage(error: DoorwardError, rule: string | undefined): string {
  const parts = [
    "<!doctype html><meta charset=utf-8><title>Doorward egress</title>",
    `<h1>${escaped(error.message)}</h1><p>Code: <code>${escaped(error.code)}</code></p>`,
  ];
  if (rule !== undefined) parts.push(`<p>Rule: <code>${escaped(rule)}</code></p>`);
  if (error.hint !== undefined) parts.push(`<p>On the host:</p><pre>${escaped(error.hint)}</pre>`);
  return `${parts.join("\n")}\n`;
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#39;"],
]);

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES.get(character) ?? "");
}
