import { existsSync } from "node:fs";
import { connect, type DoorwardClient } from "@doorward/client";
import type { MachineView } from "@doorward/contracts";
import { openLab, type Lab } from "../../test/support/lab.ts";
import { openSshd, type Sshd } from "../peers/sshd.ts";
import { missing, type Missing } from "../peers/missing.ts";

/** How much is measured. */
export type Size = "quick" | "normal" | "full";

/** What all parts share: one installation of the built product, one machine in it, the peers; opened when first asked for. */
export class Bench implements AsyncDisposable {
  readonly size: Size;
  readonly install: boolean;
  readonly #say: (text: string) => void;
  readonly #labs: Promise<Lab>[] = [];
  readonly #owned = new Set<AsyncDisposable>();
  #lab: Promise<Lab> | undefined;
  #machine: Promise<MachineView> | undefined;
  #client: DoorwardClient | undefined;
  #sshd: Promise<Sshd | Missing> | undefined;

  constructor(options: { size: Size; install: boolean; say: (text: string) => void }) {
    this.size = options.size;
    this.install = options.install;
    this.#say = options.say;
  }

  /** The count for this size. */
  pick(counts: { readonly quick: number; readonly normal: number; readonly full?: number }): number {
    return this.size === "quick"
      ? counts.quick
      : ((this.size === "full" ? counts.full : undefined) ?? counts.normal);
  }

  /** Tells whoever waits what is done now. */
  say(text: string): void {
    this.#say(text);
  }

  /** The installation that the parts share. */
  lab(): Promise<Lab> {
    return (this.#lab ??= this.freshLab());
  }

  /** Another installation; gone when the bench is, or when its caller disposes it. */
  freshLab(): Promise<Lab> {
    const lab = openLab();
    this.#labs.push(lab);
    return lab;
  }

  /** The operator's client on the bridge's socket. */
  async client(): Promise<DoorwardClient> {
    const { socket } = await this.lab();
    await this.machine();
    return (this.#client ??= connect({ socketPath: socket }));
  }

  /** A machine on a small repo. */
  machine(): Promise<MachineView> {
    return (this.#machine ??= this.#launch());
  }

  /** An sshd of the bench's own, or why there is none. */
  sshd(): Promise<Sshd | Missing> {
    return (this.#sshd ??= openSshd(this.install));
  }

  /** Keeps something to be disposed with the bench, also when that is interrupted; its owner may do so before. */
  own<Owned extends AsyncDisposable>(owned: Owned): Owned {
    this.#owned.add(owned);
    return owned;
  }

  async #launch(): Promise<MachineView> {
    const lab = await this.lab();
    this.say("launching a machine");
    return lab.machine(await lab.up(lab.repo("bench")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
    for (const owned of [...this.#owned].reverse()) await owned[Symbol.asyncDispose]();
    const sshd = await this.#sshd?.catch(() => undefined);
    if (sshd !== undefined && !missing(sshd)) await sshd[Symbol.asyncDispose]();
    for (const opening of this.#labs) {
      const lab = await opening.catch(() => undefined);
      if (lab !== undefined && existsSync(lab.root)) await lab[Symbol.asyncDispose]();
    }
  }
}
