import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { defineWitnessAdd, defineWitnessLs, defineWitnessRemove } from "./evidence-witness-log.ts";
import {
  defineWitnessCosign,
  defineWitnessInit,
  defineWitnessServe,
  defineWitnessShow,
  defineWitnessTrust,
} from "./evidence-witness-own.ts";

/** `doorward evidence witness`: be one, or have this log's checkpoints cosigned by some. */
export function defineEvidenceWitness(command: Command, cli: Cli): void {
  defineWitnessInit(
    command.command("init").description("make a witness: a folder with a key of its own"),
    cli,
  );
  defineWitnessTrust(
    command.command("trust").description("let a witness cosign a log that has this key"),
    cli,
  );
  defineWitnessShow(command.command("show").description("show a witness's key and what it saw last"), cli);
  defineWitnessCosign(
    command.command("cosign").description("have a witness check and cosign a log's newest checkpoint"),
    cli,
  );
  defineWitnessServe(
    command.command("serve").description("serve a witness over HTTP (C2SP tlog-witness)"),
    cli,
  );
  defineWitnessAdd(
    command.command("add").description("have this installation's log cosigned by a witness"),
    cli,
  );
  defineWitnessRemove(command.command("remove").description("ask a witness no more"), cli);
  defineWitnessLs(
    command.command("ls").description("ask every witness now, and show what they cosigned"),
    cli,
  );
}
