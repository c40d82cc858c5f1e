import { version } from "../build-id.ts";
import type { Cli } from "./cli.ts";

const interrupted = 130;

/** Runs the command line of this process and returns its exit code. */
async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  const { runProgram, splitArguments } = await import("./program.ts");
  const { own, passthrough } = splitArguments(argv);
  const stop = new AbortController();
  const cli: Cli = {
    env: process.env,
    get cwd() {
      return process.cwd();
    },
    script: process.argv[1],
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    signal: stop.signal,
    passthrough,
    exitCode: 0,
  };
  const signals = { SIGINT: interrupted, SIGTERM: 143, SIGHUP: 129 } as const;
  let signalled = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal !== "SIGINT" && signal !== "SIGTERM" && signal !== "SIGHUP") return;
    if (signalled !== 0) process.exit(signals[signal]);
    signalled = signals[signal];
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  await runProgram(cli, own);
  return signalled !== 0 && cli.exitCode !== 0 ? signalled : cli.exitCode;
}

/** A reader that went away (`doorward ls | head`) is no fault. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EPIPE") throw cause;
  });
}

const code = await main(process.argv.slice(2));
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))),
);
process.exit(code);
