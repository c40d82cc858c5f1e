// Files through a guest's file stream, beside sftp on the same folder without a network or encryption:
//   node --conditions=source --import tsx bench/guest-files.ts [FOLDER]
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGuestFiles, type GuestFiles } from "@doorward/guest";
import { startLab } from "../packages/bridge/test/guest-harness.ts";

const FILES = 10_000;
const SMALL = Buffer.alloc(3000, "x");
const LARGE = Buffer.alloc(100_000_000, "y");
const SFTP_SERVER = "/usr/lib/openssh/sftp-server";
const ROUNDS = 3;
const never = new AbortController().signal;
const whole = { offset: 0, length: 128_000_000 };

const base = realpathSync(mkdtempSync(join(process.argv[2] ?? tmpdir(), "doorward-bench-files-")));
const repo = join(base, "repo");
const results: Record<string, unknown> = {};
await using lab = await startLab();
try {
  prepare();
  await using files = await openGuestFiles(
    lab.link,
    { roots: [{ path: repo, access: "rw" }], workdir: repo },
    never,
  );
  const idle = await rss();
  results["read 10,000 small files, ms"] = await best(() => readSmall(files));
  results["sftp, ms"] = sftp(`get -r ${repo}/small ${base}/got-small`);
  results["read one 100 MB file, ms"] = await best(() => readLarge(files));
  results["sftp 100 MB, ms"] = sftp(`get ${repo}/large ${base}/got-large`);
  results["write 100 MB, ms"] = await best(() => write(files, "copy", LARGE));
  results["write 1,000 small files, ms"] = await best(() => writeSmall(files));
  // a thousand of them
  results["one small read, one at a time, us"] = await best(() => oneByOne(files));
  results["search everything by descriptors, ms"] = await best(() => search(files));
  await using all = await openGuestFiles(
    lab.link,
    { roots: [{ path: "/", access: "rw" }], workdir: repo },
    never,
  );
  results["search everything by paths, ms"] = await best(() => search(all));
  results["rg itself, ms"] = await best(rg);
  results["guest, MiB idle and after"] = [idle, await rss()];
} finally {
  rmSync(base, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);

function prepare(): void {
  for (let folder = 0; folder < 100; folder += 1) {
    mkdirSync(join(repo, "small", String(folder)), { recursive: true });
    for (let at = 0; at < FILES / 100; at += 1)
      writeFileSync(join(repo, "small", String(folder), String(at)), SMALL);
  }
  writeFileSync(join(repo, "large"), LARGE);
}

async function readSmall(files: GuestFiles): Promise<void> {
  const names = Array.from(
    { length: FILES },
    (_, at) => `small/${String(Math.floor(at / 100))}/${String(at % 100)}`,
  );
  const contents = await Promise.all(names.map((name) => files.read(name, whole, never)));
  if (contents.some(({ bytes }) => bytes.length !== SMALL.length)) throw new Error("a file is not whole");
}

async function readLarge(files: GuestFiles): Promise<void> {
  await files.read("large", whole, never);
}

async function oneByOne(files: GuestFiles): Promise<void> {
  for (let at = 0; at < 1000; at += 1) await files.read(`small/0/${String(at % 100)}`, whole, never);
}

async function write(files: GuestFiles, path: string, bytes: Buffer): Promise<void> {
  await files.change([{ kind: "write", path, bytes, expect: "any", parents: true }], never);
}

async function writeSmall(files: GuestFiles): Promise<void> {
  await Promise.all(Array.from({ length: 1000 }, (_, at) => write(files, `new/${String(at)}`, SMALL)));
}

async function search(files: GuestFiles): Promise<void> {
  const more = { literal: true, caseSensitive: true, globs: [], ignored: true, context: 0, limit: 10 };
  await files.search({ path: "small", pattern: "no such thing", ...more }, never);
}

function rg(): Promise<void> {
  const program = "node_modules/@vscode/ripgrep-linux-x64/bin/rg";
  try {
    execFileSync(program, ["-uu", "no such thing", join(repo, "small")]);
  } catch {
    // nothing found
  }
  return Promise.resolve();
}

function sftp(command: string): number | string {
  if (!existsSync(SFTP_SERVER)) return "no sftp-server here";
  const began = performance.now();
  execFileSync("sftp", ["-q", "-b", "-", "-D", SFTP_SERVER], {
    input: `${command}\n`,
    stdio: ["pipe", "ignore", "inherit"],
  });
  return Math.round(performance.now() - began);
}

async function rss(): Promise<number> {
  return Math.round((await lab.link.health(never)).rssBytes / 1_048_576);
}

async function best(work: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return Math.round(Math.min(...times));
}
