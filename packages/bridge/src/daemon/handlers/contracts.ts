import type { Handlers } from "../../gateway/index.ts";
import type { PolicyFile } from "../../policy/index.ts";

type ContractHandlers = Pick<Handlers, Extract<keyof Handlers, `contracts.${string}`>>;

/** Handlers of the routes about the contracts in force. */
export function contractHandlers(policy: PolicyFile): ContractHandlers {
  return {
    "contracts.list": () =>
      Promise.resolve({
        policyHash: policy.hash,
        folder: policy.interfacesFolder,
        contracts: policy.contracts().map(({ profile, path, inForce, note, document }) => ({
          id: document.id,
          type: document.type,
          profile,
          source: path === null ? ("derived" as const) : ("file" as const),
          path,
          inForce,
          note,
          document: { ...document },
        })),
      }),
  };
}
