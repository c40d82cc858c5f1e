import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "./lib/bench.ts";
import { besideOf, within, type BenchPart, type BenchRow, type Beside } from "./lib/row.ts";
import { interleave, summarise, type Summary } from "./lib/summary.ts";
import { terminalPeers, type TerminalPeers } from "./peers/all.ts";
import type { BenchTerminal, TerminalPeer } from "./peers/terminal.ts";

/** A shell at its prompt, the same on both sides of the wall. */
const SHELL = ["bash", "--norc", "--noprofile", "-i"];
const LINE_KEYS = 40;
const ECHO_MS = 5_000;
const ROUNDS = 6;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
/** Prints 20 MB a second in lines of 100 bytes, as a verbose build would at its worst. */
const PACED_FLOOD = [
  "python3",
  "-c",
  "import sys,time\nlines=(b'x'*99+b'\\n')*1000\nnext=time.monotonic()\n" +
    "while True:\n sys.stdout.buffer.write(lines);sys.stdout.flush();next+=0.005;time.sleep(max(0,next-time.monotonic()))",
];
const FULL_FLOOD = ["yes", "x".repeat(99)];

/** Time from a key to its echo at a shell's prompt. */
export const echoPart: BenchPart = {
  id: "echo",
  title: "keystroke echo",
  async run(bench) {
    const peers = await terminalPeers(bench);
    return [
      ...(await gapRows(bench, peers)),
      await floodRow(bench, peers, "20 MB/s", PACED_FLOOD),
      await floodRow(bench, peers, "full speed", FULL_FLOOD),
    ];
  },
};

async function gapRows(bench: Bench, peers: TerminalPeers): Promise<BenchRow[]> {
  const everyone = [peers.ours, peers.raw, peers.podman, ...(peers.sshd === undefined ? [] : [peers.sshd])];
  await using shells = await openShells(everyone);
  const keys = bench.pick({ quick: 30, normal: 150 });
  bench.say("keystroke echo at gaps of 5 to 10 ms");
  const spaced = await measure(shells.open, keys, () => 5 + Math.random() * 5);
  bench.say("keystroke echo back to back");
  const rushed = await measure(shells.open, keys * 2, () => 0);
  return [
    gapRow("keystroke echo, gaps of 5 to 10 ms", peers, spaced, 1.5),
    gapRow("keystroke echo, back to back", peers, rushed, 2),
  ];
}

function gapRow(name: string, peers: TerminalPeers, all: Samples, factor: number): BenchRow {
  const { p50, p99, count } = summaryOf(all, peers.ours);
  const sshd = peers.sshd && besideOf(peers.sshd.name, summaryOf(all, peers.sshd));
  return {
    name,
    unit: "ms",
    value: p50,
    p99,
    samples: count,
    reach: `p50 <= ${String(factor)}x sshd`,
    met: within(p50, factor, sshd),
    beside: [...besides(all, peers), ...peers.absent],
  };
}

/** Keys in one terminal while another one of the same peer floods, both read by this process. */
async function floodRow(
  bench: Bench,
  peers: TerminalPeers,
  speed: string,
  flood: readonly string[],
): Promise<BenchRow> {
  const everyone = [peers.ours, peers.raw, ...(peers.sshd === undefined ? [] : [peers.sshd])];
  await using shells = await openShells(everyone);
  const keys = bench.pick({ quick: 20, normal: 150 });
  const all: Samples = new Map();
  const rates = new Map<TerminalPeer, number[]>();
  bench.say(`keystroke echo beside a flood (${speed})`);
  await interleave(shells.open, ROUNDS, async ({ peer, shell }) => {
    await using noise = await peer.open(flood);
    let bytes = 0;
    await new Promise<void>((resolve) =>
      noise.onData((chunk) => {
        bytes += chunk.length;
        resolve();
      }),
    );
    await delay(500);
    const [began, before] = [performance.now(), bytes];
    push(all, peer, await typeKeys(shell, keys, () => 5 + Math.random() * 5));
    push(rates, peer, [(bytes - before) / (performance.now() - began) / 1000]);
  });
  const { p50, p99, count } = summaryOf(all, peers.ours);
  const raw = summaryOf(all, peers.raw);
  const rate = (peer: TerminalPeer) => `${peer.name} ${summaryOf(rates, peer).p50.toFixed(0)} MB/s`;
  return {
    name: `keystroke echo beside a flood, ${speed}`,
    unit: "ms",
    value: p50,
    p99,
    samples: count,
    reach: "p99 <= 2x raw under the same flood",
    met: p99 <= 2 * raw.p99,
    beside: [...besides(all, peers), ...peers.absent],
    note: `flood that arrived: ${everyone.map(rate).join(", ")}`,
  };
}

type Samples = Map<TerminalPeer, number[]>;

interface OpenShell {
  readonly peer: TerminalPeer;
  readonly shell: EchoShell;
}

async function measure(shells: readonly OpenShell[], keys: number, gap: () => number): Promise<Samples> {
  const all: Samples = new Map();
  await interleave(shells, ROUNDS, async ({ peer, shell }) => {
    push(all, peer, await typeKeys(shell, keys, gap));
  });
  return all;
}

function push(all: Samples, peer: TerminalPeer, more: readonly number[]): void {
  all.set(peer, [...(all.get(peer) ?? []), ...more]);
}

function summaryOf(all: Samples, peer: TerminalPeer): Summary {
  return summarise(all.get(peer) ?? []);
}

function besides(all: Samples, { ours }: TerminalPeers): Beside[] {
  return [...all.keys()]
    .filter((peer) => peer !== ours)
    .map((peer) => besideOf(peer.name, summaryOf(all, peer)));
}

async function openShells(
  peers: readonly TerminalPeer[],
): Promise<{ readonly open: OpenShell[] } & AsyncDisposable> {
  const open: OpenShell[] = [];
  const close = async (): Promise<void> => {
    for (const { shell } of open) await shell[Symbol.asyncDispose]();
  };
  try {
    for (const peer of peers) {
      const shell = new EchoShell(await peer.open(SHELL));
      open.push({ peer, shell });
      await shell.quiet(300);
      await typeKeys(shell, LINE_KEYS, () => 0);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { open, [Symbol.asyncDispose]: close };
}

/** Types on a line that is emptied before it would wrap; the first keys of a round are not counted. */
async function typeKeys(shell: EchoShell, keys: number, gap: () => number): Promise<number[]> {
  const samples: number[] = [];
  for (let key = -5; key < keys; key += 1) {
    if ((key + 5) % LINE_KEYS === 0) await shell.clear();
    // Neighbouring keys differ, so that a late echo is not taken for the next one.
    const took = await shell.echo(LETTERS.charCodeAt((key + 5) % LETTERS.length));
    if (key >= 0) samples.push(took);
    const pause = gap();
    if (pause > 0) await delay(pause);
  }
  await shell.clear();
  return samples;
}

/** A shell whose echo is waited for. */
class EchoShell implements AsyncDisposable {
  readonly #terminal: BenchTerminal;
  #seen: (bytes: Uint8Array) => void = () => undefined;
  #last = performance.now();
  #heard = false;

  constructor(terminal: BenchTerminal) {
    this.#terminal = terminal;
    terminal.onData((bytes) => {
      this.#last = performance.now();
      this.#heard = true;
      this.#seen(bytes);
    });
  }

  /** Milliseconds from a key to its echo. */
  async echo(key: number): Promise<number> {
    const text = String.fromCharCode(key);
    const began = performance.now();
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("A key was not echoed within 5 s")), ECHO_MS);
      this.#seen = (bytes) => {
        if (!bytes.includes(key)) return;
        clearTimeout(late);
        resolve();
      };
      this.#terminal.write(text);
    });
    this.#seen = () => undefined;
    return this.#last - began;
  }

  /** Empties the line and waits until its repaint is over. */
  async clear(): Promise<void> {
    this.#terminal.write("\x15");
    await this.quiet(40);
  }

  /** Waits until something was printed and then nothing for so long. */
  async quiet(ms: number): Promise<void> {
    const began = performance.now();
    while (!this.#heard || performance.now() - this.#last < ms) {
      if (performance.now() - began > 15_000)
        throw new Error("A shell did not come to its prompt within 15 s");
      await delay(5);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#terminal[Symbol.asyncDispose]());
  }
}
