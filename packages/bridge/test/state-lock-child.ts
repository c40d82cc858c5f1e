import { writeSync } from "node:fs";
import { DoorwardError } from "@doorward/contracts";
import { lockState } from "../src/state/index.ts";

/** Takes the lock and holds it until killed, or prints why it could not. */
const [state = "", runtime = ""] = process.argv.slice(2);
try {
  await lockState({ state, runtime });
  writeSync(1, "held\n");
  setInterval(() => undefined, 1000);
} catch (error) {
  const told =
    error instanceof DoorwardError ? `${error.code} ${String(error.details?.["pid"])}` : String(error);
  writeSync(1, `${told}\n`);
}
