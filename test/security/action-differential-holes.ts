import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { absent, exec, files, hosts, preset, steps, type Row } from "./action-differential-requests.ts";

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

/** What the reference host let through, each refused. */
export const HOLES: readonly Row[] = [
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
      assert.deepEqual([timeoutCeilingMs, requestedTimeoutMs], [120_000, 86_400_000]);
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
