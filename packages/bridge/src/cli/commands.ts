import type { Command } from "commander";
import type { Cli } from "./cli.ts";

/** A command of `doorward`: known by name and summary, its code loaded when it is called. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** What it is for: the heading above it in the help. */
  readonly group: string;
  readonly load: () => Promise<(command: Command, cli: Cli) => void>;
}

/** Commands by what they are for, in the order that the help shows them. */
const GROUPS = {
  Machines: [
    {
      name: "up",
      summary: "launch a machine on one or more repos",
      load: async () => (await import("./commands/up.ts")).defineUp,
    },
    {
      name: "run",
      summary: "launch, run one command, and remove: for CI",
      load: async () => (await import("./commands/run.ts")).defineRun,
    },
    {
      name: "ls",
      summary: "list machines",
      load: async () => (await import("./commands/ls.ts")).defineLs,
    },
    {
      name: "inspect",
      summary: "show one machine, its profile and fingerprint",
      load: async () => (await import("./commands/inspect.ts")).defineInspect,
    },
    {
      name: "logs",
      summary: "show the last lines of a machine's own output",
      load: async () => (await import("./commands/logs.ts")).defineLogs,
    },
    {
      name: "stop",
      summary: "stop a machine, keeping its definition and home",
      load: async () => (await import("./commands/stop.ts")).defineStop,
    },
    {
      name: "start",
      summary: "launch a stopped machine again",
      load: async () => (await import("./commands/start.ts")).defineStart,
    },
    {
      name: "extend",
      summary: "give a running machine more time",
      load: async () => (await import("./commands/extend.ts")).defineExtend,
    },
    {
      name: "review",
      summary: "look at a review machine's changes and bring them back",
      load: async () => (await import("./commands/review.ts")).defineReview,
    },
    {
      name: "rm",
      summary: "delete a machine with its home and review clone",
      load: async () => (await import("./commands/rm.ts")).defineRm,
    },
  ],
  "Work in a machine": [
    {
      name: "attach",
      summary: "open a terminal in a machine",
      load: async () => (await import("./commands/attach.ts")).defineAttach,
    },
    {
      name: "exec",
      summary: "run a command in a machine and exit with its code",
      load: async () => (await import("./commands/exec.ts")).defineExec,
    },
    {
      name: "forward",
      summary: "open ports of a machine on this host's loopback",
      load: async () => (await import("./commands/forward.ts")).defineForward,
    },
    {
      name: "ssh",
      summary: "connect to a machine with this host's ssh",
      load: async () => (await import("./commands/ssh.ts")).defineSsh,
    },
    {
      name: "ssh-config",
      summary: "make machines hosts of ssh, scp, sftp and rsync",
      load: async () => (await import("./commands/ssh-config.ts")).defineSshConfig,
    },
    {
      name: "ssh-proxy",
      summary: "carry one SSH connection, as a ProxyCommand",
      load: async () => (await import("./commands/ssh-proxy.ts")).defineSshProxy,
    },
  ],
  Agents: [
    {
      name: "connect",
      summary: "configure an agent's client for a machine, and take that back",
      load: async () => (await import("./commands/connect.ts")).defineConnect,
    },
    {
      name: "mcp",
      summary: "connect an agent's client to a machine's tools, as MCP on stdin and stdout",
      load: async () => (await import("./commands/mcp.ts")).defineMcp,
    },
  ],
  "What is allowed": [
    {
      name: "policy",
      summary: "show, check and change what is allowed",
      load: async () => (await import("./commands/policy.ts")).definePolicy,
    },
    {
      name: "grant",
      summary: "mint, narrow, renew and revoke grants",
      load: async () => (await import("./commands/grant.ts")).defineGrant,
    },
    {
      name: "egress",
      summary: "show, allow, deny and watch what a machine reaches",
      load: async () => (await import("./commands/egress.ts")).defineEgress,
    },
    {
      name: "secret",
      summary: "keep secrets on the host for machines that may use them",
      load: async () => (await import("./commands/secret.ts")).defineSecret,
    },
    {
      name: "action",
      summary: "do things on the host, and decide about what waits",
      load: async () => (await import("./commands/action.ts")).defineAction,
    },
    {
      name: "contracts",
      summary: "list, show and validate the contracts of doors, profiles and grants",
      load: async () => (await import("./commands/contracts.ts")).defineContracts,
    },
  ],
  "What happened": [
    {
      name: "evidence",
      summary: "list, show, verify and export evidence",
      load: async () => (await import("./commands/evidence.ts")).defineEvidence,
    },
    {
      name: "transcript",
      summary: "list, play and export transcripts of terminal sessions",
      load: async () => (await import("./commands/transcript.ts")).defineTranscript,
    },
  ],
  "This host": [
    {
      name: "doctor",
      summary: "what this host enforces, what is missing, and how to mend it",
      load: async () => (await import("./commands/doctor.ts")).defineDoctor,
    },
    {
      name: "image",
      summary: "build, list and prune machine images",
      load: async () => (await import("./commands/image.ts")).defineImage,
    },
    {
      name: "bridge",
      summary: "show, restart and stop the bridge",
      load: async () => (await import("./commands/bridge.ts")).defineBridge,
    },
    {
      name: "serve",
      summary: "run the bridge in the foreground",
      load: async () => (await import("./commands/serve.ts")).defineServe,
    },
    {
      name: "completion",
      summary: "print the completion script of a shell",
      load: async () => (await import("./commands/completion.ts")).defineCompletion,
    },
  ],
} as const satisfies Readonly<Record<string, readonly Omit<CommandEntry, "group">[]>>;

/** Every command in the order that the help shows them. */
export const COMMANDS: readonly CommandEntry[] = Object.entries(GROUPS).flatMap(([group, entries]) =>
  entries.map((entry) => ({ ...entry, group })),
);
