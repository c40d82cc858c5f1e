import { realpath } from "node:fs/promises";
import { DenialError, durationSeconds, type GrantView, type MintedGrant } from "@doorward/contracts";
import type { Caller, Handlers } from "../../gateway/index.ts";
import { decideMint, type GrantAuthority, type GrantMachine, type MintRequest } from "../../grants/index.ts";
import type { MachineRecord, Machines } from "../../machines/life/index.ts";
import { machineView } from "../../machines/life/index.ts";
import type { PolicyFile } from "../../policy/index.ts";
import { agentToolInForce } from "../door-in-force.ts";
import { subjectOf } from "./machines.ts";

type GrantHandlers = Pick<Handlers, Extract<keyof Handlers, `grants.${string}`>>;

/**
 * Handlers of grant routes; a holder reaches its own grant and those made from it. `settled` resolves when every grant and
 * machine was judged by the policy in force.
 */
export function grantHandlers(
  grants: GrantAuthority,
  policy: PolicyFile,
  settled: () => Promise<void>,
  open: () => Promise<Machines>,
): GrantHandlers {
  return {
    "grants.create": async ({ body, caller }) => {
      const machine = grantMachine((await open()).get(body.machine), policy);
      const { subject, doors, operations, capabilities, tools } = body;
      const ask = {
        machine,
        subject,
        doors,
        operations,
        capabilities,
        tools,
        paths: await resolved(caller, body.paths),
        seconds: durationSeconds(body.for),
      };
      const mint = async (): Promise<MintedGrant> => {
        // It may be removed while paths are resolved or the policy is put into force; its grants have ended by then.
        (await open()).get(machine.id);
        return grants.mint(ask, subjectOf(caller));
      };
      if (body.rule === undefined || !lacksRule(ask, policy)) return mint();
      return policy.withGrantRule(
        body.rule,
        (planned) => void decideMint(ask, planned),
        async () => {
          await settled();
          return mint();
        },
      );
    },
    "grants.list": ({ caller, query }) => {
      const ofSubtree = caller.kind === "grant" ? caller.grant.grantId : undefined;
      return Promise.resolve({ grants: [...grants.list({ includeEnded: query.all === "true", ofSubtree })] });
    },
    "grants.get": ({ caller, params }) => Promise.resolve(visible(grants, caller, params.grant)),
    "grants.narrow": async ({ caller, params, body }) => {
      visible(grants, caller, params.grant);
      const { subject, doors, operations, capabilities, tools } = body;
      const seconds = body.for === undefined ? undefined : durationSeconds(body.for);
      const ask = {
        subject,
        doors,
        operations,
        capabilities,
        tools,
        paths: await resolved(caller, body.paths),
        seconds,
      };
      return grants.narrow(params.grant, ask, subjectOf(caller));
    },
    "grants.renew": ({ caller, params, body }) =>
      grants.renew(params.grant, durationSeconds(body.for), subjectOf(caller)),
    "grants.revoke": ({ caller, params, body }) => {
      visible(grants, caller, params.grant);
      const { revoked, closedSockets } = grants.revoke(
        params.grant,
        body.reason ?? "revoked by command",
        subjectOf(caller),
      );
      return Promise.resolve({ revoked: [...revoked], closedSockets });
    },
  };
}

/** A machine as grants see it. */
export function grantMachine(record: MachineRecord, policy: PolicyFile): GrantMachine {
  return {
    id: record.id,
    name: record.name,
    repoHostPaths: record.repos.map((repo) => repo.hostPath),
    doors: machineView(record).doors,
    profile: record.profile.name,
    agentTool: agentToolInForce(policy, record),
  };
}

/** Whether a rule of grants is what a grant lacks. */
function lacksRule(ask: MintRequest, policy: PolicyFile): boolean {
  try {
    decideMint(ask, policy);
    return false;
  } catch (error) {
    return error instanceof DenialError && error.rule.startsWith("policy.grants");
  }
}

function visible(grants: GrantAuthority, caller: Caller, id: string): GrantView {
  if (caller.kind === "grant" && !grants.isWithin(id, caller.grant.grantId)) {
    throw new DenialError({
      code: "OPERATOR_ONLY",
      rule: "grants.own-subtree",
      message: `Cannot use grant "${id}": it was not made from grant "${caller.grant.grantId}"`,
    });
  }
  return grants.get(id);
}

/**
 * Grants name resolved paths. Only the operator's are resolved here: a holder could learn from the answer what exists on
 * the host; its paths must be written as its own grant has them.
 */
async function resolved(caller: Caller, paths: readonly string[] | undefined): Promise<string[] | undefined> {
  if (paths === undefined || caller.kind !== "operator") return paths === undefined ? undefined : [...paths];
  return Promise.all(paths.map((path) => realpath(path).catch(() => path)));
}
