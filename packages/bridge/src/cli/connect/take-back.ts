import { DoorwardError } from "@doorward/contracts";
import { gitRoot } from "../commands/up.ts";
import { usage } from "../parse-input.ts";
import { machinesWith } from "../resolve-machine.ts";
import type { Run } from "../run.ts";
import { connectCommand, type ConnectionKind } from "./client-names.ts";
import { CLIENTS, type Scope } from "./clients.ts";
import { endGrant } from "./connection-grant.ts";
import { ConnectionStore, type Connection } from "./connection-store.ts";
import { ForeignEntry, takeEntry } from "./entry-edit.ts";

/** Takes back what was written for a client: its entry, its grant, its files. The machine need not be there any more. */
export async function takeBack(
  run: Run,
  kinds: readonly ConnectionKind[],
  machine: string | undefined,
  options: { readonly scope?: Scope | undefined; readonly force?: boolean | undefined },
): Promise<number> {
  const store = new ConnectionStore(run.cli.env);
  const ours = store
    .all()
    .filter((one) => kinds.includes(one.client) && fits(one, options.scope, run.cli.cwd));
  const chosen =
    machine === undefined ? await ofFolder(run, ours) : ours.filter((one) => one.machine === machine);
  for (const connection of chosen) await takeOne(run, store, connection, options.force === true);
  const removed = chosen.map(({ id, place }) => ({ id, file: place?.file ?? null }));
  run.output.result({ removed }, () =>
    removed.length === 0 ? "There was nothing to remove" : chosen.map(removedLine).join("\n"),
  );
  return 0;
}

function removedLine({ id, client, place }: Connection): string {
  if (place === null) return `Removed ${id}`;
  return `${CLIENTS[client].title} no longer has "${place.path.at(-1) ?? id}" in ${place.file}`;
}

async function takeOne(
  run: Run,
  store: ConnectionStore,
  connection: Connection,
  force: boolean,
): Promise<void> {
  const { id, client, machine, place, grant } = connection;
  // The grant first: whatever becomes of the file, the client is out.
  if (grant !== null) {
    await using bridge = await run.client();
    await endGrant(bridge, grant.id, run.cli.signal);
  }
  try {
    if (place !== null) {
      const beneath = place.scope === "project" ? { beneath: gitRoot(run.cli.cwd) } : {};
      takeEntry(CLIENTS[client], { ...place, ...beneath }, force);
    }
  } catch (cause) {
    if (!(cause instanceof ForeignEntry)) throw cause;
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot remove "${cause.message}" from "${place?.file ?? ""}": it was changed since it was written`,
      hint: `${connectCommand(client, machine)} --remove --force`,
      cause,
    });
  }
  store.delete(id);
}

function fits({ place }: Connection, scope: Scope | undefined, cwd: string): boolean {
  if (place?.scope === "project" && !place.file.startsWith(`${gitRoot(cwd)}/`)) return false;
  return scope === undefined || (place?.scope ?? "user") === scope;
}

/** Without a machine's name: that of the current folder, or the only one. */
async function ofFolder(run: Run, ours: readonly Connection[]): Promise<readonly Connection[]> {
  const names = new Set(ours.map(({ machine }) => machine));
  if (names.size <= 1) return ours;
  await using bridge = await run.client();
  const { machines } = await bridge.call("machines.list", {}, { signal: run.cli.signal });
  const here = machinesWith(run.cli.cwd, machines).map(({ name }) => name);
  const [only, other] = here.filter((name) => names.has(name));
  if (only !== undefined && other === undefined) return ours.filter(({ machine }) => machine === only);
  const which = [...names].map((name) => `"${name}"`).join(" and ");
  throw usage(`Cannot choose a connection: there are some of ${which}`, "machine", "Name one of them");
}
