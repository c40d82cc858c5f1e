import { join } from "node:path";
import { pino, type Logger } from "pino";
import { openRollingFile } from "./rolling-file.ts";

const BYTES = 8 * 1024 * 1024;
const KEPT = 4;

/** The bridge's log: JSON lines in the state folder, rotated by size; secrets are redacted wherever a field of that name appears. */
export function openLog(stateDir: string): Logger {
  return pino(
    {
      level: "info",
      base: { pid: process.pid },
      redact: ["*.token", "*.authorization", "headers.authorization"],
    },
    openRollingFile({ folder: join(stateDir, "logs"), name: "bridge", bytes: BYTES, kept: KEPT }),
  );
}
