import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { DenialError } from "@doorward/contracts";

const CA_BYTES = 1_048_576;
const MANY = 64;

const read = new Map<string, { readonly seen: string; readonly text: string }>();

/** Reads the PEM authorities that a rule names, again whenever the file is another one; EGRESS_DENIED when there are none. */
export function readAuthorities(path: string): string {
  const real = path.startsWith("~") ? `${homedir()}${path.slice(1)}` : path;
  try {
    // Asked for at every request: one look at the file costs some microseconds, reading it a hundred times that.
    const file = statSync(real, { bigint: true });
    const seen = [file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs].join(" ");
    const known = read.get(real);
    if (known?.seen === seen) return known.text;
    const text = file.isFile() && file.size <= CA_BYTES ? readFileSync(real, "utf8") : "";
    if (text.includes("-----BEGIN CERTIFICATE-----")) {
      if (read.size >= MANY) read.clear();
      read.set(real, { seen, text });
      return text;
    }
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
