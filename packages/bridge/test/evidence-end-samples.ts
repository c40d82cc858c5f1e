import type { EvidenceInput } from "@doorward/contracts";
import { common } from "../../../test/evidence/support.ts";
import { session, sha } from "./evidence-samples.ts";

const beganAt = "2026-11-21T10:00:00.000Z";
const unknown = { outcome: "bridge-lost", durationMs: 0, beganAt } as const;
const agent = {
  ...common,
  machine: common.machine,
  subject: "agent:codex:42",
  session: "s_aaaaaaaaaa",
  execution: "agent",
} as const;
const call = {
  type: "tool-call",
  ...agent,
  ...unknown,
  door: "agent-tool",
  client: "codex",
  transport: "stdio",
  registryGrant: null,
  arguments: sha,
  code: "BRIDGE_LOST",
  result: null,
  resultBytes: 0,
  exitCode: null,
  approval: null,
} as const;

/** Records of what a bridge was killed in, as the next one writes them, and how their lines read. */
export const lostSamples: readonly (readonly [EvidenceInput, RegExp])[] = [
  [
    { ...call, tool: "run_command", effect: "runs", program: "npm", target: "/workspace/demo" },
    /^agent:codex:42 began to run npm in demo: not known how it ended, the bridge was lost$/,
  ],
  [
    { ...call, tool: "write_file", effect: "changes", program: null, target: "/workspace/demo/a" },
    /^agent:codex:42 began to write \/workspace\/demo\/a in demo: not known how it ended, the bridge was lost/,
  ],
  [
    { ...call, tool: "host_run_command", effect: "acts", program: null, target: null },
    /^agent:codex:42 began to call host_run_command in demo: not known how it ended, the bridge was lost/,
  ],
  [
    {
      type: "command",
      ...agent,
      ...unknown,
      program: "sshd",
      argvDigest: sha,
      argumentCount: 2,
      cwd: null,
      exitCode: null,
      signal: null,
      stdoutBytes: 0,
      stderrBytes: 0,
      detail: null,
    },
    /^agent:codex:42 ran sshd in demo: not known how it ended, the bridge was lost$/,
  ],
  [
    {
      type: "session-close",
      ...session,
      reason: "BRIDGE_LOST",
      durationMs: 0,
      bytesIn: 0,
      bytesOut: 0,
      exitCode: null,
      transcript: null,
    },
    /^operator:tester left terminal of demo: not known when, the bridge was lost \(BRIDGE_LOST\)$/,
  ],
  [
    { type: "forward", ...agent, ...unknown, port: 3000, code: "BRIDGE_LOST" },
    /^agent:codex:42 asked for a connection to port 3000 of demo: not known how it ended, the bridge was lost$/,
  ],
];

const { beganAt: _beganAt, ...known } = call;
const ended = { ...known, outcome: "completed", code: null, effect: "runs", durationMs: 10 } as const;
const noObject = { program: null, target: null } as const;

/** Records of the same types that read in other words. */
export const otherWords: readonly (readonly [EvidenceInput, RegExp])[] = [
  [
    { ...ended, tool: "run_command", program: "npm", target: "/workspace/demo" },
    /^agent:codex:42 started npm in the background in demo in 0\.0s$/,
  ],
  [
    { ...ended, tool: "run_command", program: "npm", target: null, exitCode: 137 },
    /^agent:codex:42 ran npm in demo \(exit 137\) in 0\.0s$/,
  ],
  [
    { ...ended, ...noObject, tool: "command_output", effect: "reads", exitCode: 0 },
    /^agent:codex:42 looked at a command's output in demo \(exit 0\) in 0\.0s$/,
  ],
  [
    {
      ...ended,
      ...noObject,
      tool: "stop_command",
      outcome: "failed",
      code: "INPUT_INVALID",
    },
    /^agent:codex:42 tried to stop a command in demo in 0\.0s, which failed: INPUT_INVALID$/,
  ],
  [
    {
      type: "approval",
      ...common,
      approval: "a_aaaaaaaaaa",
      operation: "egress.open",
      requestedBy: "agent:codex:42",
      requestedAt: "2026-11-21T10:00:00.000Z",
      request: sha,
      shape: null,
      decision: "withdrawn",
      expiresAt: null,
      where: "time",
      reason: "whoever asked went away",
    },
    /^nobody had to decide about egress\.open for agent:codex:42: whoever asked went away$/,
  ],
];
