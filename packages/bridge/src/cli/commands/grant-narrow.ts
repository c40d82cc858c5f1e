import { resolve } from "node:path";
import type { NarrowRequest } from "@doorward/contracts";
import type { Command } from "commander";
import type * as z from "zod";
import type { Cli } from "../cli.ts";
import { grantCommand } from "../grant-action.ts";
import { addGrantOptions, GrantOptions } from "../grant-options.ts";
import { showMinted, tokenUrl } from "../grant-view.ts";
import { parseOptions, usage } from "../parse-input.ts";

/** `doorward grant narrow`. */
export function defineGrantNarrow(command: Command, cli: Cli): void {
  addGrantOptions(command);
  grantCommand(command, cli, {
    examples: ["doorward grant narrow g_4k2j8d0s1q --to agent:codex:watcher --op terminal.observe --for 30m"],
    parse: (given) => narrowing(cli, parseOptions(GrantOptions, given)),
    act: async (run, client, grant, body) => {
      const minted = await client.call(
        "grants.narrow",
        { params: { grant }, body },
        { signal: run.cli.signal },
      );
      const url = run.output.json ? undefined : await tokenUrl(run, client);
      run.output.result(minted, () => showMinted(run.output, minted, url));
      return 0;
    },
  });
}

function narrowing(cli: Cli, options: z.infer<typeof GrantOptions>): NarrowRequest {
  const body = {
    ...(options.to === undefined ? {} : { subject: options.to }),
    ...(options.door === undefined ? {} : { doors: options.door }),
    ...(options.op === undefined ? {} : { operations: options.op }),
    ...(options.capability === undefined ? {} : { capabilities: options.capability }),
    ...(options.tool === undefined ? {} : { tools: options.tool }),
    ...(options.path === undefined ? {} : { paths: options.path.map((path) => resolve(cli.cwd, path)) }),
    ...(options.for === undefined ? {} : { for: options.for }),
  };
  if (Object.keys(body).length > 0) return body;
  throw usage("Cannot narrow: nothing is said to be narrower", "--op", "--for 30m");
}
