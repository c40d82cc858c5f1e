import { availableParallelism } from "node:os";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { LogFiles } from "./log-files.ts";
import { checkBundle, type BundleResult, type BundleTask, type KeySpan } from "./verify-bundle.ts";

/** Below this many bundles, starting threads costs more than it saves. */
const BUNDLES_PER_THREAD = 16;

/** Bundles that a thread has at hand, so that it never waits for the next. */
const IN_FLIGHT = 4;

/** Checks bundles on all cores and yields the results in order; memory stays bounded by what is in flight. */
export async function* checkBundles(
  dir: string,
  tasks: readonly BundleTask[] | Iterable<BundleTask>,
  count: number,
  spans: readonly KeySpan[],
): AsyncGenerator<BundleResult> {
  const threads = Math.min(availableParallelism(), Math.floor(count / BUNDLES_PER_THREAD));
  if (threads < 2) {
    const files = new LogFiles(dir);
    for (const task of tasks) yield checkBundle(files, task, spans);
    return;
  }
  const lanes = Array.from({ length: threads }, () => new Lane(dir, spans));
  try {
    yield* inOrder(lanes, tasks);
  } finally {
    await Promise.all(lanes.map((lane) => lane[Symbol.asyncDispose]()));
  }
}

/** Lane i checks every i-th bundle, so the results come in order without a queue to sort. */
async function* inOrder(lanes: readonly Lane[], tasks: Iterable<BundleTask>): AsyncGenerator<BundleResult> {
  const pending: Promise<BundleResult>[] = [];
  let sent = 0;
  for (const task of tasks) {
    const lane = lanes[sent++ % lanes.length];
    if (lane === undefined) return;
    pending.push(lane.check(task));
    const next = pending.length < lanes.length * IN_FLIGHT ? undefined : pending.shift();
    if (next !== undefined) yield await next;
  }
  for (const result of pending) yield await result;
}

class Lane implements AsyncDisposable {
  readonly #worker: Worker;
  #failure: Error | null = null;
  readonly #waiting = new Map<
    number,
    { resolve(result: BundleResult): void; reject(error: unknown): void }
  >();

  constructor(dir: string, spans: readonly KeySpan[]) {
    const workerData = { dir, spans: spans.map(({ from, key }) => ({ from, raw: new Uint8Array(key.raw) })) };
    this.#worker = startThread({ workerData });
    this.#worker.on("message", (result: BundleResult) => {
      this.#waiting.get(result.n)?.resolve(result);
      this.#waiting.delete(result.n);
    });
    this.#worker.on("error", (error) => {
      this.#failure = error;
      for (const waiting of this.#waiting.values()) waiting.reject(error);
    });
  }

  check(task: BundleTask): Promise<BundleResult> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const answer = new Promise<BundleResult>((resolve, reject) =>
      this.#waiting.set(task.n, { resolve, reject }),
    );
    answer.catch(() => undefined); // whoever awaits it gets the error; one that is dropped must not end the process
    this.#worker.postMessage(task);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Starts verify-worker; run from its source, the thread has to load tsx by itself (Node 20 does not hand it on). */
function startThread(options: WorkerOptions): Worker {
  if (!import.meta.url.endsWith(".ts"))
    return new Worker(new URL("./verify-worker.js", import.meta.url), options);
  const [tsx, file] = [
    import.meta.resolve("tsx/esm/api"),
    new URL("./verify-worker.ts", import.meta.url).href,
  ];
  const code = `import(${JSON.stringify(tsx)}).then(({ register }) => (register(), import(${JSON.stringify(file)})))`;
  return new Worker(code, { ...options, eval: true });
}
