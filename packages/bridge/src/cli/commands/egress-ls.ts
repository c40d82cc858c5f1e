import type { EgressView } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { machineCommand, noOptions } from "../machine-action.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";
import { ago, until } from "../times.ts";

/** `doorward egress ls`. */
export function defineEgressLs(command: Command, cli: Cli): void {
  machineCommand(command, cli, {
    examples: ["doorward egress ls", "doorward egress ls shop"],
    parse: noOptions,
    act: async (run, client, machine) => {
      const view = await client.call("egress.show", { params: { machine } }, { signal: run.cli.signal });
      run.output.result(view, () => text(run.output, view));
      return 0;
    },
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

function refused(output: Output, view: EgressView): string {
  if (view.refused.length === 0) return "Nothing was refused";
  const rows = view.refused.map(({ host, port, count, lastAt, code, command }) => [
    `${host}:${port}`,
    String(count),
    ago(lastAt),
    command === null ? code : output.commands(command),
  ]);
  return table(["REFUSED", "TIMES", "LAST", "TO ALLOW IT"], rows);
}
