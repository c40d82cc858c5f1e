import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseOptions } from "../parse-input.ts";
import { Progress } from "../progress.ts";
import { leaf } from "../run.ts";
import { size } from "../times.ts";

const BuildOptions = z.object({ profile: z.string().min(1).max(80).optional() });

/** `doorward image build`. */
export function defineImageBuild(command: Command, cli: Cli): void {
  command.option("--profile <name>", "profile of the policy; default when left out");
  leaf(command, cli, ["doorward image build"], async (run, _args, given) => {
    const body = parseOptions(BuildOptions, given);
    await using client = await run.client({ ready: true });
    using progress = new Progress(run.cli, run.output);
    const options = { signal: run.cli.signal, onProgress: progress.line };
    const profile = body.profile === undefined ? {} : { profile: body.profile };
    const image = await client.call("images.build", { body: profile }, options);
    progress.done();
    run.output.result(image, () => `${image.tag}  ${size(image.sizeBytes)}  ${image.id}`);
    return 0;
  });
}
