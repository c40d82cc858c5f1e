import { join, resolve } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import { addWitness, parseWitnessVkey, removeWitness, type WitnessPlace } from "../../evidence/index.ts";
import { rangeProblem } from "../../egress/index.ts";
import { resolveFolders } from "../../state/index.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseArgument, parseOptions, usage } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { table } from "../table.ts";
import { ago } from "../times.ts";
import { VkeyLine } from "./evidence-witness-own.ts";

const AddOptions = z.object({
  folder: z.string().min(1).max(4096).optional(),
  url: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .optional(),
  addresses: z.array(z.string().max(60)).min(1).max(20).optional(),
});
const Name = z.string().min(1).max(300);

/** `doorward evidence witness add`. */
export function defineWitnessAdd(command: Command, cli: Cli): void {
  command
    .argument("<key>", "verifier key line of the witness")
    .option("--folder <dir>", "folder of the witness, when it is reached as a file")
    .option("--url <prefix>", "submission prefix of its service (C2SP tlog-witness)")
    .option("--addresses <ranges...>", "address ranges of a service that is not on the public internet");
  const example = "doorward evidence witness add office.example/usb+8a6f5c01+BA… --folder /mnt/usb/witness";
  leaf(command, cli, [example], async (run, [key], options) => {
    const vkey = parseArgument("key", VkeyLine, key);
    const { name } = parseWitnessVkey(vkey);
    await addWitness(evidenceDir(cli), placeOf(cli, vkey, parseOptions(AddOptions, options)));
    run.output.result(
      { added: name },
      () => `Checkpoints are sent to ${escapeLine(name)}; evidence witness ls shows how it goes`,
    );
    return 0;
  });
}

/** `doorward evidence witness remove`. */
export function defineWitnessRemove(command: Command, cli: Cli): void {
  command.argument("<name>", "name of the witness");
  leaf(command, cli, ["doorward evidence witness remove office.example/usb"], async (run, [given]) => {
    const name = parseArgument("name", Name, given);
    const removed = await removeWitness(evidenceDir(cli), name);
    run.output.result({ removed }, () =>
      removed ? `${escapeLine(name)} is asked no more` : "No such witness",
    );
    return removed ? 0 : 4;
  });
}

/** `doorward evidence witness ls`. */
export function defineWitnessLs(command: Command, cli: Cli): void {
  leaf(command, cli, ["doorward evidence witness ls"], async (run) => {
    await using client = await run.client();
    const { witnesses } = await client.call("evidence.witness", {}, { signal: run.cli.signal });
    run.output.result({ witnesses }, () =>
      table(
        ["WITNESS", "PLACE", "RECORDS", "COSIGNED", "STATE"],
        witnesses.map(({ name, place, size, at, problem }) => [
          name,
          place,
          String(size),
          ago(at),
          problem ?? "ok",
        ]),
      ),
    );
    return witnesses.every(({ problem }) => problem === null) ? 0 : 1;
  });
}

function placeOf(
  cli: Cli,
  vkey: string,
  { folder, url, addresses }: z.infer<typeof AddOptions>,
): WitnessPlace {
  const [problem] = (addresses ?? []).map(rangeProblem).filter((each) => each !== null);
  if (problem !== undefined) throw usage(`Cannot add witness: ${problem}`, "--addresses");
  if (folder !== undefined && url === undefined) return { vkey, folder: resolve(cli.cwd, folder) };
  if (url !== undefined && folder === undefined) {
    return { vkey, url, ...(addresses !== undefined && { addresses }) };
  }
  throw usage("Cannot add witness: give either --folder or --url", "--folder");
}

function evidenceDir(cli: Cli): string {
  return join(resolveFolders(cli.env).state, "evidence");
}
