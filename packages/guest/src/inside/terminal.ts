import type { Socket } from "node:net";
import type { ExitStatus } from "@doorward/contracts";
import { FRAME, type Size, type TerminalInfo, type TerminalStarted } from "../protocol.ts";
import { Pty, type PtyOptions } from "./pty.ts";
import { ScrollbackRing } from "./scrollback-ring.ts";
import { Viewer } from "./viewer.ts";

/** The controller may lag this far behind before the program has to wait for it. */
const PAUSE_LAG_BYTES = 131_072;
const RESUME_LAG_BYTES = 65_536;
/** A ring below this could overtake even a controller that is within its lag. */
const MIN_RING_BYTES = 262_144;
/** How long the size stays changed to make a program paint anew. */
const REPAINT_MS = 40;
const REPAINT_EVERY_MS = 1000;

/** What a new viewer asks for. */
export interface ViewRequest {
  readonly id: string;
  readonly mayControl: boolean;
  readonly take: boolean;
  readonly from: { readonly resume: number } | { readonly scrollback: number };
  readonly size: Size | null;
}

/** One terminal: a program on a pseudo-terminal, the last part of its output, and whoever watches. Lives on without viewers. */
export class Terminal {
  readonly id: string;
  readonly ring: ScrollbackRing;
  readonly #program: string;
  readonly #pty: Pty;
  readonly #viewers = new Set<Viewer>();
  readonly #ended: () => void;
  #controller: Viewer | undefined;
  #size: Size;
  #exit: ExitStatus | null = null;
  #repaintedAt = 0;
  #repaintTimer: NodeJS.Timeout | undefined;

  constructor(init: { id: string; scrollbackBytes: number; pty: PtyOptions; ended: () => void }) {
    this.id = init.id;
    this.ring = new ScrollbackRing(Math.max(MIN_RING_BYTES, init.scrollbackBytes));
    this.#program = init.pty.program;
    this.#size = { cols: init.pty.cols, rows: init.pty.rows };
    this.#ended = init.ended;
    this.#pty = new Pty(init.pty, {
      output: (bytes) => this.#output(bytes),
      exit: (status) => this.#exited(status),
    });
  }

  get exit(): ExitStatus | null {
    return this.#exit;
  }

  /** What is known of this terminal. */
  info(): TerminalInfo {
    return {
      id: this.id,
      program: this.#program.slice(0, 200),
      ...this.#size,
      offset: this.ring.head,
      oldest: this.ring.tail,
      viewers: this.#viewers.size,
      controller: this.#controller?.id ?? null,
      exit: this.#exit,
    };
  }

  /** Attaches a viewer to a socket; `started` is written first, then output follows. */
  attach(request: ViewRequest, socket: Socket, started: (answer: TerminalStarted) => void): Viewer {
    const from = this.#startOf(request);
    const { id, mayControl, size } = request;
    const viewer = new Viewer({ id, mayControl, size, cursor: from, socket, terminal: this });
    this.#viewers.add(viewer);
    if (mayControl && (request.take || this.#controller === undefined)) this.#handOver(viewer);
    started({ ...this.#roleOf(viewer), terminal: this.id, offset: from, ...this.#size });
    this.#pace();
    viewer.begin();
    return viewer;
  }

  /** Forgets a viewer whose stream ended. */
  detach(viewer: Viewer): void {
    viewer.stop();
    this.#viewers.delete(viewer);
    if (this.#controller === viewer) this.#handOver(undefined);
  }

  /** Types for a viewer; `drained` is called once there is room for more. Whoever does not control types nothing. */
  input(viewer: Viewer, bytes: Buffer, drained: () => void): void {
    if (this.#controller === undefined && viewer.mayControl) this.#handOver(viewer);
    if (this.#controller === viewer) this.#pty.write(bytes, drained);
    else drained();
  }

  /** Notes a viewer's size; it becomes the terminal's while the viewer controls. */
  resize(viewer: Viewer, size: Size): void {
    viewer.size = size;
    if (this.#controller === viewer) this.#setSize(size);
  }

  /** Takes or gives back control. */
  want(viewer: Viewer, what: "control" | "observe"): void {
    if (what === "control" && viewer.mayControl) this.#handOver(viewer);
    if (what === "observe" && this.#controller === viewer) this.#handOver(undefined);
  }

  /** Hangs up. */
  hangUp(): void {
    this.#pty.kill("SIGHUP");
  }

  /** Called by a viewer that has sent everything. */
  caughtUp(viewer: Viewer): void {
    if (this.#exit !== null) {
      viewer.send(FRAME.exit, this.#exit);
      this.#viewers.delete(viewer);
      viewer.end();
      return;
    }
    if (viewer.overtaken) this.#repaint(viewer);
  }

  /** Called by a viewer whose position moved. */
  advanced(viewer: Viewer): void {
    if (viewer === this.#controller) this.#pace();
  }

  #startOf(request: ViewRequest): number {
    if ("scrollback" in request.from) return this.ring.startOfLine(request.from.scrollback);
    return Math.min(request.from.resume, this.ring.head);
  }

  #output(bytes: Buffer): void {
    this.ring.append(bytes);
    for (const viewer of this.#viewers) viewer.wake();
    this.#pace();
  }

  /** Only the controller slows a program down; observers are overtaken instead. */
  #pace(): void {
    const lag = this.#controller === undefined ? 0 : this.ring.head - this.#controller.cursor;
    if (lag > PAUSE_LAG_BYTES) this.#pty.pause();
    else if (lag <= RESUME_LAG_BYTES) this.#pty.resume();
  }

  #handOver(next: Viewer | undefined): void {
    if (this.#controller === next) return;
    this.#controller = next;
    for (const viewer of this.#viewers) {
      viewer.role = viewer === next ? "controller" : "observer";
      viewer.announceRole(this.#roleOf(viewer));
    }
    if (next?.size) this.#setSize(next.size);
    this.#pace();
  }

  #roleOf(viewer: Viewer): { role: Viewer["role"]; controller: string | null } {
    return { role: viewer.role, controller: this.#controller?.id ?? null };
  }

  #setSize(size: Size): void {
    if (size.cols === this.#size.cols && size.rows === this.#size.rows) return;
    this.#size = size;
    clearTimeout(this.#repaintTimer);
    this.#pty.resize(size.cols, size.rows);
    for (const viewer of this.#viewers) viewer.announceSize(size);
  }

  /** Changes the size for a moment: full-screen programs paint everything anew, shells their prompt. */
  #repaint(viewer: Viewer): void {
    if (performance.now() - this.#repaintedAt < REPAINT_EVERY_MS) return;
    viewer.overtaken = false;
    this.#repaintedAt = performance.now();
    const { cols, rows } = this.#size;
    this.#pty.resize(cols, rows > 1 ? rows - 1 : rows + 1);
    this.#repaintTimer = setTimeout(() => this.#pty.resize(this.#size.cols, this.#size.rows), REPAINT_MS);
  }

  #exited(status: ExitStatus): void {
    this.#exit = status;
    clearTimeout(this.#repaintTimer);
    for (const viewer of [...this.#viewers]) viewer.wake();
    this.#ended();
  }
}
