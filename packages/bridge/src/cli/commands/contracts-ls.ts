import type { ContractView } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "../escape-text.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";

/** `doorward contracts ls`. */
export function defineContractsLs(command: Command, cli: Cli): void {
  const examples = ["doorward contracts ls", "doorward contracts ls --json | jq .contracts[].id"];
  leaf(command, cli, examples, async (run) => {
    await using client = await run.client();
    const listed = await client.call("contracts.list", {}, { signal: run.cli.signal });
    run.output.result(listed, () =>
      [
        table(["PROFILE", "TYPE", "FROM", "IN FORCE", "URN"], listed.contracts.map(row)),
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

function row({ profile, type, path, inForce, id }: ContractView): string[] {
  return [profile, type, path?.split("/").at(-1) ?? "derived", inForce ? "yes" : "no", id];
}
