import type { ScopeViolation } from "@doorward/contracts";
import type { CommandRequest } from "../../packages/bridge/src/actions/ports.ts";

/** A request that must be refused, and the only reason that is right. */
export interface HostileRequest {
  readonly what: string;
  readonly scope: string;
  readonly request: CommandRequest;
  readonly reason: ScopeViolation["reason"];
}

/** The requests that hostile ones are made of: each passes. */
export interface FairRequest {
  readonly scope: string;
  readonly request: CommandRequest;
  /** Places in the arguments where a flag of the tool's own may be smuggled in. */
  readonly ceilingMs: number;
}

const SMUGGLED = [
  "--upload-pack=/tmp/x",
  "--output=/tmp/x",
  "-ccore.pager=x",
  "--exec-path=/tmp",
  "-H",
  "-Htcp://198.51.100.7",
  "--host=x",
  "--kubeconfig=/tmp/x",
  "--token=x",
  "--config-env=a=b",
  "-o=json",
  "-ojson",
  "--raw",
  "--all=true",
  "-",
  "--",
  "---",
  "--=x",
  "-=x",
  "-\u2010x",
  "--debug",
  "-v=9",
  "--jq=env",
  "--template={{.}}",
  "@/etc/shadow",
  "file:///etc/shadow",
  "$(id)",
  "`id`",
  ";id",
  "|id",
  "&&",
  ">/tmp/x",
  "a\nb",
  "a\u0000b",
  "\u001b[2J",
  "\ud800",
  "",
  " ",
  "../../x",
  "-e",
  "--env",
  "--privileged",
  "-it",
  "-1",
  "--help",
  "-h",
  "\u202etxt",
  "%00",
  "\\x00",
  "🙂",
];
/** Harmless as names, so only where a command stands. */
const COMMAND_WORDS = [
  "secrets",
  "secret/x",
  "exec",
  "run",
  "compose",
  "inspect",
  "__proto__",
  "constructor",
  "toString",
  "auth",
];
const VARIABLES = [
  "PATH",
  "LD_PRELOAD",
  "LD_LIBRARY_PATH",
  "DYLD_INSERT_LIBRARIES",
  "GIT_SSH_COMMAND",
  "GIT_ASKPASS",
  "GIT_EXTERNAL_DIFF",
  "GIT_CONFIG_COUNT",
  "NODE_OPTIONS",
  "PYTHONPATH",
  "PERL5OPT",
  "BASH_ENV",
  "DOCKER_HOST",
  "KUBECONFIG",
  "HELM_PLUGINS",
  "TF_CLI_ARGS",
  "AWS_ENDPOINT_URL",
  "VAULT_ADDR",
  "EDITOR",
  "PAGER",
  "HOME",
  "HTTPS_PROXY",
  "IFS",
  "",
  "A=B",
  "A\u0000",
  "__proto__x",
  "toString",
];
const FOLDERS = [
  "/",
  "/etc",
  "/root",
  "/proc/self/cwd",
  "/dev",
  "/tmp",
  "/nowhere",
  "//",
  "/..",
  "/etc\u0000",
  "/proc/self/root",
  "/var/../etc",
];
const RELATIVE = ["", ".", "..", "~", "etc", "./x", "C:\\Windows", "file:///etc", " /etc"];
const COMMANDS = [
  "/bin/sh",
  "/usr/bin/env",
  "/usr/bin/../bin/sh",
  "//bin/sh",
  "/bin/sh\u0000",
  "/",
  "/proc/self/exe",
  "/bin/bash -c",
  "/usr/bin/git ",
  "/USR/BIN/GIT",
];

/** Makes `count` hostile requests of fair ones, the same for the same seed. */
export function* hostileRequests(
  fair: readonly FairRequest[],
  count: number,
  seed: number,
): Generator<HostileRequest> {
  const random = generator(seed);
  const pick = <T>(list: readonly T[]): T => {
    const found = list[Math.floor(random() * list.length)];
    if (found === undefined) throw new Error("an empty list");
    return found;
  };
  const kinds = [
    smuggle,
    smuggle,
    smuggle,
    subcommand,
    variable,
    folder,
    relative,
    command,
    bare,
    time,
    scope,
    input,
  ];
  for (let index = 0; index < count; index += 1) yield pick(kinds)(pick(fair), pick, random);
}

type Pick = <T>(list: readonly T[]) => T;
type Make = (fair: FairRequest, pick: Pick, random: () => number) => HostileRequest;

const smuggle: Make = ({ scope: id, request }, pick, random) => {
  const word = mutate(pick(SMUGGLED), random);
  const at = Math.floor(random() * (request.args.length + 1));
  const args = [...request.args.slice(0, at), word, ...request.args.slice(at + (random() < 0.3 ? 1 : 0))];
  return {
    what: `smuggled ${JSON.stringify(args)}`,
    scope: id,
    request: { ...request, args },
    reason: "ARGUMENT_NOT_ALLOWED",
  };
};
const subcommand: Make = ({ scope: id, request }, pick) => {
  const args = [pick(COMMAND_WORDS), ...request.args];
  return {
    what: `command ${JSON.stringify(args)}`,
    scope: id,
    request: { ...request, args },
    reason: "ARGUMENT_NOT_ALLOWED",
  };
};
const variable: Make = ({ scope: id, request }, pick, random) => {
  const env = Object.fromEntries([[mutate(pick(VARIABLES), random), "x"]]);
  return {
    what: `variable ${JSON.stringify(env)}`,
    scope: id,
    request: { ...request, env },
    reason: "ENV_KEYS_NOT_ALLOWED",
  };
};
const folder: Make = ({ scope: id, request }, pick) => {
  const cwd = pick(FOLDERS);
  return {
    what: `folder ${cwd}`,
    scope: id,
    request: { ...request, cwd },
    reason: "CWD_OUTSIDE_ALLOWED_ROOTS",
  };
};
const relative: Make = ({ scope: id, request }, pick) => {
  const cwd = pick(RELATIVE);
  return { what: `folder ${cwd}`, scope: id, request: { ...request, cwd }, reason: "CWD_PATH_NOT_ABSOLUTE" };
};
const command: Make = ({ scope: id, request }, pick, random) => {
  const name =
    random() < 0.5 ? pick(COMMANDS) : `${request.command}${pick(["/", "\u0000", " ", "/../sh", "\n", "x"])}`;
  return {
    what: `command ${name}`,
    scope: id,
    request: { ...request, command: name },
    reason: "COMMAND_NOT_ALLOWLISTED",
  };
};
const bare: Make = ({ scope: id, request }, pick) => {
  const name = pick(["sh", "", "./git", "git", "../bin/sh", "~/x", "C:/x", " "]);
  return {
    what: `command ${name}`,
    scope: id,
    request: { ...request, command: name },
    reason: "COMMAND_PATH_NOT_ABSOLUTE",
  };
};
const time: Make = ({ scope: id, request, ceilingMs }, pick) => {
  const timeoutMs = pick([
    ceilingMs + 1,
    ceilingMs * 2,
    Number.MAX_VALUE,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    0,
    -1,
    -0.5,
  ]);
  return {
    what: `time ${timeoutMs}`,
    scope: id,
    request: { ...request, timeoutMs },
    reason: "TIMEOUT_EXCEEDS_SCOPE_CEILING",
  };
};
const scope: Make = ({ request }, pick) => {
  const id = pick([
    "",
    "other",
    "__proto__",
    "constructor",
    "GIT",
    "git ",
    "git\u0000",
    "../git",
    "*",
    "system-observe",
  ]);
  return { what: `scope ${id}`, scope: id, request, reason: "SCOPE_NOT_CONFIGURED" };
};
const input: Make = ({ scope: id, request }) => {
  return {
    what: "input",
    scope: id,
    request: { ...request, input: Buffer.alloc(1) },
    reason: "SCOPE_POLICY_VIOLATION",
  };
};

/** Often the word itself, sometimes doubled, cut, quoted or with another case. */
function mutate(word: string, random: () => number): string {
  const kind = Math.floor(random() * 10);
  if (kind === 0) return `${word}${word}`;
  if (kind === 1) return `${word}\t`;
  if (kind === 2) return `"${word}"`;
  if (kind === 3) return `${word}=x`;
  return word;
}

/** Mulberry32: small, and the same everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
