import { createHash, randomUUID } from "node:crypto";
import { chmod, link, lstat, mkdir, readdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";

/** Empty things of ours that are bound over names a machine must not see, and small files with a given content. */
export class Masks {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Prepares the folder; what stands in it is checked, not trusted. */
  static async open(folder: string): Promise<Masks> {
    await mkdir(join(folder, "empty-folder"), { recursive: true, mode: 0o755 });
    const masks = new Masks(folder);
    const entries = await readdir(masks.folder);
    if (entries.length > 0) throw damaged(masks.folder);
    await chmod(masks.folder, 0o555);
    await masks.#place("empty-file", "");
    return masks;
  }

  get file(): string {
    return join(this.#folder, "empty-file");
  }

  get folder(): string {
    return join(this.#folder, "empty-folder");
  }

  /** A read-only file with this content; equal contents share one. */
  async content(text: string): Promise<string> {
    const digest = createHash("sha256").update(text).digest("hex");
    return this.#place(`content-${digest.slice(0, 32)}`, text);
  }

  /** Complete before it has its name, and never replaced: a running machine may have it mounted. */
  async #place(name: string, text: string): Promise<string> {
    const path = join(this.#folder, name);
    if ((await lstat(path).catch(() => null)) === null) {
      const draft = `${path}.${randomUUID()}`;
      await writeFile(draft, text, { flag: "wx", mode: 0o444 });
      await chmod(draft, 0o444);
      await link(draft, path).catch(ignoreExisting);
      await unlink(draft);
    }
    const found = await lstat(path);
    if (!found.isFile() || found.size !== Buffer.byteLength(text)) throw damaged(path);
    return path;
  }
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
}

function damaged(path: string): DoorwardError {
  return new DoorwardError({
    code: "STATE_INVALID",
    message: `Cannot mask names: "${path}" is not what Doorward put there`,
    hint: `rm -rf '${path}'`,
  });
}
