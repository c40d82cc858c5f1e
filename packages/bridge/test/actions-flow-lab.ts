import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ActionEvent,
  CommandRule,
  EvidenceInput,
  HostActionResponse,
  Policy,
} from "@doorward/contracts";
import { pino } from "pino";
import { HostActions, type ActionAsker } from "../src/actions/index.ts";
import { HostClipboard } from "../src/actions/clipboard/index.ts";
import { ScopedFiles } from "../src/actions/files/index.ts";
import { HostsFile } from "../src/actions/hosts-file/index.ts";
import { HostCommands } from "../src/actions/run/index.ts";
import { ScopeJudge } from "../src/actions/scopes/index.ts";
import { Approvals } from "../src/approvals/index.ts";
import { openEvidence, type EvidenceLog } from "../src/evidence/index.ts";
import { Store } from "../src/store/index.ts";

const log = pino({ level: "silent" });

/** Host actions with everything real: store, evidence, approvals, judge, programs, files; in a folder of its own. */
export class FlowLab implements AsyncDisposable {
  readonly base: string;
  readonly files: string;
  readonly work: string;
  readonly hostsPath: string;
  readonly program: string;
  readonly records: EvidenceInput[] = [];
  /** Whether a record finds no room; asked before each. */
  failing: (input: EvidenceInput) => boolean = () => false;
  hash = `sha256:${"0".repeat(64)}`;
  policy: Policy;
  actions!: HostActions;
  approvals!: Approvals;
  #clipboardTools: readonly string[] = [];
  #store!: Store;
  #evidence!: EvidenceLog;

  private constructor(base: string) {
    this.base = base;
    this.files = join(base, "files");
    this.work = join(base, "work");
    this.hostsPath = join(base, "hosts");
    this.program = join(base, "bin", "tool");
    for (const folder of [this.files, this.work, join(this.base, "bin"), join(this.base, "empty")])
      mkdirSync(folder, { recursive: true, mode: 0o755 });
    writeFileSync(this.hostsPath, "127.0.0.1 localhost\n");
    writeFileSync(this.program, TOOL, { mode: 0o755 });
    const command = (word: string): CommandRule => ({
      ...{ words: [word], effect: "write" },
      operands: { min: 0, max: 1, value: { kind: "word" } },
    });
    this.policy = {
      version: 1,
      roots: [],
      actions: {
        files: [{ id: "notes", roots: [this.files], operations: ["mkdir", "writeFile", "remove"] }],
        processes: [
          {
            id: "tool",
            executables: [{ path: this.program, owner: "user" }],
            cwdRoots: [this.work],
            commands: ["say", "fail", "touch", "sleep"].map(command),
            environment: { request: ["COLOUR"] },
            timeoutSeconds: 120,
          },
        ],
        hosts: {},
        clipboard: { read: true },
        confirmSeconds: 300,
      },
    };
  }

  /** A new lab, or one over the folder of a killed one. */
  static async open(
    base = realpathSync(mkdtempSync(join(tmpdir(), "dw-flow-"))),
    { clipboardTools = [] }: { readonly clipboardTools?: readonly string[] } = {},
  ): Promise<FlowLab> {
    const lab = new FlowLab(base);
    lab.#clipboardTools = clipboardTools;
    await lab.start();
    return lab;
  }

  async start(): Promise<void> {
    const dir = join(this.base, "evidence");
    mkdirSync(dir, { recursive: true });
    this.#store = Store.open({ dir: this.base, log });
    this.#evidence = await openEvidence({ dir, origin: "doorward.local/test", log });
    const evidence = {
      append: async (input: EvidenceInput) => {
        if (this.failing(input)) throw new Error("no space left on device");
        const appended = await this.#evidence.append(input);
        this.records.push(input);
        return appended;
      },
      keyedDigest: (value: unknown) => this.#evidence.keyedDigest(value),
      argvDigest: (argv: readonly string[]) => this.#evidence.argvDigest(argv),
    };
    const shared = { store: this.#store, evidence, log };
    this.approvals = await Approvals.open({
      ...shared,
      policyHash: () => this.hash,
      bridgeSubject: "operator:doorward",
      notifier: null,
    });
    this.actions = await HostActions.open({
      ...shared,
      policy: this,
      approvals: this.approvals,
      parts: this.#parts(),
    });
  }

  #parts() {
    const host = {
      platform: "linux" as const,
      home: join(this.base, "home"),
      otherHomes: [],
      ownFolders: [join(this.base, "own")],
      engineSockets: [],
      caseInsensitive: false,
    };
    return {
      judge: new ScopeJudge({
        policy: () => this.policy,
        host,
        uid: process.getuid?.() ?? 0,
        env: {},
        writable: () => [],
        privateFolder: join(this.base, "empty"),
      }),
      runner: new HostCommands(),
      files: new ScopedFiles({
        scopes: this.policy.actions?.files ?? [],
        journalFolder: join(this.base, "journal"),
      }),
      hosts: new HostsFile({ path: this.hostsPath }),
      clipboard: new HostClipboard({
        env: this.#clipboardTools.length === 0 ? {} : { DISPLAY: ":no" },
        folders: this.#clipboardTools,
      }),
    };
  }

  /** An asker of a grant with these capabilities. */
  asker(...capabilities: string[]): ActionAsker {
    const { signal } = new AbortController();
    return {
      subject: "agent:codex:s1",
      via: "api",
      capabilities: new Set(capabilities),
      grant: { id: "g_abcdefghij234567", signal, check: () => undefined },
      machine: null,
      plugin: null,
    };
  }

  operator(): ActionAsker {
    return {
      ...{ subject: "operator:ada", via: "command", capabilities: "all" },
      ...{ grant: null, machine: null, plugin: null },
    } as const;
  }

  /** Asks, and answers whatever is asked for confirmation. */
  async perform(
    raw: unknown,
    answer: "approve" | "deny" | "wait" = "approve",
    asker = this.operator(),
    onEvent: (event: ActionEvent) => void = () => undefined,
  ): Promise<HostActionResponse> {
    return await this.actions.perform(asker, raw, new AbortController().signal, (event) => {
      onEvent(event);
      if (event.kind !== "waiting" || answer === "wait") return;
      void this.decide(event.approval, answer);
    });
  }

  async decide(id: string, answer: "approve" | "deny", seconds: number | null = null): Promise<void> {
    const pending = this.approvals.list().find((each) => each.id === id);
    if (pending === undefined) return;
    const by = { by: "operator:ada", where: "command" } as const;
    if (answer === "deny") await this.approvals.deny(id, by.by, null, by.where);
    else await this.approvals.approve(id, { digest: pending.digest, seconds, ...by });
  }

  read(path: string): string {
    return readFileSync(path, "utf8");
  }

  hostActions() {
    return this.records.filter((record) => record.type === "host-action");
  }

  async stop(): Promise<void> {
    await this.actions[Symbol.asyncDispose]();
    await this.approvals[Symbol.asyncDispose]();
    await this.#evidence[Symbol.asyncDispose]();
    this.#store[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.base, { recursive: true, force: true });
  }
}

const TOOL = `#!/bin/sh
case "$1" in
  say) echo "said $2"; exit 0 ;;
  fail) echo "failed $2" >&2; exit 3 ;;
  touch) : > "$PWD/$2"; exit 0 ;;
  sleep) sleep 600; exit 0 ;;
esac
`;
