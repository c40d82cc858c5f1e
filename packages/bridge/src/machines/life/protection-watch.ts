import type { MachineEngine } from "../engine.ts";
import { lostProtections } from "../mounts/index.ts";
import type { MachineRecord } from "./record.ts";

const LOOK_MS = 5_000;

/** Whose protections are looked after, and who is told of a lost one. */
export interface ProtectionWatch {
  readonly running: () => readonly MachineRecord[];
  readonly engine: Pick<MachineEngine, "list">;
  readonly lost: (id: string, targets: readonly string[]) => void;
}

/**
 * Looks every five seconds whether the protections of running machines are still mounted. The kernel drops a mount
 * when the host replaces the file under it (its own `git config` does), and the machine could then write the new one.
 */
export function watchProtections(watch: ProtectionWatch): Disposable {
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look(watch).finally(() => (looking = false));
  }, LOOK_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function look({ running, engine, lost }: ProtectionWatch): Promise<void> {
  const guarded = running().filter((record) => record.protections.length > 0);
  if (guarded.length === 0) return;
  const pids = new Map((await engine.list().catch(() => [])).map((each) => [each.containerId, each.pid]));
  for (const { id, containerId, fingerprint } of guarded) {
    const pid = pids.get(containerId ?? "");
    if (pid === undefined || fingerprint === null) continue;
    const gone = await lostProtections(pid, fingerprint.inputs.mounts).catch(() => []);
    if (gone.length > 0)
      lost(
        id,
        gone.map((mount) => mount.target),
      );
  }
}
