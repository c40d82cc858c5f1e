import { mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DoorwardClient } from "@doorward/client";
import type { ActionEvent, HostActionResponse, PendingApproval } from "@doorward/contracts";
import { openLab, type Lab } from "./lab.ts";

type Failure = Extract<HostActionResponse, { ok: false }>;

/** Seconds after which nobody's answer is no, in a lab's policy: longer than any test takes to answer. */
export const CONFIRM_SECONDS = 300;

/** Every capability that the policy of a lab lets an agent have. */
export const CAPABILITIES = [
  ...["system.hosts.write", "system.fs.scope.notes", "system.fs.scope.free"],
  ...["system.process.exec", "system.process.scope.tool", "system.clipboard.read"],
];

/** A bridge whose policy has scopes of files and of one program. */
export interface ActionLab extends AsyncDisposable {
  readonly lab: Lab;
  /** Root of scope `notes`, whose writes are confirmed. */
  readonly notes: string;
  /** Root of scope `free`, which the policy lets be written without a confirmation. */
  readonly free: string;
  /** Working folder of scope `tool`. */
  readonly work: string;
  readonly program: string;
  /** Changes the policy file. */
  repolicy(change: (text: string) => string): void;
}

/** Opens it; the bridge starts with the first command. */
export async function openActionLab(): Promise<ActionLab> {
  const lab = await openLab({ policy: POLICY });
  const home = join(realpathSync(lab.root), "user");
  const [notes, free, work] = [join(home, "notes"), join(home, "free"), join(home, "work")];
  const program = join(home, "bin", "tool");
  for (const folder of [notes, free, work, join(home, "bin")]) mkdirSync(folder);
  writeFileSync(program, TOOL, { mode: 0o755 });
  const policyPath = join(lab.home, "config", "policy.yaml");
  let text = readFileSync(policyPath, "utf8");
  return {
    ...{ lab, notes, free, work, program },
    repolicy: (change) => {
      text = change(text);
      writeFileSync(policyPath, text, { mode: 0o600 });
    },
    [Symbol.asyncDispose]: async () => await lab[Symbol.asyncDispose](),
  };
}

/** A request to write one file of a scope. */
export function writeRequest(path: string, content: string, more: object = {}, scope = "notes") {
  const operations = [{ type: "writeFile", path, content }];
  return { action: "system.fs.mutate", payload: { scope, operations, ...more } };
}

/** A request to run the lab's program. */
export function execRequest({ program }: ActionLab, args: readonly string[], more: object = {}) {
  return { action: "system.process.exec", payload: { scope: "tool", command: program, args, ...more } };
}

/** A request for a workflow of the lab's program. */
export function workflowRequest({ program }: ActionLab, ...steps: readonly (readonly string[])[]) {
  return {
    action: "system.workflow.run",
    payload: {
      ...{ scope: "tool", kind: "process-sequence", title: "Some steps" },
      steps: steps.map((args, at) => ({ id: `s${at + 1}`, title: `Step ${at + 1}`, command: program, args })),
    },
  };
}

/** An action under way. */
export interface Asked {
  readonly events: readonly ActionEvent[];
  readonly done: Promise<HostActionResponse>;
  /** Id of the question that it waits for; throws when it ended before. */
  readonly waiting: Promise<string>;
}

/** Asks for an action, and answers nothing. */
export function ask(client: DoorwardClient, body: unknown, signal?: AbortSignal): Asked {
  const events: ActionEvent[] = [];
  let found: (id: string) => void = () => undefined;
  let gone: (error: Error) => void = () => undefined;
  const waiting = new Promise<string>((resolve, reject) => {
    [found, gone] = [resolve, reject];
  });
  waiting.catch(() => undefined);
  const onEvent = (event: ActionEvent): void => {
    events.push(event);
    if (event.kind === "waiting") found(event.approval);
  };
  const done = client.call("actions.run", { body }, { onEvent, signal });
  done.then(
    (response) => gone(new Error(`it never asked: ${JSON.stringify(response)}`)),
    (error: unknown) => gone(error instanceof Error ? error : new Error(String(error))),
  );
  return { events, done, waiting };
}

/** What waits under an id. */
export async function pendingOf(operator: DoorwardClient, approval: string): Promise<PendingApproval> {
  const { approvals } = await operator.call("approvals.list", {});
  const found = approvals.find(({ id }) => id === approval);
  if (found === undefined) throw new Error(`nothing waits as ${approval}`);
  return found;
}

/** Approves what waits, as the operator. */
export async function approve(operator: DoorwardClient, approval: string, time?: string): Promise<void> {
  const { digest } = await pendingOf(operator, approval);
  const body = time === undefined ? { digest } : { digest, for: time };
  await operator.call("approvals.approve", { params: { approval }, body });
}

/** What the newest records of a type say, newest first. */
export async function recorded<Predicate>(
  operator: DoorwardClient,
  type: "host-action" | "approval",
  limit = 12,
): Promise<Predicate[]> {
  const { records } = await operator.call("evidence.list", { query: { type, limit } });
  const shown = records.map(({ index }) => operator.call("evidence.show", { params: { index } }));
  return (await Promise.all(shown)).map(({ statement }) => (statement as { predicate: Predicate }).predicate);
}

/** The code of a failure; `done` for a success. */
export function codeOf(response: HostActionResponse): string {
  return response.ok ? "done" : ((response satisfies Failure).code ?? "none");
}

const POLICY = `profiles:
  default:
    doors:
      terminal:
        attach: { allowed: true, agents: control, maxTerminals: 32, maxViewers: 16, observers: true, scrollbackBytes: 2097152 }
grants:
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.attach, terminal.observe, terminal.input, terminal.exec, terminal.agent-exec]
    capabilities: [${CAPABILITIES.join(", ")}]
    for: 8h
actions:
  confirmSeconds: ${CONFIRM_SECONDS}
  files:
    - { id: notes, roots: [~/notes], operations: [mkdir, writeFile, appendFile, rename, remove] }
    - { id: free, roots: [~/free], operations: [writeFile], confirm: never }
  processes:
    - id: tool
      executables: [{ path: ~/bin/tool, owner: user }]
      cwdRoots: [~/work]
      commands:
        - { words: [say], effect: read, operands: { min: 0, max: 1, value: { kind: word } } }
        - { words: [touch], effect: write, operands: { min: 1, max: 1, value: { kind: word } } }
        - { words: [sleep], effect: write }
      timeoutSeconds: 120
`;

const TOOL = `#!/bin/sh
case "$1" in
  say) echo "said $2"; exit 0 ;;
  touch) : > "$PWD/$2"; exit 0 ;;
  sleep) echo $$ > "$PWD/sleep.pid"; (setsid sleep 97 &); sleep 97; exit 0 ;;
esac
exit 9
`;
