import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { DenialError } from "@doorward/contracts";

const CA_BYTES = 1_048_576;

/** Reads the PEM authorities that a rule names; EGRESS_DENIED when there are none. */
export async function readAuthorities(path: string): Promise<string> {
  const real = path.startsWith("~") ? `${homedir()}${path.slice(1)}` : path;
  try {
    const text = await readFile(real, "utf8");
    if (text.length <= CA_BYTES && text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch {
    // Told below: without the authorities of its rule a host can't be checked, and so is not reached.
  }
  throw new DenialError({
    code: "EGRESS_DENIED",
    rule: "egress.ca",
    message: `Cannot use the authorities in "${path}": it is no readable file with PEM certificates`,
    hint: `ls -l ${path}`,
  });
}
