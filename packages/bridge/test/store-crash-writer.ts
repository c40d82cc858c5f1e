import { writeSync } from "node:fs";
import { pino } from "pino";
import * as z from "zod";
import { Store } from "../src/store/index.ts";

/** Writes documents for ever and prints the id of each once `put` has returned; the test kills it at some moment. */
const [dir = "", prefix = ""] = process.argv.slice(2);
const store = Store.open({ dir, log: pino({ level: "silent" }) });
const left = store.documents("left", z.strictObject({ id: z.string(), text: z.string() }));
const right = store.documents("right", z.strictObject({ id: z.string() }));
for (let number = 0; ; number += 1) {
  const id = `${prefix}-${number}`;
  left.transaction(() => {
    left.put(id, { id, text: "x".repeat((number * 37) % 3000) });
    right.put(id, { id });
  });
  writeSync(1, `${id}\n`);
}
