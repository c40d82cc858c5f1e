import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import {
  openGuestFiles,
  type FileChange,
  type GuestFiles,
  type GuestLink,
  type ReachedRoot,
} from "@doorward/guest";
import { soon } from "./guest-harness.ts";

/** A folder that a file stream reaches, and one beside it that it does not. */
export class FilesLab implements AsyncDisposable {
  readonly base = realpathSync(mkdtempSync(join(tmpdir(), "dw-files-")));
  readonly repo = join(this.base, "repo");
  readonly outside = join(this.base, "outside");
  readonly #link: GuestLink;
  readonly #opened: GuestFiles[] = [];

  constructor(link: GuestLink) {
    this.#link = link;
    for (const folder of [this.repo, this.outside]) mkdirSync(folder);
    this.put("../outside/secret", "SECRET\n");
  }

  async open(
    roots: readonly ReachedRoot[] = [{ path: this.repo, access: "rw" }],
    workdir = this.repo,
  ): Promise<GuestFiles> {
    const files = await openGuestFiles(this.#link, { roots, workdir }, soon());
    this.#opened.push(files);
    return files;
  }

  /** Path in the repo. */
  at(...names: string[]): string {
    return join(this.repo, ...names);
  }

  /** Puts a file in the repo, with its folders. */
  put(path: string, content: string | Buffer = ""): string {
    const file = this.at(path);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  /** What a change that failed, or any that is over, may never leave. */
  leftovers(): string[] {
    const names = readdirSync(this.base, { recursive: true, encoding: "utf8" });
    return names.filter((name) => name.endsWith(".tmp"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const files of this.#opened) await files[Symbol.asyncDispose]();
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** The whole of any file of a test. */
export const whole = { offset: 0, length: 100_000_000 };

/** Whether an error has a code, and words in it. */
export function code(expected: string, words = /./) {
  return (error: unknown): boolean => {
    if (error instanceof DoorwardError && error.code === expected && words.test(error.message)) return true;
    throw error;
  };
}

/** A digest as expectations have it. */
export function sha(bytes: Buffer | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A change that writes a file, whatever is there. */
export function put(
  path: string,
  content: string,
  over: Partial<Extract<FileChange, { kind: "write" }>> = {},
): FileChange {
  return { kind: "write", path, bytes: Buffer.from(content), expect: "any", parents: false, ...over };
}
