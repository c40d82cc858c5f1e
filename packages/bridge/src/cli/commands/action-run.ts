import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError, type ActionEvent, type HostActionResponse } from "@doorward/contracts";
import type { Command } from "commander";
import { stringify } from "yaml";
import * as z from "zod";
import { approvalText } from "../approval-view.ts";
import { actsForGrant } from "../bridge-link.ts";
import type { Cli } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { escapeLine, escapeText } from "@doorward/client/operator";
import { parseOptions, usage } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";

const RunOptions = z.object({ dryRun: z.boolean().optional() });
const MAX_BYTES = 12_582_912;

/** `doorward action run`. */
export function defineActionRun(command: Command, cli: Cli): void {
  command
    .argument("<file>", "JSON of the request, or - for standard input")
    .option("--dry-run", "check and plan only, whatever the request says");
  const examples = ["doorward action run request.json --dry-run", "doorward action run - < request.json"];
  leaf(command, cli, examples, async (run, [file], given) => {
    const { dryRun } = parseOptions(RunOptions, given);
    const body = await readRequest(run, String(file), dryRun === true);
    await using client = await run.client();
    const over = new AbortController();
    const asking = { ...run, cli: { ...run.cli, signal: AbortSignal.any([run.cli.signal, over.signal]) } };
    const onEvent = (event: ActionEvent): void => void heard(asking, client, event, String(file) === "-");
    const { signal } = run.cli;
    const response = await client
      .call("actions.run", { body }, { signal, onEvent })
      .finally(() => over.abort());
    run.output.result(response, () => responseText(response));
    return response.ok ? 0 : exitCode(response);
  });
}

async function readRequest(run: Run, file: string, dryRun: boolean): Promise<unknown> {
  const text = file === "-" ? await readInput(run) : await readRequestFile(resolve(run.cli.cwd, file));
  if (text.length > MAX_BYTES) throw usage(`Cannot read the request: it is over ${MAX_BYTES} bytes`, "file");
  let request: unknown;
  try {
    request = JSON.parse(text);
  } catch (cause) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot read the request "${escapeLine(file)}": it is not JSON`,
      cause,
    });
  }
  return dryRun ? asDryRun(request) : request;
}

async function readRequestFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    const why = code === "ENOENT" ? "there is no such file" : code;
    throw usage(`Cannot read the request "${escapeLine(path)}": ${why}`, "file");
  }
}

/** The request with `dryRun`, also within its envelope; what has no place for it is refused instead of done. */
function asDryRun(request: unknown): unknown {
  if (!isRecord(request)) throw noDryRun();
  if (isRecord(request["payload"])) return { ...request, payload: { ...request["payload"], dryRun: true } };
  for (const name of ["request", "result", "content", "data"]) {
    if (isRecord(request[name])) return { ...request, [name]: asDryRun(request[name]) };
  }
  throw noDryRun();
}

function noDryRun(): DoorwardError {
  return usage("Cannot make this a dry run: it has no payload", "file");
}

async function readInput({ cli }: Run): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of cli.stdin) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > MAX_BYTES) throw usage(`Cannot read the request: it is over ${MAX_BYTES} bytes`, "file");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function heard(run: Run, client: DoorwardClient, event: ActionEvent, input: boolean): Promise<void> {
  const { output } = run;
  if (event.kind === "accepted") output.info(`Accepted as ${event.id}`);
  if (event.kind === "step")
    output.info(`Step ${event.index + 1} of ${event.total} ${event.step.title}: ${event.step.status}`);
  if (event.kind !== "waiting") return;
  output.note(output.commands(`Waits for a decision: doorward action approve ${event.approval}`));
  // Whoever acts for a grant can't decide; the operator at a terminal is asked here, and the queue is the same.
  if (actsForGrant(run.cli.env) || input || !canAsk(run.cli)) return;
  await decide(run, client, event.approval).catch((error: unknown) => {
    // Over by another's answer or by Ctrl-C: the command says how it ended.
    if (!run.cli.signal.aborted) output.note(error instanceof Error ? error.message : String(error));
  });
}

async function decide(run: Run, client: DoorwardClient, approval: string): Promise<void> {
  const { signal } = run.cli;
  const { approvals } = await client.call("approvals.list", {}, { signal });
  const pending = approvals.find(({ id }) => id === approval);
  if (pending === undefined) return;
  run.cli.stderr.write(`${approvalText(run.output, pending)}\n`);
  const yes = await confirm(run.cli, "Do exactly this?");
  const params = { approval };
  if (yes) await client.call("approvals.approve", { params, body: { digest: pending.digest } }, { signal });
  else await client.call("approvals.deny", { params, body: {} }, { signal });
}

function responseText(response: HostActionResponse): string {
  const { correlationId } = response;
  if (!response.ok)
    return `${response.code ?? "FAILED"}: ${escapeLine(response.error)} (${correlationId})${shown(response.details)}`;
  return `Done (${correlationId})${shown(response.result)}`;
}

/** A result for people: names and values by line, long texts as they are; all of it harmless to a terminal. */
function shown(value: unknown): string {
  if (value === undefined) return "";
  const text = stringify(value, { lineWidth: 0, blockQuote: "literal" }).trimEnd();
  return `\n${escapeText(text)}`;
}

/** A refusal is 3, as with every other command; a failure is 1. */
function exitCode({ code }: Extract<HostActionResponse, { ok: false }>): number {
  if (code === "VALIDATION_FAILED") return 2;
  return ["CAPABILITY_DENIED", "SCOPE_DENIED", "SCOPE_VIOLATION", "STEP_SCOPE_VIOLATION", "CANCELLED"].some(
    (refusal) => refusal === code,
  )
    ? 3
    : 1;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
