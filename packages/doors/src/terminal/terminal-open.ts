import { randomBytes } from "node:crypto";
import { DoorwardError, type TerminalHello } from "@doorward/contracts";
import type { TerminalOpen } from "@doorward/guest";
import type { DoorSession } from "../door.ts";
import type { TerminalRights } from "./authorise.ts";

const DEFAULT_SCROLLBACK_BYTES = 262_144;
const DEFAULT_SIZE = { cols: 80, rows: 24 } as const;

/** An id for a new terminal; the bridge mints it, so that the machine can't choose one. */
export function newTerminalId(): string {
  return `t_${randomBytes(10).toString("hex")}`;
}

/** What a hello asks of the guest. */
export function terminalOpen(
  session: DoorSession,
  hello: TerminalHello,
  terminal: string,
  rights: TerminalRights,
): TerminalOpen {
  const viewer = session.id;
  if ("new" in hello.terminal) return { ...creation(session, hello, hello.terminal.new), terminal, viewer };
  return {
    kind: "terminal",
    action: "attach",
    terminal,
    viewer,
    mode: rights.mode,
    take: rights.mode === "control" && hello.take === true,
    from: startOf(hello, session.spec.attach.scrollbackBytes),
    cols: hello.cols ?? null,
    rows: hello.rows ?? null,
  };
}

type Creation = Omit<Extract<TerminalOpen, { action: "create" }>, "terminal" | "viewer">;
type Wanted = Extract<TerminalHello["terminal"], { new: unknown }>["new"];

function creation(session: DoorSession, hello: TerminalHello, wanted: Wanted): Creation {
  const { attach } = session.spec;
  return {
    kind: "terminal",
    action: "create",
    argv: wanted.argv ?? null,
    cwd: wanted.cwd ?? null,
    env: wanted.env ?? {},
    cols: hello.cols ?? DEFAULT_SIZE.cols,
    rows: hello.rows ?? DEFAULT_SIZE.rows,
    scrollbackBytes: attach.scrollbackBytes,
    maxTerminals: attach.maxTerminals,
  };
}

function startOf(hello: TerminalHello, most: number): { resume: number } | { scrollback: number } {
  if (hello.resume === undefined)
    return { scrollback: Math.min(hello.scrollback ?? DEFAULT_SCROLLBACK_BYTES, most) };
  if (hello.scrollback === undefined) return { resume: hello.resume };
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot attach: "resume" and "scrollback" exclude each other`,
    details: { path: "resume" },
  });
}
