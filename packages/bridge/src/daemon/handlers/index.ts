import type { HostActions } from "../../actions/index.ts";
import type { Approvals } from "../../approvals/index.ts";
import type { Egress } from "../../egress/index.ts";
import type { EvidenceLog } from "../../evidence/index.ts";
import type { Gateway, Handlers } from "../../gateway/index.ts";
import type { GrantAuthority } from "../../grants/index.ts";
import type { MachineEngine } from "../../machines/engine.ts";
import type { Machines } from "../../machines/life/index.ts";
import type { MachineRecords } from "../../machines/life/index.ts";
import type { PolicyFile } from "../../policy/index.ts";
import type { SecretStore } from "../../secrets/index.ts";
import type { Folders } from "../../state/index.ts";
import type { Transcripts } from "../../transcripts/index.ts";
import type { Bridge } from "../bridge.ts";
import type { PolicyJudge } from "../policy-judge.ts";
import type { Reviews } from "../reviews.ts";
import type { Slot } from "../slot.ts";
import { bridgeHandlers } from "./bridge.ts";
import { contractHandlers } from "./contracts.ts";
import { actionHandlers } from "./actions.ts";
import { approvalHandlers } from "./approvals.ts";
import { egressHandlers } from "./egress.ts";
import { evidenceHandlers } from "./evidence.ts";
import { grantHandlers } from "./grants.ts";
import { imageHandlers } from "./images.ts";
import { machineHandlers } from "./machines.ts";
import { policyHandlers } from "./policy.ts";
import { secretHandlers } from "./secrets.ts";
import { transcriptHandlers } from "./transcripts.ts";

/** The parts of a bridge that its handlers use. */
export interface HandlerSources {
  readonly bridge: Pick<Bridge, "startedAt" | "installation" | "socket" | "ready" | "problems">;
  readonly folders: Folders;
  readonly policy: PolicyFile;
  readonly judge: PolicyJudge;
  readonly grants: GrantAuthority;
  readonly evidence: EvidenceLog;
  readonly engine: Slot<MachineEngine>;
  readonly machines: Slot<Machines>;
  readonly reviews: Reviews;
  readonly secrets: SecretStore;
  readonly records: MachineRecords;
  readonly egress: Egress;
  readonly approvals: Approvals;
  readonly actions: HostActions;
  readonly transcripts: Transcripts;
  readonly gateway: () => Gateway;
  readonly stop: () => void;
}

/** A handler for every route of the control API. */
export function allHandlers(sources: HandlerSources): Handlers {
  const { engine, machines, policy, judge } = sources;
  return {
    ...bridgeHandlers(sources),
    ...contractHandlers(policy),
    ...policyHandlers(policy, () => judge.settled()),
    ...imageHandlers(
      () => engine.get(),
      () => machines.get(),
      policy,
    ),
    ...machineHandlers(() => machines.get(), sources.reviews, sources.evidence),
    ...grantHandlers(
      sources.grants,
      policy,
      () => judge.settled(),
      () => machines.get(),
    ),
    ...evidenceHandlers(sources.evidence, () => policy.hash),
    ...egressHandlers(sources.egress, sources.records),
    ...approvalHandlers(sources.approvals),
    ...actionHandlers(sources.actions, sources.grants, sources.records),
    ...secretHandlers(sources.secrets, sources.records, policy, sources.evidence),
    ...transcriptHandlers(sources.transcripts),
  };
}
