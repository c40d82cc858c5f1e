import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { leaf } from "../run.ts";
import { table } from "../table.ts";

/** `doorward policy show`. */
export function definePolicyShow(command: Command, cli: Cli): void {
  leaf(
    command,
    cli,
    ["doorward policy show", "doorward policy show --json | jq .policy.roots"],
    async (run) => {
      await using client = await run.client();
      const view = await client.call("policy.show", {}, { signal: run.cli.signal });
      const { policy } = view;
      const profiles = Object.keys(policy.profiles ?? {});
      run.output.result(view, () =>
        [
          view.exists ? escapeLine(view.path) : `${escapeLine(view.path)} does not exist: nothing is allowed`,
          view.hash,
          "",
          table(
            ["ALLOWED ROOT", "ACCESS", "PROFILES"],
            policy.roots.map(({ path, access, profiles: only }) => [path, access, only?.join(", ") ?? "all"]),
          ),
          "",
          `denied beside the built-in list: ${policy.deny?.map(escapeLine).join(", ") ?? "nothing"}`,
          `profiles: ${["default", ...profiles.filter((name) => name !== "default")].join(", ")}`,
          ...(policy.grants ?? []).map(
            (rule) =>
              `grants to ${escapeLine(rule.to)}: ${rule.operations.join(", ")} for at most ${rule.for}`,
          ),
        ].join("\n"),
      );
      return 0;
    },
  );
}
