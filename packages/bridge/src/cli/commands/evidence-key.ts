import type { EvidenceKeyView } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { confirm } from "../confirm.ts";
import { parseArgument, parseOptions } from "../parse-input.ts";
import { leaf, type Run } from "../run.ts";
import { fields } from "../table.ts";

const Action = z.enum(["show", "rotate"]);
const KeyOptions = z.object({ reason: z.string().min(1).max(500).optional(), yes: z.boolean().optional() });

/** `doorward evidence key`. */
export function defineEvidenceKey(command: Command, cli: Cli): void {
  command
    .argument("[action]", "show, or rotate: exchange the key, with a record that both keys sign", "show")
    .option("--reason <text>", "with rotate: why, for the record")
    .option("-y, --yes", "with rotate: don't ask");
  leaf(
    command,
    cli,
    ["doorward evidence key", 'doorward evidence key rotate --reason "a backup was lost"'],
    async (run, [given], options) => {
      const action = parseArgument("action", Action, given);
      const { reason, yes } = parseOptions(KeyOptions, options);
      await using client = await run.client();
      const call = { signal: run.cli.signal };
      if (action === "rotate" && !(await agreed(run, yes === true))) return 1;
      const view =
        action === "show"
          ? await client.call("evidence.key", {}, call)
          : await client.call("evidence.rotate", { body: { reason: reason ?? null } }, call);
      run.output.result(view, () => text(run, view, action === "rotate"));
      return view.mode === "600" ? 0 : 1;
    },
  );
}

async function agreed({ cli }: Run, yes: boolean): Promise<boolean> {
  if (yes) return true;
  if (cli.stdin.isTTY === true)
    return confirm(
      cli,
      "Exchange the key? Whoever verifies this log needs the new one, or the chain from the old",
    );
  cli.stderr.write("Not rotated without a terminal to ask on; --yes does not ask\n");
  return false;
}

function text(run: Run, view: EvidenceKeyView, rotated: boolean): string {
  const mode =
    view.mode === "600"
      ? "600"
      : run.output.style("red", `${view.mode}, and it must be 600: chmod 600 ${view.path}`);
  const rows = [
    ["key", view.vkey],
    ["key id", view.keyId],
    ["since", view.since ?? "no record yet"],
    ["file", view.path],
    ["mode", mode],
    ...view.rotations.map(({ index, at, previous, reason }) => [
      "rotation",
      `record ${index} at ${at}, from ${previous.slice(0, 16)}${reason === null ? "" : `: ${reason}`}`,
    ]),
  ].map(([name = "", value = ""]) => [name, value] as const);
  const next = [
    "",
    "Give this key to whoever verifies, and to every witness:",
    run.output.commands(`  doorward evidence witness trust DIR ${view.vkey}`),
  ];
  return [fields(rows), ...(rotated ? next : [])].join("\n");
}
