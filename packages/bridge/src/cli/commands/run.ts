import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addProgramOptions, parseProgram } from "../program-options.ts";
import { leaf, runsChild, type Run } from "../run.ts";
import { runCommand } from "../run-command.ts";
import { requireProgram } from "./exec.ts";
import { addUpOptions, launch, stringList, upRequest } from "./up.ts";

/** `doorward run`. */
export function defineRun(command: Command, cli: Cli): void {
  command.usage("[options] [repo...] -- CMD [ARG...]");
  addUpOptions(
    command.argument(
      "[repo...]",
      "folders that the machine sees; the git root of the current folder when left out",
    ),
  );
  addProgramOptions(command);
  leaf(
    command,
    cli,
    ["doorward run -- npm test", "doorward run --review ~/src/shop -- make check"],
    runsChild(async (run, [repos], options) => {
      const argv = requireProgram(cli, "run");
      const program = parseProgram(options);
      const request = upRequest(cli, stringList(repos), options);
      const { machine } = await launch(run, { ...request, fresh: true, temporary: true });
      try {
        await using client = await run.client();
        return await runCommand(run, client, machine.id, argv, program);
      } finally {
        await remove(run, machine.id);
      }
    }),
  );
}

/** Removes the machine whatever happened; that it could not be removed is said, but does not hide how the command ended. */
async function remove(run: Run, machine: string): Promise<void> {
  try {
    await using client = await run.client();
    await client.call("machines.remove", { params: { machine }, query: { force: "true" } });
  } catch (thrown) {
    const { reportError } = await import("../report-error.ts");
    await reportError(thrown, run.cli, run.output);
  }
}
