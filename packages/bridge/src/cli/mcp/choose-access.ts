import type { DoorwardClient } from "@doorward/client";
import type { GrantRequest, Operation, ToolName } from "@doorward/contracts";
import { actsForGrant, openClient } from "../bridge-link.ts";
import { bridgePlace } from "../bridge-process.ts";
import { gitRoot, launch, upRequest } from "../commands/up.ts";
import { resolveMachine } from "../resolve-machine.ts";
import type { Run } from "../run.ts";
import { GivenAccess, type Access } from "./access.ts";
import { OwnAccess } from "./own-access.ts";

/** What an agent's client asked for on its command line. */
export interface Wanted {
  readonly machine: string | undefined;
  /** Launch a machine on this folder first; `true` for the current one. */
  readonly up: boolean | string | undefined;
  readonly tool: string;
  readonly operations: readonly Operation[];
  /** Tools that may be called; those of the operations when undefined. */
  readonly tools: readonly ToolName[] | undefined;
  /** Actions on the host that may be asked for; none when undefined. */
  readonly capabilities: GrantRequest["capabilities"];
  readonly time: string;
  readonly note: (text: string) => void;
}

/** The way to the machine: the grant in `DOORWARD_TOKEN` where there is one, else one that is minted for it. */
export function accessOf(run: Run, wanted: Wanted): Access {
  const open = (): Promise<DoorwardClient> =>
    openClient(run.cli, run.output, { ready: wanted.up !== undefined });
  const machine = (client: DoorwardClient): Promise<string> =>
    wanted.up === undefined ? resolveMachine(run, client, wanted.machine) : launched(run, wanted.up);
  if (actsForGrant(run.cli.env)) return new GivenAccess(open, machine);
  const { tool, operations, tools, capabilities, time, note } = wanted;
  const { socket } = bridgePlace(run.cli.env);
  return new OwnAccess({
    operator: open,
    socket,
    machine,
    grant: { tool, operations, tools, capabilities, time },
    note,
  });
}

/** The machine of a folder, launched where there is none; progress goes to stderr. */
async function launched(run: Run, up: boolean | string): Promise<string> {
  const repo = typeof up === "string" ? up : gitRoot(run.cli.cwd);
  const { machine } = await launch(run, upRequest(run.cli, [repo], {}));
  return machine.name;
}
