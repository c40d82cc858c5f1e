import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { carryBytes } from "@doorward/guest";

/** What a splice tells of what it moved, and when it gives up. */
export interface SplicePlan {
  sent(bytes: number): void;
  received(bytes: number): void;
  /** What goes on to the machine of a chunk that came for it; all of it when absent. What it throws breaks the splice. */
  readonly change?: ((chunk: Buffer) => Buffer) | undefined;
  readonly idleMs: number;
}

/** How a splice ended: both sides in order, or one of them not. */
export type SpliceEnd = "ended" | "broken" | "idle";

/**
 * Moves bytes both ways between the machine's stream and the far side until both have ended, with back-pressure and
 * half-close; when one side breaks, the other is broken too, so that nobody takes a cut for an end.
 */
export function splice(near: Duplex, far: Duplex, plan: SplicePlan): Promise<SpliceEnd> {
  return new Promise((resolve) => {
    let open = 2;
    const finish = (how: SpliceEnd): void => {
      clearTimeout(idle);
      if (how !== "ended") {
        sever(near);
        sever(far);
      }
      resolve(how);
    };
    const idle = setTimeout(() => {
      finish("idle");
    }, plan.idleMs);
    const closed = (stream: Duplex): void => {
      const orderly = stream.readableEnded && stream.writableFinished && stream.errored === null;
      if (!orderly) finish("broken");
      else if (--open === 0) finish("ended");
    };
    const broken = (): void => {
      finish("broken");
    };
    // Either side may end its half long before the other does.
    near.allowHalfOpen = true;
    far.allowHalfOpen = true;
    const change = (chunk: Buffer): Buffer => {
      try {
        return plan.change?.(chunk) ?? chunk;
      } catch {
        finish("broken");
        return Buffer.alloc(0);
      }
    };
    for (const [from, to, count, changed] of [
      [near, far, plan.sent.bind(plan), undefined],
      [far, near, plan.received.bind(plan), plan.change === undefined ? undefined : change],
    ] as const) {
      const passed = (bytes: number): void => {
        idle.refresh();
        count(bytes);
      };
      carry(from, to, passed, changed);
      to.on("drain", () => idle.refresh());
      from.once("end", () => to.end());
      from.on("error", broken);
      from.once("close", () => {
        closed(from);
      });
    }
    near.resume();
    far.resume();
    if (near.destroyed || far.destroyed) broken();
    else if (near.readableEnded) far.end();
  });
}

function carry(
  from: Duplex,
  to: Duplex,
  passed: (bytes: number) => void,
  change?: (chunk: Buffer) => Buffer,
): void {
  if (change === undefined && isPlain(from) && isPlain(to) && carryBytes(from, to, passed)) return;
  from.on("data", (chunk: Buffer) => {
    passed(chunk.length);
    if (!to.write(change?.(chunk) ?? chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
}

/** A socket of the kernel: what it was given to write, it does not hold for others to read. */
function isPlain(stream: Duplex): stream is Socket {
  return stream instanceof Socket && !(stream instanceof TLSSocket);
}

/** Lets go of a stream that was told its last words: a peer that stays nevertheless is not waited for longer than this. */
export function linger(stream: Duplex, ms: number): void {
  stream.resume();
  const late = setTimeout(() => {
    stream.destroy();
  }, ms);
  stream.once("close", () => {
    clearTimeout(late);
  });
}

/** Ends a stream so that its peer sees an error where the transport has one, not an orderly end. */
export function sever(stream: Duplex): void {
  if (stream.destroyed) return;
  if (isPlain(stream) && stream.remoteFamily !== undefined) stream.resetAndDestroy();
  else stream.destroy();
}
