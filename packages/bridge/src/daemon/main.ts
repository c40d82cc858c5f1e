/** The bridge as a process: one per user and state folder, started on demand by the command. */
import { toDoorwardError } from "@doorward/contracts";
import { createFolders, lockState, resolveFolders } from "../state/index.ts";
import { Bridge, type StopReason } from "./bridge.ts";
import { collectWhenQuiet } from "./collect-when-quiet.ts";
import { openLog } from "./logger.ts";

const STOP_MS = 15_000;

/** A promise that is settled from outside. */
class Deferred<T> {
  resolve!: (value: T) => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

async function main(): Promise<void> {
  const folders = resolveFolders(process.env);
  createFolders(folders);
  using _lock = await lockState(folders);
  const log = openLog(folders.state);
  const stopping = new Deferred<StopReason>();
  const bridge = await Bridge.open({ folders, log, onStop: stopping.resolve });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
    process.on(signal, () => stopping.resolve("signal"));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "unexpected fault, the bridge ends");
    stopping.reject(error);
  });
  log.info({ socket: bridge.socket }, "bridge is listening");
  using _quiet = collectWhenQuiet();
  const reason = await stopping.promise;
  setTimeout(() => process.exit(1), STOP_MS).unref();
  await bridge.close(reason);
  log.info({ reason }, "bridge stopped");
}

main().then(
  () => process.exit(0),
  (thrown: unknown) => {
    const { code, message, hint } = toDoorwardError(thrown);
    process.stderr.write(`${code}: ${message}${hint === undefined ? "" : `\n  ${hint}`}\n`);
    process.exit(1);
  },
);
