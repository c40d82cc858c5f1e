import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import {
  LogFiles,
  requestFor,
  seenLogs,
  serveWitness,
  Witness,
  readWitnessVkey,
} from "../../evidence/index.ts";
import type { Cli } from "../cli.ts";
import { evidenceFolder } from "../evidence-place.ts";
import { parseArgument, parseOptions, usage } from "../parse-input.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf } from "../run.ts";
import { shellWord } from "../shell-word.ts";
import { fields } from "../table.ts";

/** A verifier key line on the command line. */
export const VkeyLine = z
  .string()
  .max(600)
  .regex(/^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/, "a verifier key is NAME+HASH+KEY on one line");
const WitnessName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/,
    "a name looks like an address without its scheme, e.g. host.example/witness",
  );
const InitOptions = z.object({ name: WitnessName });
const CosignOptions = z.object({
  log: z.string().min(1).max(4096).optional(),
  request: z.string().min(1).max(4096).optional(),
});
const ServeOptions = z.object({
  listen: z
    .string()
    .regex(/^[^\s]{1,253}:[0-9]{1,5}$/, "it is HOST:PORT")
    .default("127.0.0.1:7613"),
});

/** `doorward evidence witness init`. */
export function defineWitnessInit(command: Command, cli: Cli): void {
  command
    .argument("<dir>", "folder for the witness, on storage that the log's host can't write")
    .requiredOption("--name <name>", "name of the witness, e.g. host.example/witness");
  const example = "doorward evidence witness init /mnt/usb/witness --name office.example/usb";
  leaf(command, cli, [example], async (run, [given], options) => {
    const { name } = parseOptions(InitOptions, options);
    const { dir, vkey } = await Witness.init(pathArgument(cli, given), name);
    run.output.result({ dir, vkey }, () =>
      [
        fields([
          ["witness", dir],
          ["key", vkey],
        ]),
        "",
        "Next: tell it which log it may cosign, and tell the log of it",
        run.output.commands(`  doorward evidence witness trust ${shellWord(dir)} LOG-KEY`),
        run.output.commands(`  doorward evidence witness add ${vkey} --folder ${shellWord(dir)}`),
        "Who can write this folder can make it forget: on the same host under the same user it protects little",
      ].join("\n"),
    );
    return 0;
  });
}

/** `doorward evidence witness trust`. */
export function defineWitnessTrust(command: Command, cli: Cli): void {
  command.argument("<dir>", "folder of the witness").argument("<key>", "verifier key line of the log");
  const example =
    'doorward evidence witness trust /mnt/usb/witness "$(doorward evidence key --json | jq -r .vkey)"';
  leaf(command, cli, [example], async (run, [given, key]) => {
    const vkey = parseArgument("key", VkeyLine, key);
    const witness = await Witness.open(pathArgument(cli, given));
    await witness.trust(vkey);
    run.output.result(
      { dir: witness.dir, trusted: vkey },
      () => `${witness.name} cosigns ${vkey.split("+")[0] ?? ""}`,
    );
    return 0;
  });
}

/** `doorward evidence witness show`. */
export function defineWitnessShow(command: Command, cli: Cli): void {
  command.argument("<dir>", "folder of the witness");
  leaf(command, cli, ["doorward evidence witness show /mnt/usb/witness"], async (run, [given]) => {
    const dir = pathArgument(cli, given);
    const shown = { vkey: await readWitnessVkey(dir), logs: await seenLogs(dir) };
    run.output.result(shown, () =>
      fields([
        ["key", shown.vkey],
        ...shown.logs.map(({ origin, checkpoint }) => {
          const size = checkpoint?.split("\n")[1];
          return [
            "log",
            `${origin}: ${size === undefined ? "nothing seen yet" : `${size} records seen`}`,
          ] as const;
        }),
      ]),
    );
    return 0;
  });
}

/** `doorward evidence witness cosign`. */
export function defineWitnessCosign(command: Command, cli: Cli): void {
  command
    .argument("<dir>", "folder of the witness")
    .option("--log <dir>", "folder of a log or of an export; this installation's when left out")
    .option(
      "--request <file>",
      "instead: an add-checkpoint request (old size, proof, checkpoint); - reads stdin",
    );
  leaf(
    command,
    cli,
    ["doorward evidence witness cosign /mnt/usb/witness --log ./audit"],
    async (run, [given], options) => {
      const { log, request } = parseOptions(CosignOptions, options);
      if (log !== undefined && request !== undefined)
        throw usage("Cannot cosign: --log and --request exclude each other", "--request");
      const witness = await Witness.open(pathArgument(cli, given));
      const body =
        request === undefined
          ? await requestFor(new LogFiles(await evidenceFolder(cli, log)), await seenLogs(witness.dir))
          : await readRequest(cli, request);
      const answer = await witness.addCheckpoint(body);
      if (answer.status !== 200)
        throw new DoorwardError({
          code: "EVIDENCE_INVALID",
          message: `Cannot cosign as "${witness.name}": ${reasonOf(answer.status, answer.body)}`,
        });
      run.output.result({ witness: witness.name, cosignature: answer.body }, () => answer.body);
      return 0;
    },
  );
}

/** `doorward evidence witness serve`. */
export function defineWitnessServe(command: Command, cli: Cli): void {
  command
    .argument("<dir>", "folder of the witness")
    .option("--listen <host:port>", "where to listen (default: 127.0.0.1:7613)");
  leaf(
    command,
    cli,
    ["doorward evidence witness serve ./witness --listen 127.0.0.1:7613"],
    async (run, [given], options) => {
      const { listen } = parseOptions(ServeOptions, options);
      const split = listen.lastIndexOf(":");
      const witness = await Witness.open(pathArgument(cli, given));
      const address = { host: listen.slice(0, split), port: Number(listen.slice(split + 1)) };
      await using server = await serveWitness(witness, address);
      run.output.note(`${witness.name} listens on http://${address.host}:${server.port}/add-checkpoint`);
      await new Promise((done) => run.cli.signal.addEventListener("abort", done, { once: true }));
      return 0;
    },
  );
}

async function readRequest(cli: Cli, path: string): Promise<string> {
  if (path !== "-") return readFile(resolve(cli.cwd, path), "utf8");
  const chunks: string[] = [];
  for await (const chunk of cli.stdin) chunks.push(String(chunk));
  return chunks.join("");
}

function reasonOf(status: number, body: string): string {
  if (status === 404) return "it does not know this log; doorward evidence witness trust DIR KEY";
  if (status === 403) return "the checkpoint is not signed by a key that it trusts";
  if (status === 409)
    return `it has seen ${body.trim()} records, and this checkpoint does not go on from there`;
  return body.trim();
}
