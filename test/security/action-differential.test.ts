import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { ActionCode, HostActionResponse, ProcessScope, ScopeViolationReason } from "@doorward/contracts";
import {
  ACTION_CODES,
  HostActionResponse as Response,
  ScopeViolationReason as Reasons,
} from "@doorward/contracts";
import { actionPlaceProblems } from "../../packages/bridge/src/policy/action-places.ts";
import { FlowLab } from "../../packages/bridge/test/actions-flow-lab.ts";

/**
 * The reference host's codes and reasons, each reproduced by the whole flow, and what it let through, each refused. What
 * it answers stands in the first columns, so that a difference is seen here and not by its clients.
 */
interface Row {
  readonly name: string;
  readonly code: ActionCode;
  readonly reason?: ScopeViolationReason;
  readonly request: (lab: FlowLab) => unknown;
  readonly answer?: "approve" | "deny";
  /** Capabilities of the asker; the operator asks when absent. */
  readonly capabilities?: readonly string[];
  readonly skip?: string | false;
  readonly check?: (failure: Failure, lab: FlowLab) => void;
}
type Failure = Extract<HostActionResponse, { ok: false }>;

const exec = (lab: FlowLab, payload: object): unknown => ({
  action: "system.process.exec",
  payload: { scope: "tool", command: lab.program, ...payload },
});
const files = (...operations: object[]): unknown => ({
  action: "system.fs.mutate",
  payload: { scope: "notes", operations },
});
const hosts = (record: object): unknown => ({
  action: "system.hosts.write",
  payload: { records: [{ address: "10.0.0.1", hostname: "app.test", ...record }] },
});
const steps = (lab: FlowLab, ...asked: object[]): unknown => ({
  action: "system.workflow.run",
  payload: {
    ...{ scope: "tool", kind: "process-sequence", title: "Steps" },
    steps: asked.map((step, at) => ({ id: `s${at + 1}`, title: "A step", command: lab.program, ...step })),
  },
});
const preset = (scope: string, program: string, line: string): unknown => ({
  action: "system.process.exec",
  payload: { scope, command: `/usr/bin/${program}`, args: line.split(" ").filter((word) => word !== "") },
});
const inScope = (lab: FlowLab, scope: string): unknown => ({
  action: "system.process.exec",
  payload: { scope, command: join(lab.base, "bin", scope) },
});
const absent = (program: string): string | false =>
  existsSync(`/usr/bin/${program}`) ? false : `needs ${program}`;

const CODES: readonly Row[] = [
  {
    name: "an unknown action",
    code: "VALIDATION_FAILED",
    request: () => ({ action: "system.root", payload: {} }),
  },
  {
    name: "a missing capability",
    ...{ code: "CAPABILITY_DENIED", capabilities: ["system.process.exec"] },
    request: (lab) => exec(lab, { args: ["say"] }),
    check: ({ details }, lab) =>
      assert.deepEqual(details, {
        requiredCapabilities: ["system.process.exec", "system.process.scope.tool"],
        missingCapabilities: ["system.process.scope.tool"],
        ...{ scope: "tool", command: lab.program },
      }),
  },
  {
    name: "the clipboard's writer reads it",
    ...{ code: "CAPABILITY_DENIED", capabilities: ["system.clipboard.write"] },
    request: () => ({ action: "system.clipboard.read", payload: {} }),
  },
  {
    name: "a scope without a policy",
    ...{ code: "SCOPE_DENIED", reason: "SCOPE_NOT_CONFIGURED" },
    request: (lab) => exec(lab, { scope: "none" }),
  },
  {
    name: "a scope of files without a policy",
    ...{ code: "SCOPE_DENIED", reason: "SCOPE_NOT_CONFIGURED" },
    request: () => ({
      ...(files() as object),
      payload: { scope: "none", operations: [{ type: "remove", path: "/x" }] },
    }),
  },
  {
    name: "outside the policy",
    ...{ code: "SCOPE_VIOLATION", reason: "COMMAND_NOT_ALLOWLISTED" },
    request: (lab) => exec(lab, { command: "/bin/sh", args: ["-c", "id"] }),
  },
  {
    name: "a refused confirmation",
    ...{ code: "CANCELLED", answer: "deny" },
    request: (lab) => files({ type: "writeFile", path: join(lab.files, "no"), content: "x" }),
    check: (_, lab) => assert.equal(existsSync(join(lab.files, "no")), false),
  },
  {
    name: "a program over its time",
    code: "TIMEOUT",
    request: (lab) => exec(lab, { args: ["sleep"], timeoutMs: 300 }),
  },
  {
    name: "an exit that is not 0",
    code: "PROCESS_EXIT_NON_ZERO",
    request: (lab) => exec(lab, { args: ["fail", "x"] }),
    check: ({ result }) => {
      const { exitCode, stderr, timedOut, dryRun } = result as Record<string, unknown>;
      assert.deepEqual([exitCode, stderr, timedOut, dryRun], [3, "failed x\n", false, false]);
    },
  },
  {
    name: "a program that is not there",
    code: "PROCESS_SPAWN_ENOENT",
    request: (lab) => inScope(lab, "gone"),
  },
  {
    name: "an interpreter that may not be executed",
    code: "PROCESS_SPAWN_PERMISSION_DENIED",
    request: (lab) => inScope(lab, "locked"),
  },
  { name: "what no loader understands", code: "OS_ERROR", request: (lab) => inScope(lab, "noise") },
  {
    name: "a folder that is not there",
    code: "OS_ERROR",
    request: (lab) => files({ type: "writeFile", path: join(lab.files, "none", "x"), content: "x" }),
  },
  {
    name: "a clipboard that can't be read",
    ...{ code: "CLIPBOARD_READ_FAILED", skip: absent("xclip") },
    request: () => ({ action: "system.clipboard.read", payload: {} }),
  },
  {
    name: "a clipboard that can't be written",
    ...{ code: "CLIPBOARD_WRITE_FAILED", skip: absent("xclip") },
    request: () => ({ action: "system.clipboard.write", payload: { text: "x" } }),
  },
  {
    name: "a step outside the policy",
    ...{ code: "STEP_SCOPE_VIOLATION", reason: "ARGUMENT_NOT_ALLOWED" },
    request: (lab) => steps(lab, { args: ["touch", "made"] }, { args: ["evil"] }),
    check: ({ details }, lab) => {
      assert.deepEqual(statuses(details), ["skipped", "failed SCOPE_VIOLATION"]);
      assert.equal(existsSync(join(lab.work, "made")), false);
    },
  },
  {
    name: "a step over its time",
    code: "STEP_TIMEOUT",
    request: (lab) => steps(lab, { args: ["sleep"], timeoutMs: 300 }, { args: ["say"] }),
    check: ({ details }) => assert.deepEqual(statuses(details), ["failed TIMEOUT", "skipped"]),
  },
  {
    name: "a step that fails",
    code: "STEP_FAILED",
    request: (lab) => steps(lab, { args: ["say"] }, { args: ["fail"] }),
    check: ({ details }) => assert.deepEqual(statuses(details), ["completed", "failed EXIT_CODE"]),
  },
  {
    name: "a step whose program is not there",
    code: "STEP_PROCESS_SPAWN_ENOENT",
    request: (lab) => stepsIn(lab, "gone"),
    check: ({ details }) => assert.deepEqual(statuses(details), ["failed PROCESS_SPAWN_ENOENT"]),
  },
  {
    name: "a step whose interpreter is not there",
    code: "STEP_PROCESS_SPAWN_ENOENT",
    request: (lab) => stepsIn(lab, "lost"),
    check: ({ details }) => assert.deepEqual(statuses(details), ["failed PROCESS_SPAWN_ENOENT"]),
  },
  {
    name: "a step whose interpreter may not be executed",
    code: "STEP_PROCESS_SPAWN_PERMISSION_DENIED",
    request: (lab) => stepsIn(lab, "locked"),
  },
  { name: "a step that the host can't run", code: "STEP_OS_ERROR", request: (lab) => stepsIn(lab, "noise") },
  {
    name: "a forwarded failure of a plugin's backend",
    code: "PLUGIN_BACKEND_HANDLER_FAILED",
    request: () => ({ success: false, error: "no handler" }),
  },
];

const REASONS: readonly Row[] = [
  {
    name: "COMMAND_PATH_NOT_ABSOLUTE",
    request: (lab: FlowLab) => exec(lab, { command: "C:\\tools\\tool.exe" }),
  },
  { name: "CWD_PATH_NOT_ABSOLUTE", request: (lab: FlowLab) => exec(lab, { args: ["say"], cwd: "C:\\work" }) },
  { name: "CWD_OUTSIDE_ALLOWED_ROOTS", request: (lab: FlowLab) => exec(lab, { args: ["say"], cwd: "/etc" }) },
  {
    name: "ENV_KEYS_NOT_ALLOWED",
    request: (lab: FlowLab) => exec(lab, { args: ["say"], env: { OTHER: "x" } }),
  },
  {
    name: "TIMEOUT_EXCEEDS_SCOPE_CEILING",
    request: (lab: FlowLab) => exec(lab, { args: ["say"], timeoutMs: 20_001 }),
  },
  { name: "ARGUMENT_POLICY_VIOLATION", request: (lab: FlowLab) => exec(lab, { args: [] }) },
  { name: "ARGUMENT_NOT_ALLOWED", request: (lab: FlowLab) => exec(lab, { args: ["say", "--loud"] }) },
  {
    name: "ARGUMENT_PATH_REQUIRES_ABSOLUTE",
    request: (lab: FlowLab) => exec(lab, { args: ["see", "a.txt"] }),
  },
  {
    name: "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS",
    request: (lab: FlowLab) => exec(lab, { args: ["see", "/etc/passwd"] }),
  },
  {
    name: "SCOPE_POLICY_VIOLATION",
    request: (lab: FlowLab) => exec(lab, { args: ["say"], input: "more than none" }),
  },
].map(
  ({ name, request }) => ({ name, code: "SCOPE_VIOLATION", reason: Reasons.parse(name), request }) as const,
);

/** Weak spot 1: lines that the reference host's lists of first words let through. */
const SMUGGLED: readonly (readonly [string, string])[] = [
  ["podman", "container run --rm alpine id"],
  ["podman", "container exec web sh"],
  ["podman", "compose run web sh"],
  ["podman", "--log-level debug run alpine"],
  ["podman", "run alpine"],
  ["podman", "exec web sh"],
  ["podman", ""],
  ["podman", "container run -v /:/h alpine"],
  ["podman", "inspect --format {{.Config.Env}} web"],
  ["git", "clone --upload-pack=/tmp/x https://example.org/a"],
  ["git", "fetch --upload-pack /tmp/x"],
  ["git", "log --output=/etc/cron.d/x"],
  ["git", "-c core.sshCommand=/tmp/x status"],
  ["git", "--exec-path=/tmp status"],
  ["git", "credential fill"],
  ["git", "diff --ext-diff"],
];

const HOLES: readonly Row[] = [
  ...SMUGGLED.map(([program, line]): Row => ({
    name: `${program} ${line === "" ? "without arguments" : line}`,
    ...{ code: "SCOPE_VIOLATION", skip: absent(program) },
    request: () => preset(program, program, line),
  })),
  {
    name: "a link within the root (weak spot 2)",
    code: "SCOPE_VIOLATION",
    request: (lab) => files({ type: "writeFile", path: join(lab.files, "link", "evil"), content: "x" }),
    check: () => assert.equal(existsSync("/etc/evil"), false),
  },
  {
    name: "a dry run through a link within the root (weak spot 2)",
    code: "SCOPE_VIOLATION",
    request: (lab) => ({
      action: "system.fs.mutate",
      payload: {
        ...{ scope: "notes", dryRun: true },
        operations: [{ type: "writeFile", path: join(lab.files, "link", "evil"), content: "x" }],
      },
    }),
  },
  {
    name: "a working folder through a link",
    ...{ code: "SCOPE_VIOLATION", reason: "CWD_OUTSIDE_ALLOWED_ROOTS" },
    request: (lab) => exec(lab, { args: ["say"], cwd: join(lab.work, "link") }),
  },
  ...["\n127.0.0.1 bank.example", "\r\n::1 x", "a\u2028b", "a\u0085b"].map((comment): Row => ({
    name: `a comment with ${JSON.stringify(comment)} (weak spot 3)`,
    code: "VALIDATION_FAILED",
    request: () => hosts({ comment }),
  })),
  {
    name: "a time over the ceiling is not clamped (weak spot 4)",
    ...{ code: "SCOPE_VIOLATION", reason: "TIMEOUT_EXCEEDS_SCOPE_CEILING" },
    request: (lab) => exec(lab, { args: ["say"], timeoutMs: 86_400_000 }),
    check: ({ details }) => {
      const { timeoutCeilingMs, requestedTimeoutMs } = details?.["scopeViolation"] as Record<string, unknown>;
      assert.deepEqual([timeoutCeilingMs, requestedTimeoutMs], [20_000, 86_400_000]);
    },
  },
  ...["PATH", "LD_PRELOAD", "GIT_SSH_COMMAND", "GIT_ASKPASS", "DOCKER_HOST", "BASH_ENV"].map((key): Row => ({
    name: `${key}, though the policy lists it (weak spot 6)`,
    ...{ code: "SCOPE_VIOLATION", reason: "ENV_KEYS_NOT_ALLOWED" },
    request: (lab) => exec(lab, { args: ["say"], env: { [key]: "/tmp/x" } }),
    check: ({ details }) =>
      assert.deepEqual((details?.["scopeViolation"] as { deniedEnvKeys: unknown }).deniedEnvKeys, [key]),
  })),
  {
    name: "a NUL byte in the command",
    code: "VALIDATION_FAILED",
    request: (lab) => exec(lab, { command: `${lab.program}\u0000/bin/sh` }),
  },
  {
    name: "a NUL byte in an argument",
    code: "VALIDATION_FAILED",
    request: (lab) => exec(lab, { args: ["say", "a\u0000b"] }),
  },
  {
    name: "a NUL byte in a path",
    code: "VALIDATION_FAILED",
    request: (lab) => files({ type: "remove", path: `${lab.files}/a\u0000` }),
  },
  {
    name: ".. in a path",
    code: "SCOPE_VIOLATION",
    request: (lab) => files({ type: "writeFile", path: `${lab.files}/../outside`, content: "x" }),
    check: (_, lab) => assert.equal(existsSync(join(lab.base, "outside")), false),
  },
  {
    name: ".. in a command",
    ...{ code: "SCOPE_VIOLATION", reason: "COMMAND_NOT_ALLOWLISTED" },
    request: (lab) => exec(lab, { command: `${lab.base}/bin/../../../bin/sh` }),
  },
  {
    name: "shell: true",
    code: "VALIDATION_FAILED",
    request: (lab) => exec(lab, { args: ["say"], shell: true }),
  },
  {
    name: "an unknown field of a step",
    code: "VALIDATION_FAILED",
    request: (lab) => steps(lab, { args: ["say"], shell: true }),
  },
  {
    name: "an unknown field of an operation",
    code: "VALIDATION_FAILED",
    request: (lab) => files({ type: "remove", path: `${lab.files}/a`, follow: true }),
  },
  { name: "env: null", code: "VALIDATION_FAILED", request: (lab) => exec(lab, { args: ["say"], env: null }) },
  {
    name: "env: undefined of a caller in the same process",
    code: "VALIDATION_FAILED",
    request: (lab) => exec(lab, { args: ["say"], env: undefined }),
  },
  {
    name: "a mode as text",
    code: "VALIDATION_FAILED",
    request: (lab) => files({ type: "writeFile", path: `${lab.files}/a`, content: "x", mode: "777" }),
  },
  {
    name: "a setuid mode",
    code: "VALIDATION_FAILED",
    request: (lab) => files({ type: "writeFile", path: `${lab.files}/a`, content: "x", mode: 0o4755 }),
  },
  {
    name: "removing / and all it holds",
    code: "SCOPE_VIOLATION",
    request: () => files({ type: "remove", path: "/", recursive: true, force: true }),
  },
  {
    name: "removing the root of the scope",
    code: "SCOPE_VIOLATION",
    request: (lab) => files({ type: "remove", path: lab.files, recursive: true, force: true }),
  },
  ...["-", "a..b", ".a", "a.", "a b", "-a.test"].map((hostname): Row => ({
    name: `the host name "${hostname}"`,
    code: "VALIDATION_FAILED",
    request: () => hosts({ hostname }),
  })),
  ...[":::::", "cafe", "1.2.3", "256.1.1.1", "1.2.3.4 x"].map((address): Row => ({
    name: `the address "${address}"`,
    code: "VALIDATION_FAILED",
    request: () => hosts({ address }),
  })),
  {
    name: "a Windows path on this host",
    code: "SCOPE_VIOLATION",
    request: () => files({ type: "writeFile", path: "C:\\Users\\x", content: "x" }),
  },
  {
    name: "a payload that is an array",
    code: "VALIDATION_FAILED",
    request: () => ({ action: "system.clipboard.read", payload: [] }),
  },
  {
    name: "5 MB for the clipboard",
    code: "VALIDATION_FAILED",
    request: () => ({ action: "system.clipboard.write", payload: { text: "x".repeat(5_000_000) } }),
  },
  {
    name: "more steps than anybody can read",
    code: "VALIDATION_FAILED",
    request: (lab) => steps(lab, ...Array.from({ length: 51 }, () => ({ args: ["say"] }))),
  },
  {
    name: "an upper-case scope",
    code: "VALIDATION_FAILED",
    request: (lab) => exec(lab, { scope: "TOOL" }),
  },
  {
    name: "two steps of one id",
    code: "VALIDATION_FAILED",
    request: (lab) => steps(lab, { id: "a" }, { id: "a" }),
  },
];

function statuses(details: Failure["details"]): string[] {
  const listed = details?.["steps"] as { status: string; code?: string }[];
  return listed.map(({ status, code }) => (code === undefined ? status : `${status} ${code}`));
}

function stepsIn(lab: FlowLab, scope: string): unknown {
  return {
    action: "system.workflow.run",
    payload: {
      ...{ scope, kind: "process-sequence", title: "Steps" },
      steps: [{ id: "s1", title: "A step", command: join(lab.base, "bin", scope) }],
    },
  };
}

/** A binary of the system that may not be executed: a library of this process. */
function library(): string {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  return sharedObjects.find((path) => path.startsWith("/") && (statSync(path).mode & 0o111) === 0) ?? "/none";
}

/** Scopes with one program each, whose starting fails in one way each. */
function oddScopes(lab: FlowLab): ProcessScope[] {
  const programs = {
    gone: null,
    locked: `#!${library()}\n`,
    lost: "#!/usr/bin/env doorward-no-such-interpreter\n",
    noise: "not a program\n",
  };
  return Object.entries(programs).map(([id, text]) => {
    const path = join(lab.base, "bin", id);
    if (text !== null) writeFileSync(path, text, { mode: 0o755 });
    const commands = [{ words: [], effect: "write" as const }];
    return { id, executables: [{ path, owner: "user" }], cwdRoots: [lab.work], commands, timeoutSeconds: 5 };
  });
}

/** The tool of the lab with more commands, and with keys in its list that no policy can open. */
function toolScope(lab: FlowLab): ProcessScope[] {
  const see = {
    words: ["see"],
    effect: "read" as const,
    operands: { min: 1, max: 1, value: { kind: "path" as const } },
  };
  const words = ["flood", "daemon"].map((word) => ({ words: [word], effect: "write" as const }));
  const keys = ["PATH", "LD_PRELOAD", "GIT_SSH_COMMAND", "GIT_ASKPASS", "DOCKER_HOST", "BASH_ENV"];
  return (lab.policy.actions?.processes ?? []).map((scope) => ({
    ...scope,
    commands: [...scope.commands, see, ...words],
    pathRoots: [lab.work],
    environment: { request: keys },
    maxOutputBytes: 4096,
  }));
}

const TOOL = `#!/bin/sh
case "$1" in
  say) echo "said $2"; exit 0 ;;
  fail) echo "failed $2" >&2; exit 3 ;;
  touch) : > "$PWD/$2"; exit 0 ;;
  sleep) sleep 30; exit 0 ;;
  flood) head -c 20000000 /dev/zero; exit 0 ;;
  daemon) (setsid sh -c 'echo $$ > "$0/daemon.pid"; sleep 61; : > "$0/outlived"' "$PWD" >/dev/null 2>&1 &); sleep 1; exit 0 ;;
esac
`;

function alive(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

describe("beside the reference host", { timeout: 600_000 }, () => {
  let lab: FlowLab;

  before(async () => {
    lab = await FlowLab.open(undefined, { clipboardTools: ["/usr/bin"] });
    writeFileSync(lab.program, TOOL, { mode: 0o755 });
    mkdirSync(join(lab.base, "home"), { recursive: true });
    for (const folder of [lab.files, lab.work]) symlinkSync("/etc", join(folder, "link"));
    const actions = {
      ...lab.policy.actions,
      processes: [...toolScope(lab), ...oddScopes(lab)],
      presets: [{ preset: "podman" }, { preset: "git" }] as const,
      clipboard: { read: true, write: true },
    };
    lab.policy = { ...lab.policy, actions: { ...actions, presets: [...actions.presets] } };
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const ask = async ({ request, answer, capabilities, code }: Row): Promise<Failure> => {
    const asker = capabilities === undefined ? lab.operator() : lab.asker(...capabilities);
    const asked: string[] = [];
    const response = await lab.perform(request(lab), answer ?? "approve", asker, ({ kind }) =>
      asked.push(kind),
    );
    assert.ok(Response.safeParse(JSON.parse(JSON.stringify(response))).success);
    assert.ok(!response.ok, JSON.stringify(response));
    if (["VALIDATION_FAILED", "CAPABILITY_DENIED", "SCOPE_DENIED", "SCOPE_VIOLATION"].includes(code))
      assert.deepEqual(asked, [], "what is refused is never put to a person");
    return response;
  };

  for (const [title, rows] of [
    ["codes", CODES],
    ["reasons", REASONS],
    ["holes that are closed", HOLES],
  ] as const) {
    describe(title, () => {
      for (const row of rows) {
        it(
          `${row.name}: ${row.code}${row.reason === undefined ? "" : ` (${row.reason})`}`,
          { skip: row.skip ?? false },
          async () => {
            const failure = await ask(row);
            assert.equal(failure.code, row.code, failure.error);
            const violation = failure.details?.["scopeViolation"] as { reason: string } | undefined;
            if (row.reason !== undefined) assert.equal(violation?.reason, row.reason, failure.error);
            if (row.code === "SCOPE_VIOLATION") assert.ok(Reasons.safeParse(violation?.reason).success);
            row.check?.(failure, lab);
          },
        );
      }
    });
  }

  describe("and", () => {
    it("CLIPBOARD_UNSUPPORTED is what a host without a session answers", async () => {
      await using bare = await FlowLab.open();
      const response = await bare.perform({ action: "system.clipboard.read", payload: {} });
      assert.equal(!response.ok && response.code, "CLIPBOARD_UNSUPPORTED");
    });

    it("HOST_ACTION_FAILED is the 21st action of one asker at once", async () => {
      const waiting = new AbortController();
      const request = exec(lab, { args: ["say"] });
      const begun = Array.from({ length: 20 }, () =>
        lab.actions.perform(lab.operator(), request, waiting.signal),
      );
      await until(() => lab.approvals.list().length === 20);
      const response = await lab.perform(request);
      waiting.abort();
      await Promise.all(begun);
      assert.equal(!response.ok && response.code, "HOST_ACTION_FAILED");
    });

    it("a time of half a millisecond ends the program", async () => {
      const response = await lab.perform(exec(lab, { args: ["sleep"], timeoutMs: 0.5 }));
      assert.equal(!response.ok && response.code, "TIMEOUT");
    });

    it("a grandchild in a session of its own is dead when the action ends (weak spot 5)", async () => {
      const response = await lab.perform(exec(lab, { args: ["daemon"] }));
      assert.ok(response.ok, JSON.stringify(response));
      assert.match(readFileSync(join(lab.work, "daemon.pid"), "utf8"), /^\d+\n$/);
      await until(() => processesWith(lab.work) === 0);
      assert.equal(existsSync(join(lab.work, "outlived")), false);
    });

    it("20 MB of output are cut at the scope's limit, and says so (weak spot 5)", async () => {
      const response = await lab.perform(exec(lab, { args: ["flood"] }));
      assert.ok(response.ok, JSON.stringify(response).slice(0, 300));
      const { stdout, truncated } = response.result as { stdout: string; truncated: boolean };
      assert.deepEqual([stdout.length, truncated], [4096, true]);
    });

    it("a file scope of all of /etc is refused when the policy is loaded (weak spot 6)", () => {
      const scope = { id: "etc-hosts", roots: ["/etc"], operations: ["writeFile" as const] };
      const host = {
        ...{ platform: "linux" as const, home: join(lab.base, "home"), otherHomes: [], ownFolders: [] },
        ...{ engineSockets: [], caseInsensitive: false },
      };
      const problems = actionPlaceProblems({ version: 1, roots: [], actions: { files: [scope] } }, host);
      assert.equal(problems.length, 1, JSON.stringify(problems));
    });

    it("every code of the contract has a row, but those that only a running step or another host can give", () => {
      const elsewhere = [
        ...["CLIPBOARD_UNSUPPORTED", "HOST_ACTION_FAILED"],
        // A cancelled workflow, see actions-confirmation; a host without a part.
        ...["STEP_CANCELLED", "ACTION_NOT_SUPPORTED"],
      ];
      const seen = new Set<string>([...CODES, ...REASONS, ...HOLES].map(({ code }) => code));
      assert.deepEqual(ACTION_CODES.filter((code) => !seen.has(code)).sort(), elsewhere.sort());
      const reasons = new Set([...CODES, ...REASONS, ...HOLES].map(({ reason }) => reason));
      assert.deepEqual(
        Reasons.options.filter((reason) => !reasons.has(reason)),
        [],
      );
    });

    it("nothing of all this was left on the host", () => {
      assert.deepEqual(readdirSync(lab.files), ["link"]);
      assert.deepEqual(lab.approvals.list(), []);
      assert.equal(lab.read(lab.hostsPath), "127.0.0.1 localhost\n");
    });
  });
});

function processesWith(text: string): number {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.filter((id) => {
    try {
      return alive(id) && readFileSync(`/proc/${id}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  }).length;
}

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 4800; round += 1) {
    if (holds()) return;
    await delay(25);
  }
  assert.fail("never");
}
