import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "./lib/bench.ts";
import { besideOf, within, type BenchPart, type BenchRow } from "./lib/row.ts";
import { interleave, summarise } from "./lib/summary.ts";
import { runFlags, type Inspected } from "./peers/run-flags.ts";
import { PodmanCommand } from "./peers/podman.ts";

const FACTOR = 1.25;
const ROUNDS = 12;

/** From asking for a machine until its guest answers; ours decides by policy, checks what runs and signs a record in that time. */
export const launchPart: BenchPart = {
  id: "launch",
  title: "cold launch",
  async run(bench) {
    const lab = await bench.lab();
    const repo = lab.repo("launch");
    const bare = await bareRun(bench, lab.repo("launch-bare"));
    const peers = [
      { samples: new Array<number>(), once: () => launchBySdk(bench, repo) },
      { samples: new Array<number>(), once: () => launchByCommand(bench, repo) },
      { samples: new Array<number>(), once: bare },
    ] as const;
    for (const { once } of peers) await once();
    await interleave(peers, bench.pick({ quick: 2, normal: ROUNDS }), async ({ samples, once }, round) => {
      bench.say(`cold launch, round ${String(round + 1)}`);
      samples.push(await once());
    });
    const [sdk, command, run] = peers.map(({ samples }) => summarise(samples));
    if (sdk === undefined || command === undefined || run === undefined) return [];
    const beside = besideOf("podman run", run);
    const row = (name: string, { p50, p99, count }: typeof sdk): BenchRow => ({
      name,
      unit: "ms",
      value: p50,
      p99,
      samples: count,
      reach: `<= ${String(FACTOR)}x podman run`,
      met: within(p50, FACTOR, beside),
      beside: [beside],
    });
    return [
      row("cold launch until the guest answers", sdk),
      row("the same by `doorward up`, a new process", command),
    ];
  },
};

async function launchBySdk(bench: Bench, repo: string): Promise<number> {
  const client = await bench.client();
  const began = performance.now();
  const body = { repos: [{ path: repo, access: "rw" as const }], fresh: true };
  const { machine } = await client.call("machines.up", { body });
  const took = performance.now() - began;
  await client.call("machines.remove", { params: { machine: machine.id }, query: { force: "true" } });
  return took;
}

async function launchByCommand(bench: Bench, repo: string): Promise<number> {
  const lab = await bench.lab();
  const { code, ms, stdout, stderr } = await lab.run(["up", "--new", "--json", repo]);
  if (code !== 0) throw new Error(`doorward up: ${stderr}`);
  const { id } = JSON.parse(stdout) as { id: string };
  await lab.run(["rm", id, "--force"]);
  return ms;
}

/** A `podman run` with the flags of a machine, which stays, and the same guest, which connects to us instead of the bridge. */
async function bareRun(bench: Bench, repo: string): Promise<() => Promise<number>> {
  const [lab, client] = [await bench.lab(), await bench.client()];
  const podman = new PodmanCommand(lab);
  const { machine } = await client.call("machines.up", {
    body: { repos: [{ path: repo, access: "rw" }], fresh: true },
  });
  const container = await podman.run("ps", "--quiet", "--filter", `label=dev.doorward.machine=${machine.id}`);
  const [inspected] = JSON.parse(await podman.run("inspect", container)) as [Inspected];
  const folder = join(lab.root, "bare");
  await mkdir(folder, { recursive: true });
  let count = 0;
  return async () => {
    count += 1;
    const name = `bare-${String(count)}`;
    const flags = runFlags(inspected, {
      name,
      seccomp: join(lab.home, "state", "podman", "seccomp-machine.json"),
      guestFolder: folder,
    });
    return answerOf(podman, folder, name, flags);
  };
}

async function answerOf(
  podman: PodmanCommand,
  folder: string,
  name: string,
  flags: readonly string[],
): Promise<number> {
  const socket = join(folder, "guest.sock");
  await rm(socket, { force: true });
  const server = createServer();
  const answered = new Promise<number>((resolve) =>
    server.once("connection", (guest) =>
      guest.once("data", () => resolve(performance.now())).on("error", () => undefined),
    ),
  );
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  await chmod(socket, 0o666);
  try {
    const began = performance.now();
    const [, at] = await Promise.all([podman.run("run", "--detach", ...flags), answered]);
    return at - began;
  } finally {
    server.close();
    await remove(podman, name);
  }
}

/** Podman answers now and then that a mount is still busy, and succeeds a moment later. */
async function remove(podman: PodmanCommand, name: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await podman.run("rm", "--force", "--ignore", "--time", "0", name);
      return;
    } catch (error) {
      if (attempt === 10) throw error;
      await delay(100);
    }
  }
}
