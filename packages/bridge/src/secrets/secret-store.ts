import { createHmac, hkdfSync } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DoorwardError, SecretName, SecretValue } from "@doorward/contracts";
import * as z from "zod";
import { didYouMean } from "../did-you-mean.ts";
import { syncFolder, writeDurably } from "../state/index.ts";
import { forgetMasks } from "./answer-mask.ts";
import { age, recipientOf, secretIdentity } from "./identity.ts";

const KEPT_MS = 60_000;
const MOST = 500;
const SUFFIX = ".age";
const KEY = "identity.key";

/** What a file of the store holds, encrypted; the name is in it so that files can't be exchanged. */
const Sealed = z.strictObject({ name: SecretName, value: SecretValue, setAt: z.iso.datetime() });
type Sealed = z.infer<typeof Sealed>;

/** A secret without its value. */
export interface StoredSecret {
  readonly name: string;
  readonly setAt: string;
}

/** The operator's secrets: one age file for each, below the state folder; values leave by {@link SecretStore.value} alone. */
export class SecretStore {
  readonly #folder: string;
  readonly #identity: string;
  /** What placeholders are derived with. */
  readonly #placeholderKey: Buffer;
  /** Decrypted values of the last minute: decryption takes milliseconds, which no request should wait for. */
  readonly #opened = new Map<string, { readonly sealed: Sealed; readonly timer: NodeJS.Timeout }>();

  /** Counts changes: what was decrypted while one came is not kept. */
  #changes = 0;

  private constructor(folder: string, identity: string) {
    this.#folder = folder;
    this.#identity = identity;
    this.#placeholderKey = Buffer.from(hkdfSync("sha256", identity, "", "doorward placeholders", 32));
  }

  /** Opens the store below a state folder; its key is made at the first time. */
  static async open(stateFolder: string): Promise<SecretStore> {
    const folder = join(stateFolder, "secrets");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new SecretStore(folder, await secretIdentity(join(folder, KEY)));
  }

  has(name: string): boolean {
    return existsSync(this.#path(name));
  }

  /** Names and times of all secrets, sorted by name. */
  async list(): Promise<StoredSecret[]> {
    const names = this.#names();
    const sealed = await Promise.all(names.sort().map((name) => this.#open(name)));
    return sealed.map(({ name, setAt }) => ({ name, setAt }));
  }

  /** Sets or replaces a value; durable when it returns, the old or the new one after a crash. */
  async set(name: string, value: string): Promise<StoredSecret> {
    if (!this.has(name) && readdirSync(this.#folder).length > MOST) throw full();
    const sealed: Sealed = { name, value, setAt: new Date().toISOString() };
    const { armor, Encrypter } = await age();
    const encrypter = new Encrypter();
    encrypter.addRecipient(await recipientOf(this.#identity, join(this.#folder, KEY)));
    writeDurably(this.#path(name), armor.encode(await encrypter.encrypt(JSON.stringify(sealed))));
    this.#forget(name);
    return { name, setAt: sealed.setAt };
  }

  /** Deletes a secret; SECRET_NOT_FOUND when there is none. */
  remove(name: string): void {
    if (!this.has(name)) throw unknownSecret(name, "Cannot delete the secret", this.#names());
    rmSync(this.#path(name));
    syncFolder(this.#folder);
    this.#forget(name);
  }

  /** The value, for a request that is on its way to the bound host. */
  async value(name: string): Promise<string> {
    return (await this.#open(name)).value;
  }

  /** Bytes that only this installation can derive, the same each time for the same label. */
  derive(label: string): Buffer {
    return createHmac("sha256", this.#placeholderKey).update(label).digest();
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#opened.values()) clearTimeout(timer);
    this.#opened.clear();
    forgetMasks();
  }

  async #open(name: string): Promise<Sealed> {
    const known = this.#opened.get(name);
    if (known !== undefined) {
      known.timer.refresh();
      return known.sealed;
    }
    const changes = this.#changes;
    const sealed = await this.#decrypt(name);
    if (changes !== this.#changes) return sealed;
    clearTimeout(this.#opened.get(name)?.timer);
    const timer = setTimeout(() => this.#forget(name), KEPT_MS).unref();
    this.#opened.set(name, { sealed, timer });
    return sealed;
  }

  #names(): string[] {
    return readdirSync(this.#folder)
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length))
      .filter((name) => SecretName.safeParse(name).success);
  }

  async #decrypt(name: string): Promise<Sealed> {
    const path = this.#path(name);
    if (!existsSync(path)) throw unknownSecret(name, "Cannot use the secret", this.#names());
    const { armor, Decrypter } = await age();
    try {
      const decrypter = new Decrypter();
      decrypter.addIdentity(this.#identity);
      const text = await decrypter.decrypt(armor.decode(readFileSync(path, "utf8")), "text");
      const sealed = Sealed.parse(JSON.parse(text));
      if (sealed.name === name) return sealed;
    } catch {
      // Whatever failed may quote the value: none of it goes into the error.
    }
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot read secret "${name}": "${path}" is damaged, or was encrypted to another key`,
      hint: `doorward secret set ${name}`,
    });
  }

  #forget(name: string): void {
    this.#changes += 1;
    clearTimeout(this.#opened.get(name)?.timer);
    this.#opened.delete(name);
    forgetMasks();
  }

  #path(name: string): string {
    return join(this.#folder, `${SecretName.parse(name)}${SUFFIX}`);
  }
}

/** The refusal for a secret that nobody set. */
export function unknownSecret(name: string, what: string, known: Iterable<string> = []): DoorwardError {
  return new DoorwardError({
    code: "SECRET_NOT_FOUND",
    message: `${what}: no secret is called "${name}"${didYouMean(name, known)}`,
    hint: `doorward secret set ${name}`,
  });
}

function full(): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot store the secret: there are ${String(MOST)} already`,
    hint: "doorward secret ls",
  });
}
