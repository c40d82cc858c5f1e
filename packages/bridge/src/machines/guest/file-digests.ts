import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import * as z from "zod";

const Cache = z.record(z.string(), z.strictObject({ stamp: z.string(), sha256: z.string() }));

/** SHA-256 of files, remembered for as long as size, times and inode of a file stay what they were. */
export class FileDigests {
  readonly #path: string;
  readonly #known: Map<string, { stamp: string; sha256: string }>;
  #changed = false;

  /** Reads what was remembered in a file; a damaged or absent one is an empty one. */
  static async open(path: string): Promise<FileDigests> {
    const text = await readFile(path, "utf8").catch(() => "{}");
    const parsed = Cache.safeParse(parseJson(text));
    return new FileDigests(path, parsed.success ? parsed.data : {});
  }

  private constructor(path: string, known: Record<string, { stamp: string; sha256: string }>) {
    this.#path = path;
    this.#known = new Map(Object.entries(known));
  }

  /** Lower-case hex digest of a file's content. */
  async sha256(path: string): Promise<string> {
    const stamp = await stampOf(path);
    const known = this.#known.get(path);
    if (known?.stamp === stamp) return known.sha256;
    const sha256 = await digest(path);
    this.#known.set(path, { stamp, sha256 });
    this.#changed = true;
    return sha256;
  }

  /** Writes down what is known. */
  async save(): Promise<void> {
    if (!this.#changed) return;
    const temporary = `${this.#path}.${String(process.pid)}`;
    await writeFile(temporary, JSON.stringify(Object.fromEntries(this.#known)), { mode: 0o600 });
    await rename(temporary, this.#path);
    this.#changed = false;
  }
}

async function stampOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1_048_576 }), hash);
  return hash.digest("hex");
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return {};
  }
}
