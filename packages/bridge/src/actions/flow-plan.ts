import type { ActionPolicy, HostActionRequest, HostsRecord } from "@doorward/contracts";
import { ActionError } from "./action-error.ts";
import {
  commandDone,
  commandFacts,
  commandRequest,
  commandShape,
  planState,
  processPlan,
} from "./flow-command.ts";
import { changeLines, commandLines, quotedLines } from "./flow-lines.ts";
import type { ActionDone, ActionFacts, PlanContext, Planned } from "./flow-ports.ts";
import { digestOf, scopeVersion } from "./flow-scope.ts";
import type { FileChange } from "./ports.ts";
import { planWorkflow } from "./workflow-plan.ts";

type Of<Action> = Extract<HostActionRequest, { readonly action: Action }>;

/** Plans a request within its scope, without effect. Throws an ActionError. */
export async function planAction(request: HostActionRequest, context: PlanContext): Promise<Planned> {
  const version = scopeVersion(context.policy(), request);
  const { reason } = request.payload;
  const plan = await planOf(request, context, version);
  return reason === undefined ? plan : { ...plan, lines: [...quotedLines("reason", reason), ...plan.lines] };
}

function planOf(request: HostActionRequest, context: PlanContext, version: string): Promise<Planned> {
  switch (request.action) {
    case "system.clipboard.read":
      return Promise.resolve(planClipboardRead(context, version));
    case "system.clipboard.write":
      return Promise.resolve(planClipboardWrite(request, context, version));
    case "system.hosts.write":
    case "system.host.write":
      return planHosts(request, context, version);
    case "system.fs.mutate":
      return planFiles(request, context, version);
    case "system.process.exec":
      return planCommand(request, context, version);
    case "system.workflow.run":
      return planWorkflow(request, context, version);
  }
}

function planClipboardRead(context: PlanContext, version: string): Planned {
  const clipboard = present(context.clipboard, "clipboard");
  return {
    ...plain(null, version, context.policy().actions?.clipboard?.confirmRead),
    title: "Read the clipboard",
    lines: ["its text is handed to whoever asks"],
    state: null,
    shape: { of: "system.clipboard.read" },
    facts: noFacts(1),
    preview: { dryRun: true },
    run: async ({ signal }) => {
      const text = await clipboard.read(signal);
      return { ...succeeded({ text }), bytes: Buffer.byteLength(text) };
    },
  };
}

function planClipboardWrite(
  { payload }: Of<"system.clipboard.write">,
  context: PlanContext,
  version: string,
): Planned {
  const clipboard = present(context.clipboard, "clipboard");
  const bytes = Buffer.byteLength(payload.text);
  return {
    ...plain(null, version, context.policy().actions?.clipboard?.confirmWrite),
    title: `Replace the clipboard by ${bytes} bytes`,
    lines: quotedLines("text", payload.text),
    state: null,
    shape: { of: { action: "system.clipboard.write", text: digestOf(payload.text) } },
    facts: noFacts(1),
    preview: { dryRun: true, bytesWritten: 0 },
    run: async ({ signal }) => {
      await clipboard.write(payload.text, signal);
      return { ...succeeded({ bytesWritten: bytes }), bytes };
    },
  };
}

async function planHosts(
  { payload }: Of<"system.hosts.write" | "system.host.write">,
  context: PlanContext,
  version: string,
): Promise<Planned> {
  const hosts = present(context.hosts, "hosts file");
  const policy = context.policy().actions?.hosts;
  checkSuffixes(payload.records, policy);
  const plan = await hosts.plan(context.owner, payload.tag ?? "default", payload.records);
  const shown = {
    scope: "etc-hosts",
    changed: plan.changed,
    changes: plan.changes,
    section: plan.section,
    hostsPath: plan.hostsPath,
  };
  const base = { action: "system.hosts.write", plan: shown };
  return {
    ...plain(null, version, policy?.confirm),
    title: `Change section "${plan.section}" of ${plan.hostsPath}`,
    lines: changeLines(plan.changes),
    state: { state: plan.state, section: plan.section, changed: plan.changed },
    shape: { of: { section: plan.section, records: plan.records } },
    facts: { ...noFacts(payload.records.length), target: plan.hostsPath, before: plan.state },
    preview: { ...base, dryRun: true },
    run: async ({ signal }) => {
      if (plan.changed) await hosts.apply(plan, signal);
      return succeeded({ ...base, dryRun: false, changed: plan.changed });
    },
  };
}

async function planFiles(
  { payload }: Of<"system.fs.mutate">,
  context: PlanContext,
  version: string,
): Promise<Planned> {
  const files = present(context.files, "file actions");
  const { scope, operations } = payload;
  const plan = await files.plan(scope, operations);
  const shown = {
    action: "system.fs.mutate",
    scope,
    operationCount: operations.length,
    changes: plan.changes,
  };
  const base = { action: "system.fs.mutate", scope };
  const bytes = operations.reduce((sum, each) => sum + ("content" in each ? each.content.length : 0), 0);
  return {
    ...plain(scope, version, plan.confirm),
    title: `Change files in scope "${scope}": ${operations.length} operation${operations.length === 1 ? "" : "s"}`,
    lines: changeLines(plan.changes),
    state: plan.state,
    shape: { of: { scope, operations: digestOf(operations) } },
    facts: { ...noFacts(operations.length), target: onlyPath(plan.changes), before: plan.state },
    preview: { ...base, dryRun: true, plan: shown },
    run: async ({ signal }) => {
      await files.apply(plan, signal);
      return { ...succeeded({ ...base, dryRun: false, plan: shown }), bytes };
    },
  };
}

async function planCommand(
  { payload }: Of<"system.process.exec">,
  context: PlanContext,
  version: string,
): Promise<Planned> {
  const { scope, env = {}, encoding = "utf8" } = payload;
  const plan = await context.judge.judge(scope, commandRequest(payload));
  return {
    ...plain(scope, version, plan.confirm),
    title: `Run ${plan.command} in scope "${scope}"`.slice(0, 300),
    lines: commandLines(plan, env),
    state: planState(plan),
    shape: commandShape([plan]),
    facts: commandFacts(plan),
    preview: processPlan(plan),
    run: async ({ signal }) => commandDone(plan, await context.runner.run(plan, signal), encoding),
  };
}

/** A success without numbers. */
function succeeded(result: unknown): ActionDone {
  return { result, failure: null, exitCode: null, stdoutBytes: 0, stderrBytes: 0, bytes: 0 };
}

/** Facts of what runs no program. */
function noFacts(operationCount: number): ActionFacts {
  return { program: null, argv: null, cwd: null, target: null, operationCount, before: null };
}

function plain(scope: string | null, scopeVersion: string, confirm: "always" | "never" = "always") {
  return { scope, scopeVersion, confirm, workflow: null };
}

function present<Part>(part: Part | null, what: string): Part {
  if (part !== null) return part;
  throw new ActionError({
    code: "ACTION_NOT_SUPPORTED",
    message: `Cannot do this: this host has no ${what} that Doorward can act on`,
  });
}

function onlyPath(changes: readonly FileChange[]): string | null {
  const [only, second] = changes;
  return second === undefined ? (only?.path ?? null) : null;
}

function checkSuffixes(records: readonly HostsRecord[], hosts: ActionPolicy["hosts"]): void {
  const suffixes = hosts?.suffixes?.map((suffix) => suffix.toLowerCase().replace(/^\./, ""));
  const fits = (name: string): boolean =>
    suffixes === undefined || suffixes.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
  const misfit = records.find(({ hostname }) => !fits(hostname.toLowerCase()));
  if (misfit === undefined) return;
  const message = `Cannot write the hosts file: "${misfit.hostname}" ends in none of the suffixes that the policy allows`;
  throw new ActionError({
    code: "SCOPE_VIOLATION",
    message,
    scopeViolation: { reason: "SCOPE_POLICY_VIOLATION", message },
  });
}
