import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import type { Documents, Store } from "../store/index.ts";

const DEFAULT_PORT = 7611;
const RUN = "run";
const TCP = "tcp";

const Setting = z.union([
  z.strictObject({ kind: z.literal("tcp"), port: z.int().min(1024).max(65_535) }),
  z.strictObject({
    kind: z.literal("run"),
    startedAt: z.iso.datetime(),
    stoppedAt: z.iso.datetime().nullable(),
  }),
]);
type Setting = z.infer<typeof Setting>;

/** How the run before this one ended. */
export type PreviousRun = "none" | "clean" | "crashed";

/** What the bridge remembers of itself between runs. */
export class Settings {
  readonly #documents: Documents<Setting>;

  constructor(store: Store) {
    this.#documents = store.documents("settings", Setting);
  }

  /** The loopback port: the policy's, or the one that was chosen at first start and is kept ever since. */
  async port(fromPolicy: number | undefined): Promise<number> {
    if (fromPolicy !== undefined) return fromPolicy;
    const kept = this.#documents.get(TCP);
    if (kept?.kind === "tcp") return kept.port;
    const port = (await isFree(DEFAULT_PORT)) ? DEFAULT_PORT : await anyFree();
    this.#documents.put(TCP, { kind: "tcp", port });
    return port;
  }

  /** Notes that this run began; answers how the one before ended. */
  began(): PreviousRun {
    const run = this.#documents.get(RUN);
    this.#note({ kind: "run", startedAt: new Date().toISOString(), stoppedAt: null });
    if (run?.kind !== "run") return "none";
    return run.stoppedAt === null ? "crashed" : "clean";
  }

  /** On a full disk the run goes without a note of it: the operator needs his machines most then. */
  #note(run: Setting): void {
    try {
      this.#documents.put(RUN, run);
    } catch (error) {
      if (!(error instanceof DoorwardError) || error.code !== "STATE_UNWRITABLE") throw error;
    }
  }

  /** Notes that this run ends in good order. */
  ended(): void {
    const run = this.#documents.get(RUN);
    if (run?.kind === "run") this.#note({ ...run, stoppedAt: new Date().toISOString() });
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Below the ports that systems give to outgoing connections, one of which may have it at the next start. */
async function anyFree(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(10_000, 30_000);
    if (await isFree(port)) return port;
  }
  return DEFAULT_PORT;
}
