import { parentPort, workerData } from "node:worker_threads";
import * as z from "zod";
import { publicKeyOf } from "./key.ts";
import { LogFiles } from "./log-files.ts";
import { publicReader } from "./read-public.ts";
import { checkBundle } from "./verify-bundle.ts";

const Data = z.strictObject({
  dir: z.string(),
  spans: z.array(z.strictObject({ from: z.int(), raw: z.instanceof(Uint8Array) })),
});
const Task = z.strictObject({ n: z.int(), width: z.int(), records: z.boolean() });

// the thread of a verification: checks bundles that verify-pool.ts sends, one answer for each
const { dir, spans } = Data.parse(workerData);
const read = publicReader();
const files = new LogFiles(dir, (path) => Promise.resolve(read(path)));
const keys = spans.map(({ from, raw }) => ({ from, key: publicKeyOf(raw) }));
// one after the other: the reader has room for one bundle and its hashes
let last = Promise.resolve();
parentPort?.on("message", (message: unknown) => {
  last = last.then(async () => {
    parentPort?.postMessage(await checkBundle(files, Task.parse(message), keys));
  });
});
