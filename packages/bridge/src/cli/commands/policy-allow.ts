import { statSync } from "node:fs";
import { DoorwardError } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseOptions } from "../parse-input.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";
import { shellWord } from "../shell-word.ts";

const AllowOptions = z.object({ ro: z.boolean().optional() });

/** `doorward policy allow`. */
export function definePolicyAllow(command: Command, cli: Cli): void {
  command.argument("<path>", "folder on the host").option("--ro", "machines may only read under it");
  leaf(
    command,
    cli,
    ["doorward policy allow ~/src", "doorward policy allow ~/reference --ro"],
    async (run, [path], given) => {
      const { ro } = parseOptions(AllowOptions, given);
      const body = { path: pathArgument(cli, path), access: ro === true ? ("ro" as const) : ("rw" as const) };
      refuseAbsent(body.path);
      await using client = await run.client();
      const view = await client.call("policy.allow", { body }, { signal: run.cli.signal });
      run.output.result(
        view,
        () => `Allowed: ${escapeLine(body.path)} (${body.access}), in ${escapeLine(view.path)}`,
      );
      return 0;
    },
  );
}

/** A name with a slip in it would be a root that allows nothing, and whoever makes that folder later decides what it is. */
function refuseAbsent(path: string): void {
  const found = folderAt(path);
  if (found === "folder") return;
  throw new DoorwardError({
    code: "PATH_NOT_FOUND",
    message: `Cannot allow "${escapeLine(path)}": ${found === "nothing" ? "there is no such folder" : "it is no folder"}`,
    ...(found === "nothing" ? { hint: `mkdir -p ${shellWord(path)}` } : {}),
  });
}

/** What can't be looked at is for the bridge to judge. */
function folderAt(path: string): "folder" | "other" | "nothing" {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return "nothing";
    return found.isDirectory() ? "folder" : "other";
  } catch {
    return "folder";
  }
}
