import type { ContractView } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { leaf, type Run } from "../run.ts";
import { table } from "../table.ts";

/** `doorward contracts ls`. */
export function defineContractsLs(command: Command, cli: Cli): void {
  const examples = ["doorward contracts ls", "doorward contracts ls --json | jq .contracts[].id"];
  leaf(command, cli, examples, async (run) => {
    await using client = await run.client();
    const listed = await client.call("contracts.list", {}, { signal: run.cli.signal });
    run.output.result(listed, () =>
      [
        rows(run, listed.contracts),
        ...listed.contracts.flatMap(({ id, note }) =>
          note === null ? [] : [`${run.output.style("yellow", "note:")} ${escapeLine(`${id}: ${note}`)}`],
        ),
        "",
        `documents: ${escapeLine(listed.folder)}`,
      ].join("\n"),
    );
    return 0;
  });
}

/** A terminal that is too narrow for the URNs goes without: profile and type name a contract just as well. */
function rows({ cli }: Run, contracts: readonly ContractView[]): string {
  const head = ["PROFILE", "TYPE", "FROM", "IN FORCE", "URN"];
  const whole = table(head, contracts.map(row));
  const widest = Math.max(...whole.split("\n").map((line) => line.length));
  if (cli.stdout.isTTY !== true || widest <= (cli.stdout.columns ?? 80)) return whole;
  return table(
    head.slice(0, -1),
    contracts.map((each) => row(each).slice(0, -1)),
  );
}

function row({ profile, type, path, inForce, id }: ContractView): string[] {
  return [profile, type, path?.split("/").at(-1) ?? "derived", inForce ? "yes" : "no", id];
}
