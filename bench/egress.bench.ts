import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensureMachineCa } from "../packages/bridge/src/egress/tls/machine-ca.ts";
import { openLab } from "../test/support/lab.ts";
import type { Bench } from "./lib/bench.ts";
import { besideOf, type BenchPart, type BenchRow, type Beside } from "./lib/row.ts";
import { median, summarise } from "./lib/summary.ts";
import { missing } from "./peers/missing.ts";
import { openTinyproxy } from "./peers/tinyproxy.ts";

const CLIENT = readFileSync(new URL("lib/egress-client.mjs", import.meta.url), "utf8");
const [SETUP_MS, SHARE, REQUEST_MS, MANY] = [3, 0.8, 10, 200];
/** Bytes a second of a far side behind one gigabit: what networks give, unlike loopback. */
const GIGABIT = 125_000_000;

type Measure = (mode: string, count: number, bound?: boolean) => Promise<(number | null)[]>;

/** The guarded way out beside a direct connection and tinyproxy. */
export const egressPart: BenchPart = {
  id: "egress",
  title: "the way out",
  async run(bench) {
    const host = loopbackName();
    if (host === undefined) throw new Error("needs a name besides localhost for 127.0.0.1 in /etc/hosts");
    const folder = mkdtempSync(join(tmpdir(), "doorward-egress-"));
    const far = [serve(folder), serve(folder)];
    const tiny = await openTinyproxy(bench.install);
    try {
      const [port, bound] = [await listening(far[0]!), await listening(far[1]!)];
      const rule = `{ host: ${host}, ports: [${String(port)}, ${String(bound)}], addresses: [127.0.0.0/8], ca: ${join(folder, "ca.pem")} }`;
      await using lab = await openLab({ policy: `egress:\n  allow:\n    - ${rule}\n` });
      await lab.run(["secret", "set", "API_KEY"], { input: "bench-value-0123456789abcdef" });
      const secret = `API_KEY=${host},x-api-key,port=${String(bound)}`;
      const machine = await lab.up(lab.repo("bench"), "--secret", secret);
      const options = (mode: string, count: number, proxy: number | null, to: number): string =>
        JSON.stringify({ mode, count, host, proxy, port: to });
      const ours: Measure = async (mode, count, secretly = false) => {
        const argument = options(mode, count, 3128, secretly ? bound : port);
        const ran = await lab.exec(machine, ["node", "--input-type=module", "-e", CLIENT, argument]);
        return JSON.parse(ran.stdout) as (number | null)[];
      };
      const onHost =
        (proxy: number | null): Measure =>
        async (mode, count) => {
          const args = ["--input-type=module", "-e", CLIENT, options(mode, count, proxy, port)];
          const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1e8 });
          return JSON.parse(stdout) as (number | null)[];
        };
      return await rows(bench, ours, onHost(null), missing(tiny) ? tiny.missing : onHost(tiny.port));
    } finally {
      if (!missing(tiny)) await tiny[Symbol.asyncDispose]();
      for (const server of far) server.close().closeAllConnections();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function rows(
  bench: Bench,
  ours: Measure,
  direct: Measure,
  tiny: Measure | string,
): Promise<BenchRow[]> {
  const known = (samples: readonly (number | null)[]): number[] => samples.filter((each) => each !== null);
  const besides = async (mode: string, count: number): Promise<[Beside, Beside]> => {
    const plain = besideOf("direct", summarise(known(await direct(mode, count))));
    if (typeof tiny === "string") return [plain, { name: "tinyproxy", value: null, note: tiny }];
    return [plain, besideOf("tinyproxy", summarise(known(await tiny(mode, count))))];
  };
  bench.say("set up connections");
  const count = bench.pick({ quick: 50, normal: 500 });
  await ours("setup", 20);
  const setup = summarise(known(await ours("setup", count)));
  const setupBeside = await besides("setup", count);
  const added = setup.p50 - (setupBeside[0].value ?? 0);
  bench.say("move bytes");
  const bytes = bench.pick({ quick: 50_000_000, normal: 300_000_000 });
  const speeds: number[] = [];
  for (let round = 0; round < 3; round += 1) speeds.push(...known(await ours("throughput", bytes)));
  const speed = median(speeds);
  const speedBeside = await besides("throughput", bytes);
  bench.say("move bytes as fast as a gigabit");
  const paced: number[] = [];
  for (let round = 0; round < 3; round += 1) paced.push(...known(await ours("paced", bytes)));
  const pacedSpeed = median(paced);
  const pacedBeside = await besides("paced", bytes);
  bench.say("many connections at once");
  const many = await ours("many", MANY);
  const manyBeside = await besides("many", MANY);
  bench.say("requests with a secret");
  const requests = summarise(known(await ours("request", count, true)));
  const requestBeside = await besides("request", count);
  const failures = many.filter((each) => each === null).length;
  return [
    {
      name: "CONNECT set-up",
      unit: "ms",
      value: setup.p50,
      p99: setup.p99,
      samples: setup.count,
      reach: `<= ${String(SETUP_MS)} ms added`,
      met: added <= SETUP_MS,
      beside: setupBeside,
    },
    {
      name: "throughput of the way out",
      unit: "MB/s",
      value: speed,
      samples: speeds.length,
      reach: `>= ${String(SHARE)}x direct`,
      met: speed >= SHARE * (speedBeside[0].value ?? Infinity),
      beside: speedBeside,
    },
    {
      name: "throughput, far side behind 1 Gbit/s",
      unit: "MB/s",
      value: pacedSpeed,
      samples: paced.length,
      reach: `>= ${String(SHARE)}x direct`,
      met: pacedSpeed >= SHARE * (pacedBeside[0].value ?? Infinity),
      beside: pacedBeside,
      note: "the far side sends at most 125 MB/s",
    },
    {
      name: `${String(MANY)} connections at once`,
      unit: "ms",
      ...spread(known(many)),
      reach: "no failure",
      met: failures === 0,
      beside: manyBeside,
      note: `${String(failures)} failed`,
    },
    {
      name: "request with a secret put in",
      unit: "ms",
      value: requests.p50,
      p99: requests.p99,
      samples: requests.count,
      reach: `p99 <= ${String(REQUEST_MS)} ms`,
      met: requests.p99 <= REQUEST_MS,
      beside: requestBeside,
      note: "the whole request, of which substitution is a part",
    },
  ];
}

function spread(samples: readonly number[]): { value: number; p99: number; samples: number } {
  const { p50, p99, count } = summarise(samples);
  return { value: p50, p99, samples: count };
}

function serve(folder: string) {
  const ca = ensureMachineCa(folder);
  return createServer(
    { SNICallback: (name, done) => done(null, ca.contextFor(name)) },
    (request, response) => {
      const [path = "", rate] = (request.url ?? "").slice(1).split("/");
      const size = Number(path);
      response.setHeader("content-length", size);
      const piece = Buffer.alloc(65_536, 0x61);
      let left = size;
      const began = performance.now();
      const tooFast = (): boolean =>
        rate === "paced" && size - left > ((performance.now() - began) / 1000) * GIGABIT;
      const more = (): void => {
        while (left > 0) {
          if (tooFast()) return void setTimeout(more, 1);
          const part = piece.subarray(0, Math.min(left, piece.length));
          left -= part.length;
          if (!response.write(part)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    },
  );
}

function listening(server: ReturnType<typeof serve>): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
  );
}

function loopbackName(): string | undefined {
  const names = readFileSync("/etc/hosts", "utf8")
    .split("\n")
    .flatMap((line) => /^127\.0\.0\.1\s+(.*)$/.exec(line.replace(/#.*/, "").trim())?.[1]?.split(/\s+/) ?? []);
  return names.find((name) => /^[a-z0-9][a-z0-9.-]*$/.test(name) && !name.includes("localhost"));
}
