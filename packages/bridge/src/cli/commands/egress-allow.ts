import { Duration } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { machineAndHost, machineAndHostArguments } from "../egress-arguments.ts";
import { parseOptions } from "../parse-input.ts";
import { resolveMachine } from "../resolve-machine.ts";
import { leaf } from "../run.ts";
import { until } from "../times.ts";

const AllowOptions = z.object({
  for: Duration.optional(),
  port: z.array(z.coerce.number().int().min(1).max(65_535)).max(20).optional(),
});

/** `doorward egress allow`. */
export function defineEgressAllow(command: Command, cli: Cli): void {
  machineAndHostArguments(command)
    .option("--for <time>", "how long, e.g. 1h; as long as the machine exists when left out")
    .option("--port <port>", "port instead of 443; may be repeated", collect);
  const examples = [
    "doorward egress allow shop registry.npmjs.org --for 1h",
    "doorward egress allow '*.githubusercontent.com'",
    "doorward egress allow shop deb.debian.org --port 80",
  ];
  leaf(command, cli, examples, async (run, [first, second], given) => {
    const { named, host } = machineAndHost(first, second);
    const options = parseOptions(AllowOptions, given);
    await using client = await run.client();
    const machine = await resolveMachine(run, client, named);
    const body = {
      host,
      ...(options.port === undefined ? {} : { ports: options.port }),
      ...(options.for === undefined ? {} : { for: options.for }),
    };
    const allowed = await client.call(
      "egress.allow",
      { params: { machine }, body },
      { signal: run.cli.signal },
    );
    const { ports, expiresAt } = allowed;
    const long = expiresAt === null ? "for as long as it exists" : `and that ends ${until(expiresAt)}`;
    run.output.result(allowed, () => `${machine} may reach ${host} at port ${ports.join(", ")}, ${long}`);
    return 0;
  });
}

function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), ...value.split(",")];
}
