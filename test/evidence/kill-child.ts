// appends without end and says on stdout what was acknowledged; test/evidence/kill.ts kills it
import { writeSync } from "node:fs";
import { openLog, record } from "./support.ts";

const [dir = "", lanes = "8", journalBytes = "1000000"] = process.argv.slice(2);
const log = await openLog(dir, Number(journalBytes));
writeSync(1, "open\n");
let n = 0;
await Promise.all(
  Array.from({ length: Number(lanes) }, async () => {
    for (;;) {
      const { index, recordId, leafHash } = await log.append(record(n++));
      writeSync(1, `${String(index)} ${recordId} ${leafHash}\n`);
    }
  }),
);
