import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { DenialError } from "@doorward/contracts";
import { whyUnreadable } from "../state/index.ts";

const CA_BYTES = 1_048_576;
const MANY = 64;

interface Read {
  readonly seen: string;
  readonly text: string;
}

const read = new Map<string, Read>();

/**
 * The PEM authorities that a rule names. The file is looked at for every request and read again whenever it is another one,
 * so that an authority that is taken out of it counts no longer; nobody else waits for a slow disk meanwhile. EGRESS_DENIED
 * with the reason when there are none: without the authorities of its rule a host can't be checked, and so is not reached.
 */
export async function readAuthorities(path: string, home = homedir()): Promise<string> {
  const real = path.startsWith("~") ? `${home}${path.slice(1)}` : path;
  try {
    const seen = identityOf(await stat(real, { bigint: true }));
    const known = read.get(real);
    if (known?.seen === seen) return known.text;
    const fresh = await readNow(real);
    if (read.size >= MANY) read.clear();
    read.set(real, fresh);
    return fresh.text;
  } catch (cause) {
    throw new DenialError({
      code: "EGRESS_DENIED",
      rule: "egress.ca",
      message: `Cannot use the authorities in "${path}": ${whyUnreadable(cause)}`,
      hint: `ls -l ${path}`,
      cause,
    });
  }
}

async function readNow(path: string): Promise<Read> {
  // A pipe that nobody writes to would keep the open waiting.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const file = await handle.stat({ bigint: true });
    if (!file.isFile()) throw new Error("it is not a regular file");
    if (file.size > CA_BYTES) throw new Error(`it is larger than ${CA_BYTES} bytes`);
    const text = await handle.readFile("utf8");
    if (!text.includes("-----BEGIN CERTIFICATE-----")) throw new Error("it has no PEM certificate");
    return { seen: identityOf(file), text };
  } finally {
    await handle.close();
  }
}

type Identity = Readonly<Record<"dev" | "ino" | "size" | "mtimeNs" | "ctimeNs", bigint>>;

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: Identity): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}
