import type { ActionEvent, ActionStep, EvidencePredicate, Policy } from "@doorward/contracts";
import type {
  ActionFailure,
  Clipboard,
  CommandJudge,
  CommandRunner,
  FileActions,
  HostsActions,
} from "./ports.ts";

/** Who asks for an action, as whoever took the request established it. */
export interface ActionAsker {
  readonly subject: string;
  readonly via: EvidencePredicate<"host-action">["via"];
  /** Capabilities that it holds; `all` is the operator's, on the bridge's own socket, whom the scopes bound alone. */
  readonly capabilities: ReadonlySet<string> | "all";
  /** The grant that carries them; null for the operator. */
  readonly grant: AskerGrant | null;
  readonly machine: { readonly id: string; readonly name: string } | null;
  /** Set where a person confirms whatever would be done, also what a scope lets do unasked. */
  readonly confirm?: "always";
  readonly plugin: EvidencePredicate<"host-action">["plugin"];
}

/** A grant that an action runs under, and that cuts it when it ends. */
export interface AskerGrant {
  readonly id: string;
  readonly signal: AbortSignal;
  /** Throws when the grant is over. */
  check(): void;
}

/** What can be acted on; null for what this host does not have. */
export interface ActionParts {
  readonly judge: CommandJudge;
  readonly runner: CommandRunner;
  readonly files: FileActions | null;
  readonly hosts: HostsActions | null;
  readonly clipboard: Clipboard | null;
}

/** What planning works with. */
export interface PlanContext extends ActionParts {
  readonly policy: () => Policy;
  readonly subject: string;
  /** Who a section of the hosts file belongs to. */
  readonly owner: string;
  readonly correlationId: string;
  /** Id of a workflow's run; the same when it is planned again. */
  readonly workflowId: string;
}

/** What evidence says of a plan and of what became of it; contents are there by digest and length alone. */
export interface ActionFacts {
  readonly program: string | null;
  readonly argv: readonly string[] | null;
  readonly cwd: string | null;
  readonly target: string | null;
  readonly operationCount: number;
  readonly before: unknown;
}

/** How an action went. */
export interface ActionDone {
  readonly result: unknown;
  /** Null when it succeeded. */
  readonly failure: (ActionFailure & { readonly details?: Readonly<Record<string, unknown>> }) | null;
  readonly exitCode: number | null;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** Bytes read from or written to clipboard or files. */
  readonly bytes: number;
}

/** What running a plan is given. */
export interface RunContext {
  readonly signal: AbortSignal;
  /** Throws an ActionError when the grant is over or the scope is not the approved one any more. */
  recheck(): void;
  /** Keeps and records how far a workflow came, durably, before it resolves. */
  stepped(index: number, step: ActionStep, done: StepDone | null): Promise<void>;
}

/** What evidence says of a step's end. */
export interface StepDone {
  readonly facts: ActionFacts;
  readonly done: Omit<ActionDone, "result">;
}

/** An allowed action, ready to be shown, confirmed and run. */
export interface Planned {
  readonly scope: string | null;
  /** Digest of the scope as the policy has it. */
  readonly scopeVersion: string;
  readonly confirm: "always" | "never";
  readonly title: string;
  /** The full effect, line by line. */
  readonly lines: readonly string[];
  /** What it was planned on, as JSON; right before it runs it must be this again. */
  readonly state: unknown;
  /** What an approval for a time covers; null when it covers this once alone. */
  readonly shape: { readonly of: unknown } | null;
  readonly facts: ActionFacts;
  readonly workflow: {
    readonly id: string;
    readonly title: string;
    readonly steps: readonly ActionStep[];
  } | null;
  /** The answer to a dry run. */
  readonly preview: unknown;
  run(context: RunContext): Promise<ActionDone>;
}

/** Hears how an action goes on. */
export type ActionListener = (event: ActionEvent) => void;
