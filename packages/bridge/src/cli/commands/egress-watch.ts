import type { EgressTraffic } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { jsonText } from "../output.ts";
import { namedMachine, runningMachines } from "../resolve-machine.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { size } from "../times.ts";

const CLEAR = "\u001b[H\u001b[2J";
const ROWS = 40;

/** `doorward egress watch`. */
export function defineEgressWatch(command: Command, cli: Cli): void {
  command.argument("[machine]", "name or id; every running machine when left out");
  leaf(command, cli, ["doorward egress watch shop", "doorward egress watch --json"], async (run, [given]) => {
    const named = namedMachine(given);
    await using client = await run.client();
    const machines = named === undefined ? await runningMachines(run, client) : [named];
    if (machines.length === 0) run.output.info("No machine runs");
    const rows = new Map<string, EgressTraffic>();
    const onEvent = (event: EgressTraffic): void => {
      if (run.output.json) cli.stdout.write(`${jsonText(event)}\n`);
      else if (cli.stdout.isTTY === true) show(cli, rows, event);
      else cli.stdout.write(`${line(event).join("  ")}\n`);
    };
    const options = { signal: run.cli.signal, onEvent };
    const watch = async (machine: string): Promise<void> => {
      try {
        const { ended } = await client.call("egress.watch", { params: { machine } }, options);
        run.output.info(`Watch of ${machine} ended: ${ended}`);
      } catch (error) {
        // Ctrl-C is how one leaves.
        if (!run.cli.signal.aborted) throw error;
      }
    };
    await Promise.all(machines.map(watch));
    return 0;
  });
}

function show(cli: Cli, rows: Map<string, EgressTraffic>, event: EgressTraffic): void {
  const key = `${event.machine} ${event.host}:${event.port}`;
  rows.delete(key);
  rows.set(key, event);
  const newest = [...rows.values()].slice(-Math.min(ROWS, (cli.stdout.rows ?? 24) - 2)).reverse();
  const headings = ["MACHINE", "HOST", "DECISION", "RULE", "OPEN", "TIMES", "SENT", "RECEIVED"];
  cli.stdout.write(`${CLEAR}${table(headings, newest.map(line))}\n`);
}

function line({
  machine,
  host,
  port,
  decision,
  rule,
  open,
  connections,
  sent,
  received,
}: EgressTraffic): string[] {
  return [
    machine,
    `${host}:${port}`,
    decision,
    rule ?? "-",
    String(open),
    String(connections),
    size(sent),
    size(received),
  ];
}
