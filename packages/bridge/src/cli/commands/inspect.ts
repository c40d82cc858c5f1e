import type { DoorwardClient } from "@doorward/client";
import type { MachineIsolation } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { escapeLine, escapeText } from "@doorward/client/operator";
import { machineCommand } from "../machine-action.ts";
import { parseOptions } from "../parse-input.ts";
import type { Run } from "../run.ts";
import { fields } from "../table.ts";
import { ago, until } from "../times.ts";
import { seen, stateOf } from "../up-view.ts";

const InspectOptions = z.object({ mountEvidence: z.boolean().optional() });

/** `doorward inspect`. */
export function defineInspect(command: Command, cli: Cli): void {
  command.option("--mount-evidence", "print the AgentMachineMountEvidence of its last launch instead");
  machineCommand(command, cli, {
    examples: [
      "doorward inspect shop",
      "doorward inspect shop --json",
      "doorward inspect shop --mount-evidence > mounts.json",
    ],
    parse: (options) => parseOptions(InspectOptions, options),
    act: async (run, client, name, { mountEvidence }) => {
      if (mountEvidence === true) return await showMountEvidence(run, client, name);
      const result = await client.call(
        "machines.inspect",
        { params: { machine: name } },
        { signal: run.cli.signal },
      );
      const { machine, fingerprint } = result;
      const isolation = fingerprint?.inputs.isolation;
      run.output.result(result, () =>
        [
          fields([
            ["name", machine.name],
            ["id", machine.id],
            ["state", stateOf(machine)],
            ["profile", machine.profile],
            ["launched by", machine.subject],
            ["image", machine.image === null ? "-" : `${machine.image.tag} (${machine.image.id})`],
            ["doors", machine.doors.join(", ")],
            ["started", ago(machine.startedAt)],
            ["stops", until(machine.expiresAt)],
            ["fingerprint", machine.fingerprint ?? "-"],
            ["evidence", machine.evidence === null ? "-" : `record ${machine.evidence}`],
          ]),
          "",
          seen(machine),
          ...(isolation === undefined
            ? []
            : [
                "",
                fields([
                  ["user", `${isolation.user}, ${hostIdentity(isolation)}`],
                  ["capabilities", `effective ${isolation.capEff}, bounding ${isolation.capBnd}`],
                  ["no new privileges", isolation.noNewPrivs ? "yes" : "no"],
                  ["seccomp", isolation.seccompMode === 2 ? "filter" : `mode ${isolation.seccompMode}`],
                  ["root file system", isolation.rootReadOnly ? "read only" : "writable"],
                  ["network", `${isolation.interfaces.join(", ") || "none"}; ${isolation.routes} routes`],
                  ["relaxations", fingerprint?.inputs.relaxations.join(", ") || "none"],
                ]),
              ]),
          ...machine.notices.map((notice) => `${run.output.style("yellow", "note:")} ${escapeLine(notice)}`),
        ].join("\n"),
      );
      return 0;
    },
  });
}

async function showMountEvidence(run: Run, client: DoorwardClient, name: string): Promise<number> {
  const request = { params: { machine: name } };
  const document = await client.call("machines.mountEvidence", request, { signal: run.cli.signal });
  run.output.result(document, () => escapeText(JSON.stringify(document, null, 2)));
  return 0;
}

/** Fingerprints name ids relative to the machine's own range, so that equal machines have equal ones. */
function hostIdentity({ uidMap, hostUid }: Pick<MachineIsolation, "uidMap" | "hostUid">): string {
  return uidMap.includes("RANGE")
    ? "in a range of its own: nobody on the host"
    : `uid ${hostUid} on the host`;
}
