import type { ActionReport } from "@doorward/contracts";
import { ActionId } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { usage } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { ago } from "../times.ts";

/** `doorward action show`. */
export function defineActionShow(command: Command, cli: Cli): void {
  command.argument("[action-id]", "id of a request; the newest ones when left out");
  const examples = ["doorward action show", "doorward action show h_4k2j8d0s1qx7m3n5"];
  leaf(command, cli, examples, async (run, [given]) => {
    const action = given === undefined ? undefined : actionId(given);
    await using client = await run.client();
    const { signal } = run.cli;
    if (action === undefined) {
      const result = await client.call("actions.list", {}, { signal });
      run.output.result(result, () =>
        result.actions.length === 0 ? "No actions yet" : result.actions.slice(0, 20).map(line).join("\n"),
      );
      return 0;
    }
    const report = await client.call("actions.get", { params: { action } }, { signal });
    run.output.result(report, () => text(report));
    return 0;
  });
}

function actionId(given: unknown): string {
  const judged = ActionId.safeParse(given);
  if (judged.success) return judged.data;
  const quoted = escapeLine(String(given).slice(0, 200));
  throw usage(
    `Cannot use action "${quoted}": an id is h_ and letters and digits`,
    "action",
    "doorward action show",
  );
}

function line({ id, action, scope, subject, state, outcome, startedAt }: ActionReport): string {
  return `${id}  ${action}${scope === null ? "" : ` in ${scope}`} for ${subject}: ${outcome ?? state}, ${ago(startedAt)}`;
}

function text(report: ActionReport): string {
  const { correlationId, code, approval, applied, operationCount, workflow } = report;
  return [
    line(report),
    `  correlation id ${correlationId}${code === null ? "" : `, ${code}`}${approval === null ? "" : `, decided by ${approval}`}`,
    ...(applied === null ? [] : [`  ${appliedText(applied, operationCount)}`]),
    ...(workflow?.steps ?? []).map(
      ({ title, status, exitCode, code: why }, at) =>
        `  ${at + 1}. ${escapeLine(title)}: ${status}${exitCode === null ? "" : ` (exit ${exitCode})`}${why === null ? "" : ` ${why}`}`,
    ),
  ].join("\n");
}

/** The bridge may have been killed between doing an operation and writing down that it was done. */
function appliedText(applied: number, total: number): string {
  const next = applied < total ? `; number ${applied + 1} was done or was not, never in part` : "";
  return `${applied} of ${total} operations were done${next}`;
}
