import { setImmediate as reading, setTimeout as sleep } from "node:timers/promises";

const TURNS = 20;
const TURN_MS = 100;

/**
 * Waits until the streams of a program are closed that is dead, with all that it started. Whom it handed them to, over a
 * socket, may hold them open for ever, so nobody waits for that longer than about two seconds. These are counted in turns,
 * each of which takes what there is to read: all that the program wrote lies in its streams by now and one turn takes all
 * of it, so a bridge that stood still meanwhile, for however long, loses nothing of it.
 */
export async function lastOutput(closed: Promise<unknown>): Promise<void> {
  const waited = new AbortController();
  const over = closed.then(
    () => waited.abort(),
    () => waited.abort(),
  );
  for (let turn = 0; turn < TURNS && !waited.signal.aborted; turn += 1) {
    const time = sleep(TURN_MS, undefined, { signal: waited.signal }).catch(() => undefined);
    await Promise.race([over, time]);
    await reading();
  }
}
