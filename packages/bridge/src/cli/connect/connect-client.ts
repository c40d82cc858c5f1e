import { isDeepStrictEqual } from "node:util";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError } from "@doorward/contracts";
import type { Run } from "../run.ts";
import { shellWord } from "../shell-word.ts";
import { gitRoot } from "../commands/up.ts";
import { connectCommand, OWN_TOOLS, type ConnectionKind } from "./client-names.ts";
import { CLIENTS, type Offer, type Place, type Scope, type Transport } from "./clients.ts";
import { endGrant, mintFor } from "./connection-grant.ts";
import { ConnectionStore, entryDigest, type Connection } from "./connection-store.ts";
import { ForeignEntry, putEntry, takeEntry, type Written } from "./entry-edit.ts";
import { selfCommand } from "./self-command.ts";

/** One connection of a client, as the command line asked for it. */
export interface ConnectAsk {
  readonly client: ConnectionKind;
  readonly machine: string;
  /** The folder in the machine where work starts. */
  readonly workdir: string;
  readonly transport: Transport;
  /** The client's program in the machine, for those that run their own tools there. */
  readonly program: string;
  readonly scope: Scope;
  readonly name: string;
  readonly time: string;
  readonly readOnly: boolean;
  readonly force: boolean;
}

interface Plan {
  readonly id: string;
  readonly place: Place | undefined;
  readonly store: ConnectionStore;
  readonly offer: Offer;
}

/** Prints what would be written, and where; nothing is minted for it. */
export async function printConnection(run: Run, bridge: DoorwardClient, ask: ConnectAsk): Promise<void> {
  const plan = await planOf(run, bridge, ask, "TOKEN");
  const kind = CLIENTS[ask.client];
  const entry = kind.entry(plan.offer, ask.name);
  const command = kind.command(ask.name, entry, ask.scope);
  const notes = kind.notes(plan.offer, ask.name);
  const { file = null, path = [] } = plan.place ?? {};
  const document = { client: ask.client, machine: ask.machine, transport: ask.transport, file, path, entry };
  run.output.result({ ...document, command: command ?? null, notes }, () => {
    const text = plan.place === undefined ? JSON.stringify(entry, null, 2) : kind.format.set("", path, entry);
    return [
      file === null ? `For ${kind.title}:` : `${kind.title} reads this from ${file}:`,
      "",
      text.trimEnd(),
      "",
      ...(command === undefined ? [] : [`Its own command for it:\n\n  ${command}\n`]),
      ...(file === null
        ? []
        : [run.output.commands(`${connectCommand(ask.client, ask.machine)} --write does it`)]),
      ...minting(run, ask),
      ...notes,
    ].join("\n");
  });
}

/** Writes a connection: the grant where one is needed, the client's entry, and what was written. */
export async function writeConnection(run: Run, bridge: DoorwardClient, ask: ConnectAsk): Promise<void> {
  const { signal } = run.cli;
  const minted = ask.transport === "stdio" ? undefined : await mintFor(bridge, ask, ask, signal);
  try {
    const plan = await planOf(run, bridge, ask, minted?.token ?? "");
    const known = plan.store.find(plan.id);
    if (minted !== undefined) plan.store.write(plan.store.tokenFile(plan.id), `${minted.token}\n`);
    const written = put(run, ask, plan, known, minted?.grant.grantId);
    if (known?.grant !== undefined && known.grant !== null) await endGrant(bridge, known.grant.id, signal);
    showWritten(run, ask, plan, written);
  } catch (cause) {
    if (minted !== undefined) await endGrant(bridge, minted.grant.grantId, signal);
    throw cause;
  }
}

function put(
  run: Run,
  ask: ConnectAsk,
  { id, place, store, offer }: Plan,
  known: Connection | undefined,
  grant: string | undefined,
): Written {
  const kind = CLIENTS[ask.client];
  const entry = kind.entry(offer, ask.name);
  const secret = kind.holdsToken && offer.transport !== "stdio";
  if (ask.client === "claude-code" && offer.transport !== "stdio") writeHelper(run, store, id);
  const there = known?.place == null ? undefined : { ...known.place, ...beneathOf(place) };
  // An entry in another place would be forgotten with the record of it.
  const moved = there !== undefined && place !== undefined && !samePlace(there, place);
  if (moved) orRefuse(ask, there, () => takeEntry(kind, there, ask.force));
  const put =
    place === undefined
      ? undefined
      : orRefuse(ask, place, () => putEntry(kind, place, entry, there?.entry, { force: ask.force, secret }));
  const before = (moved ? undefined : there) ?? put?.before;
  store.save({
    id,
    client: ask.client,
    machine: ask.machine,
    transport: ask.transport,
    place:
      place === undefined || before === undefined
        ? null
        : {
            scope: ask.scope,
            file: place.file,
            path: [...place.path],
            entry: entryDigest(entry),
            existed: before.existed,
            inTable: before.inTable,
          },
    grant: grant === undefined ? null : { id: grant, time: ask.time, readOnly: ask.readOnly },
    at: new Date().toISOString(),
  });
  return put?.written ?? "added";
}

/** The same project's folder: connections of projects are known by their file. */
function beneathOf(place: Place | undefined): Pick<Place, "beneath"> {
  return place?.beneath === undefined ? {} : { beneath: place.beneath };
}

function samePlace(a: Place, b: Place): boolean {
  return a.file === b.file && isDeepStrictEqual(a.path, b.path);
}

function orRefuse<T>(ask: ConnectAsk, place: Place, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!(cause instanceof ForeignEntry)) throw cause;
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot write "${cause.message}" into "${place.file}": there is one that Doorward did not write, or that was changed since`,
      hint: `${connectCommand(ask.client, ask.machine)} --write --force, or with another --name`,
      cause,
    });
  }
}

async function planOf(run: Run, bridge: DoorwardClient, ask: ConnectAsk, token: string): Promise<Plan> {
  const { env, cwd } = run.cli;
  const store = new ConnectionStore(env);
  const project = gitRoot(cwd);
  const place = CLIENTS[ask.client].place(ask.scope, { env, platform: process.platform, project }, ask.name);
  const id = ConnectionStore.idOf(ask.client, ask.machine, ask.scope, place?.file);
  const offer =
    ask.transport === "stdio" ? stdioOffer(run, ask) : await urlOffer(run, bridge, ask, store, id, token);
  return { id, place, store, offer };
}

function stdioOffer(run: Run, { client, machine, workdir, scope, readOnly }: ConnectAsk): Offer {
  const { command, args, env } = selfCommand(run.cli, scope === "project");
  const shim = ["mcp", machine, "--as", CLIENTS[client].tool, ...(readOnly ? ["--read-only"] : [])];
  const own = client === OWN_TOOLS.openclaw ? [] : shim;
  return { transport: "stdio", machine, workdir, command, args: [...args, ...own], env };
}

async function urlOffer(
  run: Run,
  bridge: DoorwardClient,
  { client, machine, workdir, transport, program }: ConnectAsk,
  store: ConnectionStore,
  id: string,
  token: string,
): Promise<Offer> {
  const { tcp } = await bridge.call("bridge.status", {}, { signal: run.cli.signal });
  if (tcp.state !== "listening") throw noTcp(tcp.state);
  const door = CLIENTS[client].door?.(program) ?? "agent-tool/mcp";
  const scheme = transport === "ws" ? "ws" : "http";
  return {
    transport: transport === "ws" ? "ws" : "http",
    machine,
    workdir,
    url: `${scheme}://127.0.0.1:${tcp.port}/v1/machines/${machine}/doors/${door}`,
    tokenFile: store.tokenFile(id),
    variable: `DOORWARD_TOKEN_${machine.toUpperCase().replaceAll("-", "_")}`,
    headersHelper: store.headersHelper(id),
    token,
  };
}

/** A script for clients that ask a program for headers: it renews the grant whenever one of them connects. */
function writeHelper(run: Run, store: ConnectionStore, id: string): void {
  const { command, args, env } = selfCommand(run.cli, false);
  const words = [command, ...args, "mcp", "--headers", id].map(shellWord).join(" ");
  const set = Object.entries(env).map(([name, value]) => `export ${name}=${shellWord(value)}\n`);
  store.writeProgram(store.headersHelper(id), `#!/bin/sh\n${set.join("")}exec ${words}\n`);
}

function showWritten(run: Run, ask: ConnectAsk, { id, place, store, offer }: Plan, written: Written): void {
  const kind = CLIENTS[ask.client];
  const tokenFile = offer.transport === "stdio" ? null : store.tokenFile(id);
  const { client, machine, transport, name } = ask;
  const document = { client, machine, transport, name, file: place?.file ?? null, written, tokenFile };
  run.output.result(document, () =>
    [
      place === undefined
        ? `The grant for ${kind.title} is made`
        : `${kind.title} ${written === "same" ? "already has" : "now has"} "${name}" in ${place.file}`,
      ...(tokenFile === null ? [] : [`Token: ${tokenFile}, for ${ask.time}; whoever has it has the grant`]),
      ...(kind.holdsToken && tokenFile !== null
        ? [`It is in ${place?.file ?? ""} too: ${kind.title} has no other way`]
        : []),
      ...kind.notes(offer, ask.name),
      run.output.commands(`Taken back with: ${connectCommand(client, machine)} --remove`),
    ].join("\n"),
  );
}

function minting(run: Run, ask: ConnectAsk): readonly string[] {
  if (ask.transport === "stdio") return [];
  const [usual] = CLIENTS[ask.client].transports;
  const how = ask.transport === usual ? "" : ` --transport ${ask.transport}`;
  const command = `${connectCommand(ask.client, ask.machine)}${how} --write`;
  return [run.output.commands(`The grant for it is made by ${command}`)];
}

function noTcp(state: string): DoorwardError {
  return new DoorwardError({
    code: "PORT_TAKEN",
    message: `Cannot connect over the network: the bridge's loopback port is ${state}`,
    hint: "doorward bridge status, or use --transport stdio",
  });
}
