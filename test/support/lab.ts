import { execFile, execFileSync } from "node:child_process";
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { connect, type DoorwardClient } from "@doorward/client";
import type { EvidenceRow, MachineView } from "@doorward/contracts";
import { runDoorward, Screen, type Ran, type RunOptions } from "./command.ts";
import { freePort } from "./free-port.ts";
import { hasEnded, machineProcesses, mountsBelow, procFile, processesOf } from "./leftovers.ts";
import { OwnTime } from "./own-time.ts";
import { sharedImageStore } from "./shared-image.ts";

const isRoot = process.getuid?.() === 0;

/** Owner of the repos of a lab: nobody that exists on the host, and not who runs the bridge. */
export const REPO_OWNER = isRoot ? 4321 : (process.getuid?.() ?? 0);

/** Why a test that needs root can't run, or `false`. */
export const needsRoot = isRoot ? false : "needs root";

/** One installation of its own: home, policy, repos, bridge. Everything is gone after it is disposed. */
export class Lab implements AsyncDisposable {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;

  constructor(root: string, store: string) {
    this.root = root;
    const { PATH = "" } = process.env;
    this.env = {
      PATH,
      HOME: join(root, "user"),
      TERM: "xterm-256color",
      DOORWARD_HOME: this.home,
      DOORWARD_IMAGE_STORE: store,
      ...(process.env["DOORWARD_IMAGE_BASE"] === undefined
        ? {}
        : { DOORWARD_IMAGE_BASE: process.env["DOORWARD_IMAGE_BASE"] }),
    };
  }

  get home(): string {
    return join(this.root, "home");
  }

  get evidence(): string {
    return join(this.home, "state", "evidence");
  }

  get socket(): string {
    return join(this.home, "run", "bridge.sock");
  }

  /** Folder under which repos are allowed. */
  get sources(): string {
    return join(this.root, "src");
  }

  /** Runs the command. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return runDoorward(args, this.env, options);
  }

  /** Runs the command and reads its document; a failure throws what it printed. */
  async json<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
    const ran = await this.run([...args.slice(0, 1), "--json", ...args.slice(1)], options);
    if (ran.code !== 0) throw new Error(`doorward ${args.join(" ")}: ${String(ran.code)} ${ran.stderr}`);
    return JSON.parse(ran.stdout) as T;
  }

  /** The command in a pseudo-terminal. */
  screen(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = "/"): Screen {
    return new Screen(args, { ...this.env, ...env }, cwd);
  }

  /** Launches a machine on repos through the command; answers its name. */
  async up(...args: readonly string[]): Promise<string> {
    return (await this.json<{ name: string }>(["up", ...args])).name;
  }

  /** Runs a program in a machine through the exec door, as fast as the SDK does it. */
  async exec(machine: string, argv: readonly string[], input?: Buffer | string): Promise<Ran> {
    const began = performance.now();
    const [stdout, stderr]: [Uint8Array[], Uint8Array[]] = [[], []];
    await using client = this.client();
    const { code, signal } = await client.exec(machine, argv, {
      stdin: input === undefined ? undefined : Readable.from([Buffer.from(input)]),
      stdout: (bytes) => void stdout.push(bytes.slice()),
      stderr: (bytes) => void stderr.push(bytes.slice()),
    });
    const text = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString();
    const exit = code ?? 128 + constants.signals[signal as NodeJS.Signals];
    return { code: exit, stdout: text(stdout), stderr: text(stderr), ms: performance.now() - began };
  }

  /** Runs a shell line in a machine. */
  sh(machine: string, line: string, input?: Buffer | string): Promise<Ran> {
    return this.exec(machine, ["sh", "-c", line], input);
  }

  /** The operator's client on the bridge's socket. */
  client(): DoorwardClient {
    return connect({ socketPath: this.socket });
  }

  async machines(): Promise<readonly MachineView[]> {
    await using client = this.client();
    return (await client.call("machines.list", {})).machines;
  }

  async machine(name: string): Promise<MachineView> {
    await using client = this.client();
    return await client.call("machines.get", { params: { machine: name } });
  }

  /** Newest records of one type. */
  async records(type?: string, limit = 200): Promise<readonly EvidenceRow[]> {
    await using client = this.client();
    const query = type === undefined ? { limit } : { limit, type };
    return (await client.call("evidence.list", { query })).records;
  }

  /** Pid of the bridge; throws when none runs. */
  async bridgePid(): Promise<number> {
    await using client = this.client();
    return (await client.call("bridge.status", {})).pid;
  }

  async tcpPort(): Promise<number> {
    await using client = this.client();
    return (await client.call("bridge.status", {})).tcp.port;
  }

  /** Mints a grant for a machine; answers its id and token. */
  async grant(
    machine: string,
    operations: readonly string[],
    time = "1h",
    subject = "agent:test:1",
  ): Promise<{ id: string; token: string }> {
    await using client = this.client();
    const body = { machine, subject, operations: [...operations], for: time };
    const minted = await client.call("grants.create", { body: body as never });
    return { id: minted.grant.grantId, token: minted.token };
  }

  /** Makes a git repo with one commit below the allowed folder. */
  repo(name: string, files: Readonly<Record<string, string>> = { "README.md": "hello\n" }): string {
    const path = join(this.sources, name);
    mkdirSync(path, { recursive: true });
    const git = (...args: string[]): void => void execFileSync("git", ["-C", path, ...args], gitOptions);
    git("init", "--quiet", "--initial-branch=main");
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(path, file, ".."), { recursive: true });
      writeFileSync(join(path, file), text);
    }
    git("add", "--all");
    git("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "-m", "first");
    if (isRoot) execFileSync("chown", ["-R", `${String(REPO_OWNER)}:${String(REPO_OWNER)}`, path]);
    return path;
  }

  /** Runs Podman on the storage of this lab's bridge. */
  async podman(...args: readonly string[]): Promise<string> {
    const state = join(this.home, "state", "podman");
    const graph = join(readFileSync(join(state, "storage-folder"), "utf8"), "storage");
    const run = readFileSync(join(state, "run-folder"), "utf8");
    const places = ["--root", graph, "--runroot", join(run, "storage"), "--tmpdir", join(run, "libpod")];
    const env = {
      ...this.env,
      CONTAINERS_CONF: join(state, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(state, "storage.conf"),
    };
    const images = ["--storage-opt", `overlay.imagestore=${this.env["DOORWARD_IMAGE_STORE"] ?? ""}`];
    const { stdout } = await promisify(execFile)("podman", [...places, ...images, ...args], { env });
    return stdout.trim();
  }

  /** Containers that Podman knows, whatever their state, as `id state`. */
  async containers(): Promise<string[]> {
    const listed = JSON.parse(await this.podman("ps", "--all", "--format", "json")) as {
      Id: string;
      State: string;
    }[];
    return listed.map(({ Id, State }) => `${Id} ${State}`);
  }

  /** Waits until something holds; throws what `describe` says when it does not in time, by the clock of {@link OwnTime}. */
  async until(what: string, holds: () => Promise<boolean> | boolean, ms = 180_000): Promise<number> {
    const began = performance.now();
    using since = new OwnTime();
    while (!(await holds())) {
      if (since.ms > ms) throw new Error(`never: ${what}`);
      await delay(25);
    }
    return performance.now() - began;
  }

  /** Kills the bridge with SIGKILL, and waits until nothing of its process is left that could still answer. */
  async killBridge(known?: number): Promise<void> {
    const pid = known ?? (await this.bridgePid());
    process.kill(pid, "SIGKILL");
    await this.until("the bridge is dead", () => hasEnded(pid));
  }

  /** Stops the bridge, if one runs, and waits until its process has ended. */
  async stopBridge(): Promise<void> {
    const pid = await this.bridgePid().catch(() => null);
    await this.run(["bridge", "stop"]);
    for (let round = 0; pid !== null && procFile(pid, "stat") !== ""; round += 1) {
      // It gives up by itself before.
      if (round === 2400) end(pid);
      await delay(25);
    }
  }

  /** Removes every machine, stops the bridge, ends and unmounts whatever is left, and deletes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const machines = await this.machines().catch(() => []);
    for (const { id } of machines) await this.run(["rm", id, "--force"]).catch(() => undefined);
    await this.stopBridge();
    for (let round = 0; round < 40 && processesOf(this.root).length > 0; round += 1) {
      if (round >= 4) for (const { pid } of processesOf(this.root)) end(pid);
      await delay(100);
    }
    for (const target of mountsBelow(this.root).reverse()) {
      try {
        execFileSync("umount", ["--lazy", target], { stdio: "ignore" });
      } catch {
        // It went away by itself.
      }
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** Processes inside machines of this lab. */
  inside(): ReturnType<typeof machineProcesses> {
    return machineProcesses(this.root);
  }
}

/** The policy of a lab after its roots. */
const defaultPolicy = `profiles:
  default:
    doors:
      terminal:
        # Others than the operator only watch terminals unless a profile says that they may attach them.
        attach: { allowed: true, agents: control, maxTerminals: 32, maxViewers: 16, observers: true, scrollbackBytes: 2097152 }
grants:
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.attach, terminal.observe, terminal.input, terminal.exec, terminal.agent-exec]
    for: 8h
`;

const gitOptions = {
  stdio: "ignore" as const,
  env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
};

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** Opens a lab with a running bridge whose policy allows the lab's `src` folder. */
export async function openLab({ policy = defaultPolicy } = {}): Promise<Lab> {
  const store = await sharedImageStore();
  const root = realpathSync(mkdtempSync("/tmp/dwt-"));
  execFileSync("chmod", ["755", root]);
  const lab = new Lab(root, store);
  mkdirSync(join(root, "user"));
  mkdirSync(lab.sources);
  if (isRoot) chownSync(lab.sources, REPO_OWNER, REPO_OWNER);
  writeFileSync(join(root, "user", ".gitconfig"), "[user]\n  name = Ada\n  email = ada@example.org\n");
  mkdirSync(join(lab.home, "config"), { recursive: true, mode: 0o700 });
  // A port of its own: two bridges that were stopped for a moment would both have chosen the first one that is free.
  const bridge = `bridge: { port: ${String(await freePort())} }`;
  const text = `version: 1\n${bridge}\nroots:\n  - { path: ${lab.sources}, access: rw }\n${policy}`;
  writeFileSync(join(lab.home, "config", "policy.yaml"), text, { mode: 0o600 });
  return lab;
}
