/** `npm run bench`: measures the built product beside its peers. Progress goes to stderr, the table or the JSON to stdout. */
import { availableParallelism, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { echoPart } from "./echo.bench.ts";
import { egressPart } from "./egress.bench.ts";
import { evidencePart } from "./evidence.bench.ts";
import { execPart } from "./exec.bench.ts";
import { filesPart } from "./files.bench.ts";
import { idlePart } from "./idle.bench.ts";
import { launchPart } from "./launch.bench.ts";
import { Bench, type Size } from "./lib/bench.ts";
import type { BenchPart, BenchRow } from "./lib/row.ts";
import { load, markdownTable, remarks } from "./lib/table.ts";
import { mcpPart } from "./mcp.bench.ts";
import { revokeMcpPart } from "./revoke-mcp.bench.ts";
import { revokePart } from "./revoke.bench.ts";
import { throughputPart } from "./throughput.bench.ts";

const PARTS = [
  launchPart,
  echoPart,
  throughputPart,
  execPart,
  mcpPart,
  filesPart,
  revokePart,
  revokeMcpPart,
  evidencePart,
  egressPart,
  idlePart,
];

const HELP = `usage: npm run bench -- [--quick | --full] [--only PART]... [--json] [--install]

Measures the built product in an installation of its own, each row beside its peer in the same run.

  --only PART  one part, may be repeated: ${PARTS.map(({ id }) => id).join(", ")}
  --quick      few samples: whether it works, not how fast
  --full       more: a million records of evidence, 200 MB of terminal output
  --json       one JSON document instead of the table
  --install    install peers that are missing (openssh-server, tinyproxy-bin, haproxy, with apt-get)

example: npm run bench -- --only echo --only exec
`;

interface Options {
  readonly parts: readonly BenchPart[];
  readonly size: Size;
  readonly json: boolean;
  readonly install: boolean;
}

interface Failure {
  readonly part: string;
  readonly message: string;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) return 2;
  await using bench = new Bench({ size: options.size, install: options.install, say });
  onInterrupt(bench);
  const [rows, failures]: [BenchRow[], Failure[]] = [[], []];
  for (const part of options.parts) {
    try {
      rows.push(...(await part.run(bench)).map((row) => ({ ...row, load: load() })));
    } catch (error) {
      failures.push({ part: part.id, message: error instanceof Error ? error.message : String(error) });
      process.stderr.write(`${part.title}: ${failures.at(-1)?.message ?? ""}\n`);
    }
  }
  process.stdout.write(options.json ? asJson(options, rows, failures) : asText(rows));
  return failures.length === 0 ? 0 : 1;
}

/** Ctrl-C leaves nothing behind either. */
function onInterrupt(bench: Bench): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      say("interrupted, cleaning up");
      void bench[Symbol.asyncDispose]().finally(() => process.exit(130));
    });
  }
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: "string", multiple: true, default: [] },
        quick: { type: "boolean", default: false },
        full: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        install: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const unknown = values.only.find((id) => !PARTS.some((part) => part.id === id));
    if (unknown !== undefined) throw new Error(`Unknown part "${unknown}"`);
    if (values.quick && values.full) throw new Error("--quick and --full exclude each other");
    if (values.help) throw new Error("");
    const parts = values.only.length === 0 ? PARTS : PARTS.filter(({ id }) => values.only.includes(id));
    const size = values.quick ? "quick" : values.full ? "full" : "normal";
    return { parts, size, json: values.json, install: values.install };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
    return undefined;
  }
}

function asJson(options: Options, rows: readonly BenchRow[], failures: readonly Failure[]): string {
  const document = { date: new Date().toISOString(), size: options.size, host: host(), rows, failures };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function asText(rows: readonly BenchRow[]): string {
  if (rows.length === 0) return "";
  const loads = rows.map(({ load: at = 0 }) => at);
  const { cores, memoryGiB, node } = host();
  const about = `${String(cores)} cores, ${String(memoryGiB)} GiB, Node ${node}; load average ${String(Math.min(...loads))} to ${String(Math.max(...loads))}`;
  return `\n${markdownTable(rows)}\n\n${remarks(rows)}\n\n${about}\n`;
}

function host() {
  return {
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
  };
}

function say(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} load ${load().toFixed(1)}  ${text}\n`);
}

process.exitCode = await main();
