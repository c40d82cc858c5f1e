import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { writeDurably } from "./durable-file.ts";

const FILE = "installation-id";
const FORM = /^i_[a-f0-9]{24}$/;

/**
 * Id of this installation, made at the first start. Containers carry it as a label, so a damaged one is refused
 * (STATE_INVALID): a new id would disown every running machine. Call it while the state folder is locked.
 */
export function installationId(stateFolder: string): string {
  const path = join(stateFolder, FILE);
  if (!existsSync(path)) writeDurably(path, `i_${randomBytes(12).toString("hex")}\n`);
  const id = readFileSync(path, "utf8").trim();
  if (FORM.test(id)) return id;
  throw new DoorwardError({
    code: "STATE_INVALID",
    message: `Cannot read the installation id: "${path}" does not hold one`,
    hint: "podman ps -a --format '{{index .Labels \"dev.doorward.installation\"}}'",
    details: { path },
  });
}
