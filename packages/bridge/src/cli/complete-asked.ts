import { realpathSync } from "node:fs";
import type { DoorwardClient } from "@doorward/client";
import { EgressHost, type EgressView, type MachineView } from "@doorward/contracts";
import type { Cli } from "./cli.ts";
import { Output } from "./output.ts";
import { machinesWith } from "./resolve-machine.ts";
import { shellWord } from "./shell-word.ts";
import { ago } from "./times.ts";

/** One thing that may stand at the cursor. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

interface Question {
  readonly client: DoorwardClient;
  readonly signal: AbortSignal;
  /** The machine that the line names, or that of the current folder. */
  readonly machine: () => Promise<MachineView | undefined>;
}

/** What only a running bridge knows. */
const ANSWERS = {
  machines: async (of) => (await machinesOf(of)).map(named),
  stopped: async (of) => (await machinesOf(of)).filter(({ state }) => state !== "running").map(named),
  approvals: async ({ client, signal }) => {
    const { approvals } = await client.call("approvals.list", {}, { signal });
    return approvals.map(({ id, title }) => ({ value: id, description: title }));
  },
  actions: async ({ client, signal }) => {
    const { actions } = await client.call("actions.list", {}, { signal });
    return actions.map(({ id, action, state }) => ({ value: id, description: `${action}, ${state}` }));
  },
  secrets: async ({ client, signal }) => {
    const { secrets } = await client.call("secrets.list", {}, { signal });
    return secrets.map(({ name, setAt }) => ({ value: name, description: `set ${ago(setAt)}` }));
  },
  transcripts: async ({ client, signal }) => {
    const { transcripts } = await client.call("transcripts.list", {}, { signal });
    return transcripts.map(({ id, machine, startedAt }) => ({
      value: id,
      description: `${machine.name}, ${ago(startedAt)}`,
    }));
  },
  grants: async ({ client, signal }) => {
    const { grants } = await client.call("grants.list", {}, { signal });
    return grants.map(({ grant, status }) => ({
      value: grant.grantId,
      description: `${grant.subject}, ${status}`,
    }));
  },
  profiles: async ({ client, signal }) => {
    const { policy } = await client.call("policy.show", {}, { signal });
    const names = new Set(["default", ...Object.keys(policy.profiles ?? {})]);
    return [...names].map((value) => ({ value, description: "profile" }));
  },
  roots: async ({ client, signal }) => {
    const { policy } = await client.call("policy.show", {}, { signal });
    const plain = policy.roots.filter(({ path }) => shellWord(path) === path);
    return plain.map(({ path, access }) => ({ value: path, description: access }));
  },
  terminals: async (of) => {
    const machine = (await of.machine())?.name;
    if (machine === undefined) return [];
    const { terminals } = await of.client.call(
      "machines.terminals",
      { params: { machine } },
      { signal: of.signal },
    );
    return terminals
      .filter(({ running }) => running)
      .map(({ id, command, viewers }) => ({ value: id, description: `${command}, ${viewers} viewers` }));
  },
  // Machines choose what they ask for: only what is a host's name may come to stand on a command line.
  "refused-hosts": async (of) =>
    ((await egressOf(of))?.refused ?? [])
      .filter(({ host, command }) => command !== null && EgressHost.safeParse(host).success)
      .map(({ host, lastAt }) => ({ value: host, description: `refused ${ago(lastAt)}` })),
  "allowed-hosts": async (of) =>
    ((await egressOf(of))?.rules ?? []).map(({ host, source }) => ({ value: host, description: source })),
} as const satisfies Readonly<Record<string, (of: Question) => Promise<readonly Candidate[]>>>;

/** What is asked of a running bridge. */
export type Asked = keyof typeof ANSWERS;

/** Asks the running bridge; none is started for it. */
export async function askBridge(
  cli: Cli,
  source: Asked,
  words: readonly string[],
): Promise<readonly Candidate[]> {
  await using client = await runningBridge(cli);
  const signal = AbortSignal.timeout(2000);
  const machine = async (): Promise<MachineView | undefined> =>
    meant(cli, await machinesOf({ client, signal }), words.slice(0, -1));
  return await ANSWERS[source]({ client, signal, machine });
}

async function machinesOf({
  client,
  signal,
}: Pick<Question, "client" | "signal">): Promise<readonly MachineView[]> {
  return (await client.call("machines.list", {}, { signal })).machines;
}

function named({ name, state }: MachineView): Candidate {
  return { value: name, description: state };
}

function meant(cli: Cli, all: readonly MachineView[], words: readonly string[]): MachineView | undefined {
  const found = all.find(({ name, id }) => words.includes(name) || words.includes(id));
  if (found !== undefined) return found;
  const [only, other] = machinesWith(realpathSync(cli.cwd), all);
  return other === undefined ? only : undefined;
}

async function egressOf({ client, signal, machine }: Question): Promise<EgressView | undefined> {
  const view = await machine();
  if (view === undefined) return undefined;
  return await client.call("egress.show", { params: { machine: view.name } }, { signal });
}

/** Not in the function that disposes of it: there TypeScript 6 leaves the extension of a dynamic import as it is. */
async function runningBridge(cli: Cli): Promise<DoorwardClient> {
  const { openClient } = await import("./bridge-link.ts");
  return openClient(cli, new Output(cli, { json: true, color: false }), { start: false });
}
