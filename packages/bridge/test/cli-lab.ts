import { execFile, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  DEFAULT_AGENT_TOOL_DOOR,
  DEFAULT_TERMINAL_DOOR,
  DoorwardError,
  durationSeconds,
  ROUTES,
  type GrantRequest,
  type MachineView,
  type Operation,
} from "@doorward/contracts";
import { DOOR_REGISTRY, type DoorEntry } from "@doorward/doors";
import type { IPty } from "node-pty";
import { pino } from "pino";
import { buildId } from "../src/build-id.ts";
import type { Cli } from "../src/cli/cli.ts";
import { runProgram, splitArguments } from "../src/cli/program.ts";
import { createGateway, type Gateway, type GatewayMachine, type Handlers } from "../src/gateway/index.ts";
import { GrantAuthority } from "../src/grants/authority.ts";
import { Store } from "../src/store/index.ts";
import { begunUnnoted } from "./begun-unnoted.ts";
import { startLab, type Lab } from "./guest-harness.ts";

const require = createRequire(import.meta.url);
const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const tsx = import.meta.resolve("tsx");
const log = pino({ level: "silent" });

const SHOP: GatewayMachine = {
  id: "m_shop000000",
  name: "shop",
  running: true,
  doors: ["terminal", "agent-tool"],
  terminal: { ...DEFAULT_TERMINAL_DOOR, attach: { ...DEFAULT_TERMINAL_DOOR.attach, agents: "control" } },
  agentTool: DEFAULT_AGENT_TOOL_DOOR,
  reach: () => ({ workdir: "/workspace/shop", folders: [{ path: "/", access: "rw" }], narrowed: false }),
};

/** What a handler of the lab is given. */
export interface Call {
  readonly params: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly progress: (step: { step: string; detail?: string }) => void;
}

/** How one run of the command ended. */
export interface Ran {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** The command against a real gateway, real grants, the real terminal door, and a real guest as a plain process; no Podman. */
export interface CliLab extends AsyncDisposable {
  readonly home: string;
  readonly repo: string;
  readonly guest: Lab;
  readonly calls: { id: string; body?: unknown; params?: unknown; query?: unknown }[];
  readonly authority: GrantAuthority;
  readonly port: number;
  readonly env: Record<string, string>;
  /** Handlers that a test replaces, by route. */
  readonly answers: Map<string, (call: Call) => unknown>;
  /** Machines that `ls` shows. */
  machines: MachineView[];
  grant(operations: Operation[], seconds?: number): Promise<{ token: string; id: string }>;
  /** Cuts every connection as a killed bridge does, and listens no more. */
  stopBridge(): Promise<void>;
  startBridge(): Promise<void>;
  run(
    args: readonly string[],
    options?: { input?: Buffer | string; env?: Record<string, string>; cwd?: string },
  ): Promise<Ran>;
  spawn(args: readonly string[], options?: { env?: Record<string, string> }): ReturnType<typeof spawn>;
  /** Output of a bash script; `$DOORWARD` in its environment runs the command. */
  shell(script: string): Promise<string>;
  /** Another program in a pseudo-terminal; `$DOORWARD` in its environment runs the command. */
  ptyOf(program: string, args: readonly string[]): Screen;
  pty(
    args: readonly string[],
    options?: { env?: Record<string, string>; cols?: number; rows?: number },
  ): Screen;
}

/** A machine as `ls` shows it. */
export function machineView(name: string, hostPath: string): MachineView {
  return {
    id: name === "shop" ? SHOP.id : `m_${name.padEnd(10, "0")}`,
    name,
    state: "running",
    stateReason: null,
    profile: "default",
    subject: "operator:ada",
    repos: [{ hostPath, machinePath: `/workspace/${name}`, access: "rw", review: false }],
    workdir: `/workspace/${name}`,
    image: null,
    doors: ["terminal"],
    createdAt: "2026-01-01T00:00:00.000Z",
    startedAt: "2026-01-01T00:00:00.000Z",
    expiresAt: null,
    fingerprint: `sha256:${"1".repeat(64)}`,
    evidence: 7,
    notices: [],
  };
}

/** Runs a command line in this process: quick, for everything that is decided before streams and signals matter. */
export async function runHere(lab: CliLab, args: readonly string[], cwd = lab.repo): Promise<Ran> {
  const { own, passthrough } = splitArguments(args);
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const cli: Cli = {
    env: lab.env,
    cwd,
    script: undefined,
    stdin,
    stdout,
    stderr,
    signal: new AbortController().signal,
    passthrough,
    exitCode: 0,
  };
  await runProgram(cli, own);
  const text = (stream: PassThrough): Buffer => {
    const read: unknown = stream.read();
    return Buffer.isBuffer(read) ? read : Buffer.alloc(0);
  };
  return { code: cli.exitCode, signal: null, stdout: text(stdout), stderr: text(stderr).toString() };
}

/** Starts everything, with the doors of this build or those of a test; one per test file is enough. */
export async function startCliLab(doors: readonly DoorEntry[] = DOOR_REGISTRY): Promise<CliLab> {
  const home = await mkdtemp(join(tmpdir(), "dw-cli-"));
  const repo = join(home, "shop");
  await mkdir(repo);
  await mkdir(join(home, "run"), { mode: 0o700 });
  const guest = await startLab();
  const store = Store.open({ dir: home, log });
  const nothing = (): Promise<void> => Promise.resolve();
  const authority = GrantAuthority.open({
    store,
    policy: { hash: `sha256:${"0".repeat(64)}`, decideGrant: () => ({ rule: "test" }) },
    evidence: { minted: nothing, narrowed: nothing, renewed: nothing, revoked: nothing, expired: nothing },
    machineName: () => SHOP.name,
    log,
  });
  const calls: CliLab["calls"] = [];
  const answers = new Map<string, (call: Call) => unknown>();
  let gateway: Gateway | undefined;
  let port = 0;
  const lab: CliLab = {
    home,
    repo,
    guest,
    calls,
    authority,
    answers,
    machines: [machineView("shop", repo)],
    get port() {
      return port;
    },
    get env() {
      return environment(home);
    },
    grant: async (operations, seconds = 3600) => {
      const wanted = { machine: grantMachine(repo), subject: "agent:codex:one", operations, seconds };
      const minted = await authority.mint(wanted, "operator:ada");
      return { token: minted.token, id: minted.grant.grantId };
    },
    stopBridge: async () => {
      await gateway?.[Symbol.asyncDispose]();
      gateway = undefined;
    },
    startBridge: async () => {
      gateway = openGateway(lab, guest, authority, doors);
      await gateway.listenUnix(join(home, "run", "bridge.sock"));
      port = (await gateway.listenTcp(port)).port;
    },
    run: (args, options) => runCli(lab, args, options),
    spawn: (args, options) =>
      spawn(process.execPath, commandLine(args), { env: { ...lab.env, ...options?.env }, cwd: repo }),
    shell: async (script) => {
      const env = { ...lab.env, DOORWARD: launcher(home) };
      return (await promisify(execFile)("bash", ["-c", script], { env, cwd: repo })).stdout;
    },
    ptyOf: (program, args) => new Screen(lab, program, args, { env: { DOORWARD: launcher(home) } }),
    pty: (args, options) => new Screen(lab, process.execPath, commandLine(args), options),
    [Symbol.asyncDispose]: async () => {
      await lab.stopBridge();
      await authority[Symbol.asyncDispose]();
      store.close();
      await guest[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
  await lab.startBridge();
  return lab;
}

function grantMachine(repo: string) {
  return { id: SHOP.id, name: SHOP.name, repoHostPaths: [repo], doors: SHOP.doors, profile: "default" };
}

function openGateway(
  lab: CliLab,
  guest: Lab,
  authority: GrantAuthority,
  doors: readonly DoorEntry[],
): Gateway {
  const nothing = (): Promise<void> => Promise.resolve();
  return createGateway({
    handlers: handlersOf(lab),
    grants: {
      authenticate: (token) => authority.authenticate(token),
      check: (grantId, operation, machineId) => authority.check(grantId, operation, machineId),
      mintImplicit: ({ subject, operations }) =>
        authority.mintImplicit({ subject, machine: grantMachine(lab.repo), operations }),
      onEnded: (listener) => authority.onEnded(listener),
    },
    machines: {
      find: (name) => (name === SHOP.name || name === SHOP.id ? SHOP : undefined),
      names: () => [SHOP.name],
      dial: (_machine, open, signal) => guest.link.dial(open, signal),
      runningTerminals: async (_machine, signal) =>
        (await guest.link.terminals(signal)).filter(({ exit }) => exit === null).map(({ id }) => id),
    },
    doors,
    evidence: {
      sessionOpened: nothing,
      sessionClosed: nothing,
      denied: nothing,
      countDenial: () => undefined,
      sessionEvent: nothing,
      sessionBegins: () => begunUnnoted(nothing),
      transcript: () => Promise.reject(new Error("no transcripts here")),
    },
    config: { login: "ada" },
    log,
  });
}

function handlersOf(lab: CliLab): Handlers {
  const basics: Record<string, (call: Call) => unknown> = {
    "bridge.health": () => ({ status: "ok" }),
    "bridge.ready": () => ({ ready: true }),
    "bridge.status": () => status(lab),
    "machines.list": () => ({ machines: lab.machines }),
    "machines.remove": (call) => ({ removed: call.params["machine"] }),
    "machines.terminals": () => ({ terminals: [] }),
    "grants.create": ({ body }) => {
      const { machine: _, for: time, ...ask } = body as GrantRequest;
      const wanted = { ...ask, machine: grantMachine(lab.repo), seconds: durationSeconds(time) };
      return lab.authority.mint(wanted, "operator:ada");
    },
    "grants.renew": ({ params, body }) => {
      const seconds = durationSeconds((body as { for: string }).for);
      return lab.authority.renew(String(params["grant"]), seconds, "operator:ada");
    },
    "grants.revoke": ({ params }) => lab.authority.revoke(String(params["grant"]), "test", "operator:ada"),
    "machines.up": ({ progress }) => {
      progress({ step: "Deciding" });
      progress({ step: "Starting", detail: "shop" });
      return { machine: lab.machines[0], reused: false, listed: ["/x/.env"] };
    },
  };
  const all = Object.keys(ROUTES).map((id) => [
    id,
    async (call: Call) => {
      lab.calls.push({ id, body: call.body, params: call.params, query: call.query });
      const answer = lab.answers.get(id) ?? basics[id];
      if (answer === undefined) throw new DoorwardError({ code: "INTERNAL", message: "not in this lab" });
      return await answer(call);
    },
  ]);
  return Object.fromEntries(all) as Handlers;
}

function status(lab: CliLab): unknown {
  return {
    version: "0.1.0",
    build: buildId(),
    pid: process.pid,
    startedAt: "2026-01-01T00:00:00.000Z",
    installationId: "i",
    stateDir: lab.home,
    socket: join(lab.home, "run", "bridge.sock"),
    tcp: { port: lab.port, state: "listening" },
    ready: true,
    problems: [],
    machines: 1,
    sockets: 0,
    memoryBytes: 1,
  };
}

function environment(home: string): Record<string, string> {
  const { PATH = "", HOME = "" } = process.env;
  return { PATH, HOME, DOORWARD_HOME: home, TERM: "xterm-256color" };
}

function commandLine(args: readonly string[]): string[] {
  return ["--conditions=source", "--import", tsx, main, ...args];
}

/** An executable that runs the command, for shells. */
function launcher(home: string): string {
  const path = join(home, "doorward");
  const words = [process.execPath, ...commandLine([])].map((word) => `'${word}'`).join(" ");
  writeFileSync(path, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  return path;
}

async function runCli(
  lab: CliLab,
  args: readonly string[],
  options: Parameters<CliLab["run"]>[1] = {},
): Promise<Ran> {
  const child = spawn(process.execPath, commandLine(args), {
    env: { ...lab.env, ...options.env },
    cwd: options.cwd ?? lab.repo,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  return await new Promise((resolve) =>
    child.once("close", (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    ),
  );
}

/** The command in a real pseudo-terminal: what a person sees and types. */
export class Screen {
  readonly pty: IPty;
  readonly ended: Promise<{ exitCode: number; signal?: number | undefined }>;
  text = "";

  constructor(
    lab: CliLab,
    program: string,
    args: readonly string[],
    options: Parameters<CliLab["pty"]>[1] = {},
  ) {
    const { spawn: spawnPty } = require("node-pty") as typeof import("node-pty");
    this.pty = spawnPty(program, [...args], {
      cols: options.cols ?? 80,
      rows: options.rows ?? 24,
      cwd: lab.repo,
      env: { ...lab.env, ...options.env },
    });
    this.pty.onData((data) => (this.text += data));
    this.ended = new Promise((resolve) => this.pty.onExit(resolve));
  }

  type(text: string): void {
    this.pty.write(text);
  }

  /** Waits until the text seen so far holds something. */
  async see(what: string | RegExp, ms = 120_000): Promise<void> {
    const end = performance.now() + ms;
    const holds = (): boolean => (typeof what === "string" ? this.text.includes(what) : what.test(this.text));
    while (!holds()) {
      if (performance.now() > end)
        throw new Error(`never saw ${String(what)}; saw ${JSON.stringify(this.text.slice(-800))}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }
}
