import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGuestFiles, type GuestFiles } from "@doorward/guest";
import { shippedRipgrep, startLab } from "../packages/bridge/test/guest-harness.ts";
import type { Bench } from "./lib/bench.ts";
import { besideOf, type BenchPart, type BenchRow, type Beside } from "./lib/row.ts";
import { interleave, summarise, timed } from "./lib/summary.ts";
import { SFTP_MISSING, hasSftp, runProgram, sftp } from "./peers/sftp.ts";

const SMALL = Buffer.alloc(3000, "x");
const never = new AbortController().signal;
const whole = { offset: 0, length: 128_000_000 };

/** What is done to files, here and by somebody else; times in ms. */
interface Work {
  readonly name: string;
  readonly peer: string;
  readonly run: () => Promise<unknown>;
  /** Null where the peer is not on this host. */
  readonly beside: (() => Promise<unknown>) | null;
  readonly note?: string;
}

/** Files through a guest's file stream; guest and peers are processes of this host on the same folder, without a network. */
export const filesPart: BenchPart = {
  id: "files",
  title: "files of a machine",
  async run(bench) {
    await using folder = bench.own(tempFolder());
    const base = folder.path;
    const repo = join(base, "repo");
    await using lab = bench.own(await startLab());
    const open = (path: string): Promise<GuestFiles> =>
      openGuestFiles(lab.link, { roots: [{ path, access: "rw" }], workdir: repo }, never);
    const [count, bytes] = [bench.pick({ quick: 1000, normal: 10_000 }), 100_000_000];
    prepare(repo, count, bytes);
    await using narrow = await open(repo);
    await using wide = await open("/");
    const rows: BenchRow[] = [];
    for (const work of [...transfers(narrow, base, count, bytes), ...searches(narrow, wide, repo, count)])
      rows.push(await measured(bench, work));
    const { rssBytes } = await lab.link.health(never);
    return [
      ...rows,
      { name: "guest, resident after all that", unit: "MiB", value: rssBytes / 1_048_576, beside: [] },
    ];
  },
};

function tempFolder(): AsyncDisposable & { readonly path: string } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "doorward-bench-files-")));
  return {
    path,
    [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

function transfers(files: GuestFiles, base: string, count: number, bytes: number): Work[] {
  const from = (name: string): string => join(base, "repo", name);
  const got = join(base, "got");
  const peer = "sftp";
  const large = Buffer.alloc(bytes, "z");
  const copy = (command: string) => (hasSftp() ? () => sftp(command) : null);
  return [
    {
      ...{
        name: `read ${String(count)} files of 3 kB`,
        peer,
        beside: copy(`get -r ${from("small")} ${got}`),
      },
      run: () => Promise.all(smallNames(count).map((name) => files.read(name, whole, never))),
    },
    {
      ...{ name: "read one file of 100 MB", peer, beside: copy(`get ${from("large")} ${got}-large`) },
      run: () => files.read("large", whole, never),
    },
    {
      ...{ name: "write one file of 100 MB", peer, beside: copy(`put -f ${from("large")} ${got}-put`) },
      run: () => write(files, "copy", large),
      note: "durable on both sides (fsync)",
    },
    {
      ...{ name: "write 1000 files of 3 kB", peer, beside: copy(`put -fr ${from("part")} ${got}-part`) },
      run: () =>
        Promise.all(Array.from({ length: 1000 }, (_, at) => write(files, `part/${String(at)}`, SMALL))),
      note: "each durable on both sides (fsync), here its folder too",
    },
  ];
}

function searches(narrow: GuestFiles, wide: GuestFiles, repo: string, count: number): Work[] {
  const peer = "rg, no machine";
  const beside = (): Promise<unknown> =>
    runProgram(shippedRipgrep, ["-uu", "no such thing", join(repo, "small")]);
  const name = `search ${String(count)} files`;
  return [
    { name: `${name}, grant with commands`, peer, beside, run: () => search(wide) },
    { name: `${name}, grant without commands`, peer, beside, run: () => search(narrow) },
  ];
}

async function measured(bench: Bench, { name, peer, run, beside, note }: Work): Promise<BenchRow> {
  bench.say(name);
  const ours = { samples: new Array<number>(), run };
  const theirs = beside && { samples: new Array<number>(), run: beside };
  const rounds = bench.pick({ quick: 2, normal: 5 });
  await interleave(theirs === null ? [ours] : [ours, theirs], rounds, async ({ samples, run: once }) => {
    samples.push(await timed(once));
  });
  const column: Beside =
    theirs === null
      ? { name: peer, value: null, note: SFTP_MISSING }
      : { ...besideOf(peer, summarise(theirs.samples)), p99: undefined };
  const { p50, count } = summarise(ours.samples);
  return { name, unit: "ms", value: p50, samples: count, beside: [column], note };
}

function prepare(repo: string, count: number, bytes: number): void {
  for (const name of smallNames(count)) {
    if (name.endsWith("/0")) mkdirSync(join(repo, name, ".."), { recursive: true });
    writeFileSync(join(repo, name), SMALL);
  }
  mkdirSync(join(repo, "part"));
  for (let at = 0; at < 1000; at += 1) writeFileSync(join(repo, "part", String(at)), SMALL);
  writeFileSync(join(repo, "large"), Buffer.alloc(bytes, "y"));
}

function smallNames(count: number): string[] {
  return Array.from(
    { length: count },
    (_, at) => `small/${String(Math.floor(at / 100))}/${String(at % 100)}`,
  );
}

async function write(files: GuestFiles, path: string, bytes: Buffer): Promise<void> {
  await files.change([{ kind: "write", path, bytes, expect: "any", parents: true }], never);
}

async function search(files: GuestFiles): Promise<void> {
  const more = { literal: true, caseSensitive: true, globs: [], ignored: true, context: 0, limit: 10 };
  await files.search({ path: "small", pattern: "no such thing", ...more }, never);
}
