import { DoorwardError, type ContractView } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeText } from "@doorward/client/operator";
import { parseArgument, usage } from "../parse-input.ts";
import { leaf } from "../run.ts";

/** Contracts that are in force for a profile. */
export const CONTRACT_TYPES = [
  "AgentMachineProfile",
  "AgentToolDoor",
  "SecureHostInterfaceProfile",
  "TerminalDoor",
] as const;

const Urn = z
  .string()
  .max(300)
  .regex(/^urn:srcos:[a-z-]+:[A-Za-z0-9._~-]+$/, "a URN looks like urn:srcos:terminal-door:default");
const Type = z.enum(CONTRACT_TYPES);
const Profile = z.string().min(1).max(80).default("default");

/** `doorward contracts show`. */
export function defineContractsShow(command: Command, cli: Cli): void {
  command
    .argument("<urn-or-type>", `URN of a contract, or ${Type.options.join(", ")}`)
    .argument("[profile]", "profile whose contract it is; default when left out");
  const examples = [
    "doorward contracts show SecureHostInterfaceProfile default",
    "doorward contracts show urn:srcos:terminal-door:default",
  ];
  leaf(command, cli, examples, async (run, [named, given]) => {
    const fits =
      typeof named === "string" && named.startsWith("urn:") ? byUrn(named, given) : byType(named, given);
    await using client = await run.client();
    const { contracts } = await client.call("contracts.list", {}, { signal: run.cli.signal });
    const found = contracts.filter(fits);
    const shown = found.find(({ inForce }) => inForce) ?? found[0];
    if (shown === undefined) throw absent(String(named), given);
    if (shown.note !== null) run.output.info(shown.note);
    run.output.result(shown.document, () => escapeText(JSON.stringify(shown.document, null, 2)));
    return 0;
  });
}

function byUrn(named: unknown, profile: unknown): (contract: ContractView) => boolean {
  const urn = parseArgument("urn-or-type", Urn, named);
  if (profile !== undefined)
    throw usage("Cannot use a profile beside a URN: the URN names one document", "profile");
  return ({ id }) => id === urn;
}

function byType(named: unknown, given: unknown): (contract: ContractView) => boolean {
  const wanted = parseArgument("urn-or-type", Type, named);
  const name = parseArgument("profile", Profile, given);
  return ({ type, profile }) => type === wanted && profile === name;
}

function absent(named: string, profile: unknown): DoorwardError {
  const of = typeof profile === "string" ? ` of profile "${profile}"` : "";
  return new DoorwardError({
    code: "CONTRACT_NOT_FOUND",
    message: `Cannot show contract: there is no "${named}"${of}`,
    hint: "doorward contracts ls",
  });
}
