import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { ScopeViolation, type ActionPreset, type Policy, type ProcessScope } from "@doorward/contracts";
import { ActionError } from "../src/actions/action-error.ts";
import type { CommandPlan, CommandRequest } from "../src/actions/ports.ts";
import { ACTION_PRESET_SPECS } from "../src/actions/presets/index.ts";
import { ScopeJudge } from "../src/actions/scopes/index.ts";
import type { PathHost } from "../src/policy/path-host.ts";

/** The program and arguments of a command line of a preset; a line may start with one of several programs. */
export function commandLine(preset: ActionPreset, line: string): { program: string; args: string[] } {
  const programs = ACTION_PRESET_SPECS[preset].places.map((place) => basename(place));
  const words = line.split(" ").filter((word) => word !== "");
  const [first = ""] = words;
  return new Set(programs).size > 1 && programs.includes(first)
    ? { program: first, args: words.slice(1) }
    : { program: programs[0] ?? "", args: words };
}

/** A program, working folders and a judge of them, in a temp folder of their own. */
export class JudgeLab implements Disposable {
  readonly base = realpathSync(mkdtempSync(join(tmpdir(), "doorward-actions-")));
  readonly home = join(this.base, "home");
  readonly work = join(this.base, "work");
  readonly data = join(this.base, "data");
  readonly program = join(this.base, "bin", "tool");
  /** What running machines have mounted writable. */
  readonly writable: string[] = [];
  policy: Policy;

  constructor(change: Partial<ProcessScope> = {}) {
    for (const folder of [this.home, this.work, this.data, dirname(this.program)])
      mkdirSync(folder, { recursive: true, mode: 0o755 });
    chmodSync(this.base, 0o755);
    writeFileSync(this.program, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    this.policy = { version: 1, roots: [], actions: { processes: [{ ...this.scope(), ...change }] } };
  }

  scope(): ProcessScope {
    return {
      id: "tool",
      executables: [{ path: this.program, owner: "user" }],
      cwdRoots: [this.work],
      pathRoots: [this.data],
      environment: { request: ["COLOUR"], set: { MODE: "safe" }, inherit: ["SEEN"] },
      globalFlags: [{ names: ["-v", "--verbose"] }, { names: ["-n", "--name"], value: { kind: "word" } }],
      commands: [
        {
          words: ["list"],
          effect: "read",
          confirm: "never",
          flags: [
            { names: ["-a", "--all"] },
            { names: ["-f", "--filter"], value: { kind: "text", maxLength: 40 }, repeat: true },
            { names: ["--limit"], value: { kind: "integer", min: 1, max: 100 } },
            { names: ["--when"], value: { kind: "one-of", values: ["now", "later"] }, form: "joined" },
          ],
        },
        { words: ["list", "deep"], effect: "read" },
        {
          words: ["show"],
          effect: "read",
          separator: true,
          flags: [{ names: ["--from"], value: { kind: "path" } }],
          operands: { min: 1, max: 2, first: [{ kind: "word" }], value: { kind: "path" } },
        },
        { words: ["stop"], effect: "write", operands: { min: 1, max: 1, value: { kind: "name" } } },
      ],
      timeoutSeconds: 10,
      maxInputBytes: 16,
    };
  }

  host(platform: PathHost["platform"] = "linux"): PathHost {
    return {
      platform,
      home: this.home,
      otherHomes: [],
      ownFolders: [join(this.base, "own")],
      engineSockets: [],
      caseInsensitive: false,
    };
  }

  judge(platform?: PathHost["platform"]): ScopeJudge {
    return new ScopeJudge({
      policy: () => this.policy,
      host: this.host(platform),
      uid: userInfo().uid,
      env: { SEEN: "yes", LD_PRELOAD: "/x.so" },
      writable: () => this.writable,
      privateFolder: join(this.base, "own", "empty"),
    });
  }

  request(change: Partial<CommandRequest> = {}): CommandRequest {
    return {
      command: this.program,
      args: ["list"],
      cwd: null,
      env: {},
      timeoutMs: null,
      input: null,
      ...change,
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** Asserts that a command is refused, and answers its violation. */
export async function violation(work: Promise<CommandPlan>): Promise<ScopeViolation> {
  const error: unknown = await work.then(
    ({ args }) => assert.fail(`it passed: ${JSON.stringify(args)}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ActionError, String(error));
  assert.ok(["SCOPE_VIOLATION", "SCOPE_DENIED"].includes(error.failure.code), error.failure.code);
  return ScopeViolation.parse(error.failure.scopeViolation);
}
