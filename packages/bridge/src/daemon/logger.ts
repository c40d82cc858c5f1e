import { join } from "node:path";
import { pino, type Logger } from "pino";
import pinoRoll from "pino-roll";

const SIZE = "8m";
const KEPT = 4;

/** The bridge's log: JSON lines in the state folder, rotated by size; secrets are redacted wherever a field of that name appears. */
export async function openLog(stateDir: string): Promise<Logger> {
  const file = join(stateDir, "logs", "bridge");
  const stream = await pinoRoll({ file, extension: ".log", size: SIZE, limit: { count: KEPT }, mkdir: true });
  return pino(
    {
      level: "info",
      base: { pid: process.pid },
      redact: ["*.token", "*.authorization", "headers.authorization"],
    },
    stream,
  );
}
