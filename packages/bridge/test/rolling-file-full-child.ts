import { once } from "node:events";
import { pino } from "pino";
import { openRollingFile } from "../src/daemon/rolling-file.ts";

const [, , folder = ""] = process.argv;
const file = openRollingFile({ folder, name: "bridge", bytes: 1_000_000, kept: 1 });
const log = pino(file);
await once(file, "ready");
const failed = once(file, "error").catch((error: unknown) => error);
log.info("finds no room");
await failed;
log.fatal("finds none either");
process.stdout.write("goes on\n");
process.exit(0);
