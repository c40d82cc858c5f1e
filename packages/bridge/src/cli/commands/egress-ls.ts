import type { EgressView } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import type { Output } from "../output.ts";
import { namedMachine, runningMachines } from "../resolve-machine.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { ago, until } from "../times.ts";

/** `doorward egress ls`. */
export function defineEgressLs(command: Command, cli: Cli): void {
  command.argument("[machine]", "name or id; every running machine when left out");
  leaf(command, cli, ["doorward egress ls", "doorward egress ls shop"], async (run, [given]) => {
    const named = namedMachine(given);
    await using client = await run.client();
    const { signal } = run.cli;
    const show = (machine: string): Promise<EgressView> =>
      client.call("egress.show", { params: { machine } }, { signal });
    if (named !== undefined) {
      const view = await show(named);
      run.output.result(view, () => text(run.output, view));
      return 0;
    }
    const machines = await Promise.all((await runningMachines(run, client)).map(show));
    run.output.result({ machines }, () => {
      if (machines.length === 0) return "No machine runs";
      return machines.map((view) => `${view.name}\n${text(run.output, view)}`).join("\n\n");
    });
    return 0;
  });
}

function text(output: Output, view: EgressView): string {
  const asks = view.askSeconds === 0 ? [] : [`Other hosts are asked about, for ${view.askSeconds} seconds`];
  const denied = view.allowances.filter(({ effect }) => effect === "deny").length;
  const deny =
    view.deny.length === 0
      ? []
      : [`Denied: ${view.deny.join(", ")}${denied > 0 ? " (some by command)" : ""}`];
  return [allowed(view), ...deny, ...asks, refused(output, view)].join("\n\n");
}

function allowed({ name, rules, allowances, connections }: EgressView): string {
  const ends = new Map(allowances.map(({ host, expiresAt }) => [host, expiresAt]));
  if (rules.length === 0) return `${name} may reach nothing`;
  const rows = rules.map(({ host, ports, source, tls, internal }) => [
    host,
    ports.join(","),
    `${source}${internal ? ", internal" : ""}${tls === "open" ? ", TLS opened" : ""}`,
    source.startsWith("allowed") ? until(ends.get(host) ?? null) : "-",
  ]);
  const open = `${connections} open connection${connections === 1 ? "" : "s"}`;
  return `${table(["ALLOWED", "PORTS", "BY", "ENDS"], rows)}\n${open}`;
}

/** Where no command allows what was refused, what does. */
const WITHOUT_COMMAND: ReadonlyMap<string, string> = new Map([
  ["EGRESS_ADDRESS_DENIED", "a rule with addresses and ca in policy.yaml (EGRESS_ADDRESS_DENIED)"],
]);

function refused(output: Output, view: EgressView): string {
  if (view.refused.length === 0) return "Nothing was refused";
  const rows = view.refused.map(({ host, port, count, lastAt, code, command }) => [
    `${host}:${port}`,
    String(count),
    ago(lastAt),
    command === null ? (WITHOUT_COMMAND.get(code) ?? code) : output.commands(command),
  ]);
  return table(["REFUSED", "TIMES", "LAST", "TO ALLOW IT"], rows);
}
