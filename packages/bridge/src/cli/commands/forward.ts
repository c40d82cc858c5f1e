import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError, ForwardPort } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { LocalPort, freeLocalPort } from "../local-port.ts";
import { parseArgument, parseMachine, parseOptions, usage } from "../parse-input.ts";
import { resolveMachine } from "../resolve-machine.ts";
import { leaf, type Run } from "../run.ts";
import { stringList } from "./up.ts";

const PortText = z
  .string()
  .regex(/^[0-9]{1,5}$/)
  .transform(Number)
  .pipe(ForwardPort)
  .describe("A port from 1 to 65535, or LOCAL:PORT");
const ForwardOptions = z.object({
  local: PortText.optional(),
  bind: z.enum(["127.0.0.1", "::1"]).optional(),
});

interface Forward {
  readonly port: number;
  readonly local: number;
}

/** `doorward forward`. */
export function defineForward(command: Command, cli: Cli): void {
  command
    .usage("[options] [machine] <ports...>")
    .argument("<machine-or-port>", "name or id; may be left out where one machine has the current folder")
    .argument("[ports...]", "port of the machine, or LOCAL:PORT for another one here")
    .option("--local <port>", "port on this host, where one port is forwarded (default: the same)")
    .option("--bind <address>", "only 127.0.0.1 or only ::1 (default: both)");
  leaf(
    command,
    cli,
    ["doorward forward 3000", "doorward forward shop 3000 --local 8080", "doorward forward shop 3000 9229"],
    async (run, [first, rest], options) => {
      const { named, ports } = machineAndPorts(String(first), stringList(rest));
      const { local, bind } = parseOptions(ForwardOptions, options);
      const wanted = parseForwards(ports, local);
      await using client = await run.client({ ready: true });
      const machine = await resolveMachine(run, client, named);
      return await forward(run, client, machine, wanted, bind === undefined ? ["127.0.0.1", "::1"] : [bind]);
    },
  );
}

/** A first word that is a port leaves the machine out, unless a machine could be meant: names may be digits too. */
function machineAndPorts(
  first: string,
  rest: readonly string[],
): { readonly named: string | undefined; readonly ports: readonly string[] } {
  if (/^[0-9:]+$/.test(first) && (rest.length === 0 || first.includes(":")))
    return { named: undefined, ports: [first, ...rest] };
  if (rest.length > 0) return { named: parseMachine(first), ports: rest };
  throw usage("Cannot forward: no port is named", "port", `doorward forward ${parseMachine(first)} 3000`);
}

function parseForwards(texts: readonly string[], local: number | undefined): readonly Forward[] {
  if (local !== undefined && texts.length > 1) {
    throw usage(
      "Cannot use --local: more than one port is forwarded",
      "--local",
      "doorward forward shop 8080:3000 9229",
    );
  }
  return texts.map((text) => {
    const [here, there] = text.includes(":") ? text.split(":", 2) : [undefined, text];
    const port = parseArgument("port", PortText, there);
    return { port, local: local ?? (here === undefined ? port : parseArgument("port", PortText, here)) };
  });
}

async function forward(
  run: Run,
  client: DoorwardClient,
  machine: string,
  wanted: readonly Forward[],
  addresses: readonly string[],
): Promise<number> {
  const { signal } = run.cli;
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const connect = (port: number): ReturnType<DoorwardClient["forward"]> =>
    client.forward(machine, port, either);
  for (const { port } of wanted) await probe(run, connect, machine, port);
  const tell = teller(run, (error) => over.abort(error));
  const opened: LocalPort[] = [];
  try {
    for (const { port, local } of wanted) {
      const dial = (): ReturnType<typeof connect> => connect(port);
      const taken = (): Promise<DoorwardError> => portTaken(machine, port, local);
      opened.push(await LocalPort.open({ port: local, addresses, dial, tell, taken }));
    }
    show(run, machine, wanted, addresses);
    await aborted(either);
  } finally {
    await Promise.all(opened.map((port) => port[Symbol.asyncDispose]()));
  }
  if (over.signal.reason instanceof DoorwardError && !signal.aborted) throw over.signal.reason;
  return 0;
}

/** A refusal is better told at once than at the first connection; a program may still start to listen. */
async function probe(
  run: Run,
  connect: (port: number) => ReturnType<DoorwardClient["forward"]>,
  machine: string,
  port: number,
): Promise<void> {
  try {
    await leave(await connect(port));
  } catch (error) {
    if (!(error instanceof DoorwardError) || error.code !== "PORT_CLOSED") throw error;
    run.output.info(`No program of ${machine} listens on port ${String(port)} yet`);
  }
}

const LEAVE_MS = 1000;

/** In good order, since servers report a reset connection as a fault of theirs; one that keeps it open is not waited for. */
async function leave(connection: Duplex): Promise<void> {
  connection.on("error", () => undefined).resume();
  connection.end();
  await delay(LEAVE_MS, undefined, { signal: closed(connection) }).catch(() => undefined);
  connection.destroy();
}

function closed(connection: Duplex): AbortSignal {
  const over = new AbortController();
  connection.once("close", () => over.abort());
  if (connection.destroyed) over.abort();
  return over.signal;
}

const FINAL: ReadonlySet<string> = new Set([
  "GRANT_REVOKED",
  "GRANT_EXPIRED",
  "GRANT_NOT_FOUND",
  "TOKEN_INVALID",
]);
const REPEAT_MS = 5000;

/** Tells of failed connections, the same words at most once in a while; ends the command when access is over. */
function teller(run: Run, end: (error: DoorwardError) => void): (error: DoorwardError) => void {
  let last = { message: "", at: 0 };
  return (error) => {
    if (FINAL.has(error.code)) end(error);
    const now = performance.now();
    if (error.code === "ABORTED" || (error.message === last.message && now - last.at < REPEAT_MS)) return;
    last = { message: error.message, at: now };
    run.output.note(error.message);
  };
}

function show(run: Run, machine: string, forwards: readonly Forward[], addresses: readonly string[]): void {
  const shown = addresses[0] === "::1" ? "[::1]" : "127.0.0.1";
  const rows = forwards.map((each) => ({ machine, ...each, url: `http://${shown}:${String(each.local)}` }));
  run.output.result({ forwards: rows }, () =>
    rows.map(({ url, port }) => `${url} is port ${String(port)} of ${machine}`).join("\n"),
  );
  run.output.info("Ctrl-C ends it");
}

async function portTaken(machine: string, port: number, local: number): Promise<DoorwardError> {
  const free = await freeLocalPort();
  return new DoorwardError({
    code: "PORT_TAKEN",
    message: `Cannot forward port "${String(port)}": port "${String(local)}" of this host is taken or not allowed; "${String(free)}" is free`,
    hint: `doorward forward ${machine} ${String(port)} --local ${String(free)}`,
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
