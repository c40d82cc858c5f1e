import { DoorwardError, type SecretView } from "@doorward/contracts";
import type { Handlers } from "../../gateway/index.ts";
import type { MachineRecord, MachineRecords } from "../../machines/life/index.ts";
import type { PolicyFile } from "../../policy/index.ts";
import { mergeProfile } from "../../policy/effective-policy.ts";
import type { SecretStore, StoredSecret } from "../../secrets/index.ts";

type SecretHandlers = Pick<Handlers, Extract<keyof Handlers, `secrets.${string}`>>;

/** Handlers of secret routes: values go in, names come out. */
export function secretHandlers(
  store: SecretStore,
  records: MachineRecords,
  policy: PolicyFile,
): SecretHandlers {
  const view = (secret: StoredSecret): SecretView => ({
    ...secret,
    usedBy: usersOf(secret.name, records.list(), policy),
  });
  return {
    "secrets.list": async () => ({ secrets: (await store.list()).map(view) }),
    "secrets.set": async ({ params, body }) => {
      const replaced = store.has(params.secret);
      return { secret: view(await store.set(params.secret, body.value)), replaced };
    },
    "secrets.remove": ({ params, query }) => {
      if (query.force !== "true") refuseUsed(params.secret, records.list());
      store.remove(params.secret);
      return Promise.resolve({ removed: params.secret });
    },
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
