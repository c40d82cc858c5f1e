import { DoorwardError, type SecretView } from "@doorward/contracts";
import type { EvidenceLog } from "../../evidence/index.ts";
import type { Caller, Handlers } from "../../gateway/index.ts";
import type { MachineRecord, MachineRecords } from "../../machines/life/index.ts";
import type { PolicyFile } from "../../policy/index.ts";
import { mergeProfile } from "../../policy/effective-policy.ts";
import type { SecretStore, StoredSecret } from "../../secrets/index.ts";
import { subjectOf } from "./machines.ts";

type SecretHandlers = Pick<Handlers, Extract<keyof Handlers, `secrets.${string}`>>;

/** Handlers of secret routes: values go in, names come out. */
export function secretHandlers(
  store: SecretStore,
  records: MachineRecords,
  policy: PolicyFile,
  evidence: Pick<EvidenceLog, "append">,
): SecretHandlers {
  // Changes that come at once are one after the other: what is there, what is recorded and what is kept agree.
  let changing: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const turn = changing.then(change);
    changing = turn.catch(() => undefined);
    return turn;
  };
  const record = async (
    by: { readonly caller: Caller; readonly correlationId: string },
    secret: string,
    change: "set" | "replaced" | "removed",
  ): Promise<void> => {
    const { caller, correlationId } = by;
    const common = {
      correlationId,
      subject: subjectOf(caller),
      machine: null,
      grant: null,
      policyHash: policy.hash,
    };
    await evidence.append({ type: "secret-change", ...common, secret, change });
  };
  const view = (secret: StoredSecret): SecretView => ({
    ...secret,
    usedBy: usersOf(secret.name, records.list(), policy),
  });
  return {
    "secrets.list": async () => ({ secrets: (await store.list()).map(view) }),
    "secrets.set": ({ params, body, caller, correlationId }) =>
      inTurn(async () => {
        const replaced = store.has(params.secret);
        await record({ caller, correlationId }, params.secret, replaced ? "replaced" : "set");
        return { secret: view(await store.set(params.secret, body.value)), replaced };
      }),
    "secrets.remove": ({ params, query, caller, correlationId }) =>
      inTurn(async () => {
        if (query.force !== "true") refuseUsed(params.secret, records.list());
        store.remove(params.secret);
        await record({ caller, correlationId }, params.secret, "removed");
        return { removed: params.secret };
      }),
  };
}

function usersOf(name: string, machines: readonly MachineRecord[], policy: PolicyFile): string[] {
  const profiles = Object.entries(policy.policy.profiles ?? {})
    .filter(([, profile]) => mergeProfile(profile).secrets.some((secret) => secret.name === name))
    .map(([profile]) => `profile ${profile}`);
  return [...machinesWith(name, machines).map((machine) => `machine ${machine.name}`), ...profiles];
}

function machinesWith(name: string, machines: readonly MachineRecord[]): MachineRecord[] {
  return machines.filter(({ profile }) => profile.secrets.some((secret) => secret.name === name));
}

function refuseUsed(name: string, machines: readonly MachineRecord[]): void {
  const [user] = machinesWith(name, machines);
  if (user === undefined) return;
  throw new DoorwardError({
    code: "SECRET_IN_USE",
    message: `Cannot delete the secret "${name}": machine "${user.name}" uses it`,
    hint: `doorward rm ${user.name}, or doorward secret rm ${name} --force`,
  });
}
