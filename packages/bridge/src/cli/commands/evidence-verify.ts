import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import {
  isMissing,
  readPublicSync,
  readWitnessVkey,
  seenLogs,
  verifyEvidence,
  type GivenWitness,
  type VerifyReport,
} from "../../evidence/index.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { evidenceFolder } from "../evidence-place.ts";
import type { Output } from "../output.ts";
import { parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";
import { shellWord } from "../shell-word.ts";
import { whyUnreadable } from "../../state/index.ts";
import { elapsed } from "../times.ts";

const VerifyOptions = z.object({
  key: z.string().min(1).max(4096).optional(),
  checkpoint: z.string().min(1).max(4096).optional(),
  witness: z.array(z.string().min(1).max(4096)).max(20).optional(),
  tree: z.boolean().optional(),
});

/** `doorward evidence verify`. */
export function defineEvidenceVerify(command: Command, cli: Cli): void {
  command
    .argument("[dir]", "folder of a log or of an export; this installation's log when left out")
    .option(
      "--key <vkey>",
      "verifier key line that you trust, or a file with one; the folder's own when left out",
    )
    .option("--checkpoint <file>", "a checkpoint that was kept elsewhere: finds a rollback and a fork")
    .option(
      "--witness <key...>",
      "verifier key line of a witness that must have cosigned, a file with one, or the witness's own folder: that finds truncation too",
    )
    .option("--tree", "check checkpoint and tree only, not every record");
  leaf(
    command,
    cli,
    [
      "doorward evidence verify",
      "doorward evidence verify ./audit --key ./bridge.vkey --checkpoint ./last-week.checkpoint",
      "doorward evidence verify --witness /mnt/usb/witness",
    ],
    async (run, [given], options) => {
      const { key, checkpoint, witness, tree } = parseOptions(VerifyOptions, options);
      const dir = await evidenceFolder(cli, typeof given === "string" ? given : undefined);
      const began = performance.now();
      const report = await verifyEvidence({
        dir,
        vkey: verifierKey(cli, dir, key),
        checkpoint: checkpoint === undefined ? undefined : read(resolve(cli.cwd, checkpoint), "checkpoint"),
        witnesses: await Promise.all((witness ?? []).map((each) => givenWitness(cli, each, dir))),
        records: tree !== true,
        signal: run.cli.signal,
      });
      run.output.result({ ...report, dir, ownKey: key === undefined }, () =>
        text(run.output, report, dir, key === undefined, performance.now() - began),
      );
      return report.ok ? 0 : 1;
    },
  );
}

function verifierKey(cli: Cli, dir: string, key: string | undefined): string {
  if (key === undefined) {
    return ownKey(dir);
  }
  const isLine = /^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/.test(key);
  return isLine ? key : read(resolve(cli.cwd, key), "verifier key").trim();
}

/** The key that lies in the folder. A folder that can't be read is not an empty one. */
function ownKey(dir: string): string {
  try {
    return readPublicSync(join(dir, "key.vkey")).toString("utf8").trim();
  } catch (cause) {
    if (isMissing(cause)) throw noEvidence(dir);
    throw new DoorwardError({
      code: "EVIDENCE_INVALID",
      message: `Cannot verify "${escapeLine(dir)}": its key.vkey can't be read: ${whyUnreadable(cause)}`,
      hint: `ls -ld ${shellWord(dir)}`,
      cause,
    });
  }
}

function noEvidence(dir: string): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_NOT_FOUND",
    message: `Cannot verify "${escapeLine(dir)}": it holds no evidence, there is no key.vkey`,
    hint: "doorward evidence verify DIR --key FILE",
  });
}

/** A witness by its key, or by its folder with the last checkpoint that it saw of this log. */
async function givenWitness(cli: Cli, given: string, dir: string): Promise<GivenWitness> {
  const path = resolve(cli.cwd, given);
  if (!given.includes("+") && existsSync(join(path, "witness.vkey"))) {
    const [vkey, logs] = [await readWitnessVkey(path), await seenLogs(path)];
    const origin = read(join(dir, "checkpoint"), "checkpoint", readPublicSync).split("\n")[0];
    return { vkey, seen: logs.find((log) => log.origin === origin)?.checkpoint ?? undefined };
  }
  return { vkey: verifierKey(cli, dir, given) };
}

/** What the user names may be a pipe; what lies in the folder that is verified may not. */
function read(path: string, what: string, bytes: (path: string) => Buffer = readFileSync): string {
  try {
    return bytes(path).toString("utf8");
  } catch (cause) {
    throw new DoorwardError({
      code: "EVIDENCE_NOT_FOUND",
      message: `Cannot read ${what} "${escapeLine(path)}": ${whyUnreadable(cause)}`,
      hint: "doorward evidence verify DIR --key FILE",
      cause,
    });
  }
}

function text(output: Output, report: VerifyReport, dir: string, ownKey: boolean, took: number): string {
  const verdict = report.ok
    ? `${output.style("green", "verified")}  ${report.size} records in ${elapsed(took)}`
    : `${output.style("red", "NOT VERIFIED")}  ${report.problemCount} problems in ${report.size} records`;
  return [
    verdict,
    ...report.problems
      .slice(0, 20)
      .map(({ index, reason }) => `  ${index === null ? "log" : `record ${index}`}: ${escapeLine(reason)}`),
    ...(report.problemCount > 20 ? [`  and ${report.problemCount - 20} more; --json shows up to 200`] : []),
    `log          ${escapeLine(report.origin)} in ${escapeLine(dir)}`,
    `root         ${report.root}`,
    ...report.checked.map((what) => `checked      ${escapeLine(what)}`),
    ...report.notChecked.map((what) => `not checked  ${escapeLine(what)}`),
    ...(ownKey
      ? ["not checked  who signed: the key is the folder's own; give one that you trust with --key"]
      : []),
  ].join("\n");
}
