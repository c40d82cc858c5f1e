import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openLab } from "../../test/support/lab.ts";
import type { Bench } from "../lib/bench.ts";
import { loopbackName, openFarSide } from "./far-side.ts";
import { openHaproxy } from "./haproxy.ts";
import { missing, type Missing } from "./missing.ts";
import { openTinyproxy } from "./tinyproxy.ts";

const CLIENT = readFileSync(new URL("../lib/egress-client.mjs", import.meta.url), "utf8");
const PROXY_PORT = 3128;

/** What a client is to do. */
export interface Wish {
  readonly mode: "setup" | "request" | "throughput" | "many";
  /** Bytes for `throughput`, else connections or requests. */
  readonly count: number;
  /** Bytes a second that the far side sends at most; as fast as it can when absent. */
  readonly rate?: number | undefined;
}

/** One way to the far side. Its samples are milliseconds or MB/s, null for what failed. */
export interface Way {
  readonly name: string;
  measure(wish: Wish): Promise<(number | null)[]>;
}

/** A way whose program is not on this host. */
export interface NoWay extends Missing {
  readonly name: string;
}

/** Ways to the same far side on loopback. */
export interface EgressWays {
  readonly ours: Way;
  /** Ours to a port for which a secret is bound. */
  readonly secretly: Way;
  readonly direct: Way;
  /** An HTTP proxy in C. */
  readonly proxy: Way | NoWay;
  /** A relay in C that looks at nothing of what it carries. */
  readonly relay: Way | NoWay;
}

/** Opens the far side, a machine that may reach it, and the peers, measures, and closes them. */
export async function withEgressWays<Result>(
  bench: Bench,
  measure: (ways: EgressWays) => Promise<Result>,
): Promise<Result> {
  const host = loopbackName();
  const folder = mkdtempSync(join(tmpdir(), "doorward-egress-"));
  try {
    await using far = await openFarSide(folder);
    await using bound = await openFarSide(folder);
    const [tinyproxy, haproxy] = [
      await openTinyproxy(bench.install),
      await openHaproxy(bench.install, far.port),
    ];
    await using _tinyproxy = missing(tinyproxy) ? null : bench.own(tinyproxy);
    await using _haproxy = missing(haproxy) ? null : bench.own(haproxy);
    await using machine = await openMachine(host, [far.port, bound.port], join(folder, "ca.pem"));
    const inMachine = (name: string, port: number): Way => ({
      name,
      measure: (wish) => machine.run(["node", ...client({ ...wish, host, port, proxy: PROXY_PORT })]),
    });
    const onHost = (name: string, port: number, proxy: number | null): Way => ({
      name,
      measure: (wish) => runHere(client({ ...wish, host, port, proxy })),
    });
    return await measure({
      ours: inMachine("doorward", far.port),
      secretly: inMachine("doorward", bound.port),
      direct: onHost("direct", far.port, null),
      proxy: missing(tinyproxy)
        ? { name: "tinyproxy", ...tinyproxy }
        : onHost("tinyproxy", far.port, tinyproxy.port),
      relay: missing(haproxy) ? { name: "haproxy", ...haproxy } : onHost("haproxy", haproxy.port, null),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Machine extends AsyncDisposable {
  run(argv: readonly string[]): Promise<(number | null)[]>;
}

/** A machine that may reach the ports of the host, with a secret bound to the second. */
async function openMachine(
  host: string,
  [far, bound]: readonly [number, number],
  ca: string,
): Promise<Machine> {
  const ports = `[${String(far)}, ${String(bound)}]`;
  const rule = `{ host: ${host}, ports: ${ports}, addresses: [127.0.0.0/8], ca: ${ca} }`;
  const lab = await openLab({ policy: `egress:\n  allow:\n    - ${rule}\n` });
  try {
    await lab.run(["secret", "set", "API_KEY"], { input: "bench-value-0123456789abcdef" });
    const secret = `API_KEY=${host},x-api-key,port=${String(bound)}`;
    const machine = await lab.up(lab.repo("bench"), "--secret", secret);
    return {
      run: async (argv) => read((await lab.exec(machine, argv)).stdout),
      [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
    };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

function client(
  options: Wish & { readonly host: string; readonly port: number; readonly proxy: number | null },
) {
  return ["--input-type=module", "-e", CLIENT, JSON.stringify(options)];
}

async function runHere(args: readonly string[]): Promise<(number | null)[]> {
  return read((await promisify(execFile)(process.execPath, args)).stdout);
}

function read(printed: string): (number | null)[] {
  return JSON.parse(printed) as (number | null)[];
}
