import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { machineAndHost, machineAndHostArguments } from "../egress-arguments.ts";
import { resolveMachine } from "../resolve-machine.ts";
import { leaf } from "../run.ts";

/** `doorward egress deny`. */
export function defineEgressDeny(command: Command, cli: Cli): void {
  machineAndHostArguments(command);
  leaf(command, cli, ["doorward egress deny shop telemetry.example.com"], async (run, [first, second]) => {
    const { named, host } = machineAndHost(first, second);
    await using client = await run.client();
    const machine = await resolveMachine(run, client, named);
    const input = { params: { machine }, body: { host } };
    const result = await client.call("egress.deny", input, { signal: run.cli.signal });
    run.output.result(result, () => `${machine} can't reach ${host} any more; ${result.cut} connections cut`);
    return 0;
  });
}
