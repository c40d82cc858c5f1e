import type { Logger } from "pino";
import { signCheckpoint } from "./checkpoint.ts";
import type { Journal } from "./journal.ts";
import type { EvidenceKey } from "./key.ts";
import type { LogTail } from "./log-tail.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { Publisher } from "./publisher.ts";
import { noteVerifier, vkeyLine } from "./signed-note.ts";
import type { Witnessing } from "./witnessing.ts";

/** How the public files follow the journal. */
const limits = {
  /** They follow this much later, */
  publishDelayMs: 200,
  /** and under constant writing no more often than so: each time costs two waits for the disk and a dozen file operations. */
  publishEveryMs: 1000,
  /** Default of {@link LogPublishingParts.journalBytes}. */
  journalBytes: 8 * 1024 * 1024,
  /** Appends wait for the publisher when this many finished tiles wait for it. */
  waitingTiles: 128,
} as const;

/** What a {@link LogPublishing} reads, and where it writes. */
export interface LogPublishingParts {
  readonly dir: string;
  readonly origin: string;
  readonly journal: Journal;
  readonly tail: LogTail;
  readonly witnessing: Witnessing;
  readonly log: Logger;
  /** The journal is cut to the unfinished bundle when it has grown by this many bytes. */
  readonly journalBytes: number | undefined;
  /** The key that signs now. */
  readonly key: () => EvidenceKey;
}

/** Brings tiles and checkpoint up to date with the journal, and cuts the journal to what they do not hold. */
export class LogPublishing {
  readonly #parts: LogPublishingParts;
  readonly #publisher: Publisher;
  readonly #journalBytes: number;
  #settleAt: number;
  #publishing: Promise<string> = Promise.resolve("");
  #timer: NodeJS.Timeout | null = null;
  #publishedAt = -Infinity;

  constructor(parts: LogPublishingParts) {
    this.#parts = parts;
    this.#publisher = new Publisher(parts.dir);
    this.#journalBytes = parts.journalBytes ?? limits.journalBytes;
    this.#settleAt = this.#journalBytes;
  }

  /** Publishes everything durable and returns the signed checkpoint over it. */
  checkpoint(): Promise<string> {
    this.#publishing = this.#publishing.catch(() => undefined).then(() => this.#publish());
    return this.#publishing;
  }

  /** Publishes a little later, once for everything that arrives meanwhile. */
  soon(): void {
    if (this.#timer !== null) return;
    const next = this.#publishedAt + limits.publishEveryMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.checkpoint().catch((error: unknown) => {
          this.#parts.log.warn(
            { err: error },
            "evidence: tiles and checkpoint can't be written; the journal has everything",
          );
        });
      },
      Math.max(limits.publishDelayMs, next),
    ).unref();
  }

  async #publish(): Promise<string> {
    this.#publishedAt = performance.now();
    // one moment of the log, taken before the first wait
    const { finished } = this.#parts.tail;
    const key = this.#parts.key();
    const frontier = this.#parts.tail.frontier();
    const root = this.#parts.tail.root();
    await this.#publisher.finish(finished);
    await this.#parts.tail.index.save(false);
    this.#parts.tail.written(finished);
    const checkpoint = await signCheckpoint({ origin: this.#parts.origin, size: frontier.size, root }, key);
    await this.#publisher.publish({
      ...frontier,
      checkpoint,
      vkey: vkeyLine(noteVerifier(this.#parts.origin, key)),
    });
    this.#parts.witnessing.published(checkpoint);
    return checkpoint;
  }

  /** Cuts the journal when it is long, and holds appends back while too much waits to be published. */
  async keepUp(): Promise<void> {
    try {
      if (this.#parts.journal.usedBytes > this.#settleAt) await this.#settle();
      else if (this.#parts.tail.finished.length > limits.waitingTiles) await this.checkpoint();
    } catch (error) {
      this.#settleAt = this.#parts.journal.usedBytes + this.#journalBytes;
      this.#parts.log.warn({ err: error }, "evidence: the journal can't be cut; it goes on growing");
    }
  }

  /** Makes the public files durable, then drops from the journal what they hold. */
  async #settle(): Promise<void> {
    await this.checkpoint();
    await this.#publisher.settle();
    await this.#parts.tail.index.save(true);
    const { size } = this.#parts.tail;
    const base = size - (size % TILE_WIDTH);
    await this.#parts.journal.restart(
      { origin: this.#parts.origin, base, edge: this.#parts.tail.edgeAtBundle() },
      this.#parts.tail.openEntries,
    );
    this.#settleAt = this.#parts.journal.usedBytes + this.#journalBytes;
  }

  /** Publishes for the last time. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.checkpoint().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, "evidence: the last checkpoint can't be written");
    });
  }
}
