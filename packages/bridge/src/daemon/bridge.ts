import { mkdir } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { DOOR_REGISTRY } from "@doorward/doors";
import type { Logger } from "pino";
import { version } from "../build-id.ts";
import type { HostActions } from "../actions/index.ts";
import { Approvals } from "../approvals/index.ts";
import { Egress } from "../egress/index.ts";
import { openEvidence, type EvidenceLog } from "../evidence/index.ts";
import { InFlight, recordLost, type LostRecord } from "../in-flight/index.ts";
import { createGateway, type Gateway } from "../gateway/index.ts";
import { GrantAuthority } from "../grants/index.ts";
import type { MachineEngine } from "../machines/engine.ts";
import { ensureGuestRuntime, listenForGuest } from "../machines/guest/index.ts";
import {
  BRIDGE_SUBJECT,
  hostClocks,
  MachineRecord,
  MachineRecords,
  Machines,
  type LifeContext,
} from "../machines/life/index.ts";
import { PodmanEngine } from "../machines/podman/podman-engine.ts";
import { PolicyFile } from "../policy/index.ts";
import { MachineSecrets, SecretStore } from "../secrets/index.ts";
import { installationId, type Folders } from "../state/index.ts";
import { Transcripts } from "../transcripts/index.ts";
import { Store } from "../store/index.ts";
import { DenialCounter } from "./denial-counter.ts";
import { gatewayEvidence } from "./gateway-evidence.ts";
import { gatewayMachines, implicitGrants } from "./gateway-ports.ts";
import { grantEvidence } from "./grant-evidence.ts";
import { desktopNotifier } from "../hosts/linux/desktop-notification.ts";
import { doorApprovals } from "./door-approvals.ts";
import { doorHost } from "./door-host.ts";
import { agentToolInForce } from "./door-in-force.ts";
import { machineEgress, runningMachine } from "./machine-egress.ts";
import { openHostActions } from "./host-actions.ts";
import { allHandlers } from "./handlers/index.ts";
import { PolicyJudge } from "./policy-judge.ts";
import { recordStart } from "./record-start.ts";
import { Reviews } from "./reviews.ts";
import { Settings, type PreviousRun } from "./settings.ts";
import { Slot } from "./slot.ts";

/** Why a bridge stops. */
export type StopReason = "command" | "signal";

/** What a bridge is opened with; its folders exist and are locked. */
export interface BridgeOptions {
  readonly folders: Folders;
  readonly log: Logger;
  /** Called when a client asks the bridge to stop. */
  readonly onStop: (reason: StopReason) => void;
}

/** The host daemon: everything that one installation is made of, opened in order and closed in reverse. */
export class Bridge implements AsyncDisposable {
  readonly startedAt = new Date().toISOString();
  readonly installation: string;
  readonly #options: BridgeOptions;
  readonly #abort = new AbortController();
  readonly #store: Store;
  readonly #settings: Settings;
  readonly #evidence: EvidenceLog;
  readonly #inFlight: InFlight;
  readonly #policy: PolicyFile;
  readonly #denials: DenialCounter;
  readonly #grants: GrantAuthority;
  readonly #records: MachineRecords;
  readonly #engine: Slot<MachineEngine>;
  readonly #machines: Slot<Machines>;
  readonly #reviews: Reviews;
  readonly #secretStore: SecretStore;
  readonly #secrets: MachineSecrets;
  readonly #approvals: Approvals;
  readonly #actions: HostActions;
  readonly #transcripts: Transcripts;
  readonly #egress: Egress;
  readonly #judge: PolicyJudge;
  readonly #gateway: Gateway;
  readonly #previous: PreviousRun;

  private constructor(
    options: BridgeOptions,
    parts: {
      store: Store;
      evidence: EvidenceLog;
      inFlight: InFlight;
      policy: PolicyFile;
      secrets: SecretStore;
      approvals: Approvals;
      actions: HostActions;
      transcripts: Transcripts;
      installation: string;
    },
  ) {
    const { folders, log } = options;
    const { store, evidence, policy } = parts;
    const policyHash = (): string => policy.hash;
    this.#options = options;
    this.#store = store;
    this.#evidence = evidence;
    this.#inFlight = parts.inFlight;
    this.#policy = policy;
    this.installation = parts.installation;
    this.#settings = new Settings(store);
    this.#previous = this.#settings.began();
    this.#records = new MachineRecords(store.documents("machines", MachineRecord));
    this.#denials = new DenialCounter(evidence, policyHash, (error) =>
      log.error({ err: error }, "denials could not be recorded"),
    );
    this.#grants = GrantAuthority.open({
      store,
      policy,
      evidence: grantEvidence(evidence, parts.inFlight),
      machineName: (id) => this.#records.get(id)?.name ?? null,
      log,
    });
    this.#engine = new Slot(() => this.#openEngine());
    this.#machines = new Slot(() => this.#openMachines());
    this.#secretStore = parts.secrets;
    this.#secrets = new MachineSecrets({
      store: parts.secrets,
      secretsOf: (id) => this.#records.get(id)?.profile.secrets ?? [],
      runtimeDir: folders.runtime,
    });
    this.#approvals = parts.approvals;
    this.#actions = parts.actions;
    this.#transcripts = parts.transcripts;
    this.#egress = new Egress({
      store,
      evidence,
      policy,
      approvals: parts.approvals,
      machine: (id) => runningMachine(this.#records, id),
      bridgeSubject: BRIDGE_SUBJECT,
      log,
    });
    this.#reviews = new Reviews({ stateDir: folders.state, evidence, policy });
    this.#judge = new PolicyJudge({
      policy,
      grants: this.#grants,
      machines: () => this.#machines.value,
      cutTransports: () => this.#gateway.cutRefusedTransports(),
      evidence,
      log,
    });
    this.#gateway = createGateway({
      handlers: allHandlers({
        bridge: this,
        folders,
        policy,
        judge: this.#judge,
        grants: this.#grants,
        evidence,
        engine: this.#engine,
        machines: this.#machines,
        reviews: this.#reviews,
        secrets: this.#secretStore,
        records: this.#records,
        egress: this.#egress,
        approvals: this.#approvals,
        actions: this.#actions,
        transcripts: this.#transcripts,
        gateway: () => this.#gateway,
        stop: () => options.onStop("command"),
      }),
      grants: implicitGrants(this.#grants, this.#records, policy),
      machines: gatewayMachines(this.#records, () => this.#machines.get(), policy),
      doors: DOOR_REGISTRY,
      approvals: doorApprovals(this.#approvals),
      host: doorHost({
        actions: this.#actions,
        egress: this.#egress,
        grants: this.#grants,
        records: this.#records,
        agentTool: (record) => agentToolInForce(policy, record),
      }),
      evidence: gatewayEvidence({
        log: evidence,
        inFlight: this.#inFlight,
        denials: this.#denials,
        transcripts: this.#transcripts,
        policyHash,
      }),
      config: {
        login: userInfo().username,
        hosts: policy.policy.bridge?.hosts ?? [],
        origins: policy.policy.bridge?.origins ?? [],
      },
      log,
    });
  }

  /** Opens the store, the evidence and the policy, and listens; machines are adopted beside, and `ready` tells when they are. */
  static async open(options: BridgeOptions): Promise<Bridge> {
    const { folders, log } = options;
    const store = Store.open({ dir: folders.state, log });
    const installation = installationId(folders.state);
    const dir = join(folders.state, "evidence");
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const origin = `doorward.local/${installation}`;
    const inFlight = new InFlight(join(folders.state, "in-flight"), log);
    const placing = inFlight.placing.bind(inFlight);
    const evidence = await openEvidence({ dir, origin, log, placing }).catch((cause: unknown) => {
      throw unopened(dir, cause);
    });
    const policy = await PolicyFile.load({
      configDir: folders.config,
      stateDir: folders.state,
      runtimeDir: folders.runtime,
      home: homedir(),
    });
    const secrets = await SecretStore.open(folders.state);
    const approvals = await Approvals.open({
      store,
      evidence,
      policyHash: () => policy.hash,
      bridgeSubject: BRIDGE_SUBJECT,
      notifier: desktopNotifier(process.env),
      log,
    });
    const actions = await openHostActions({ folders, store, policy, approvals, evidence, log });
    const transcripts = await Transcripts.open({
      dir,
      store,
      evidence,
      inFlight,
      policyHash: () => policy.hash,
      log,
    });
    // Ends of sessions that have a transcript name it, and are recorded by now.
    const except = (record: LostRecord): boolean =>
      record.type === "session-close" && transcripts.owes(record.session);
    await recordLost({ inFlight, evidence, except, log });
    const bridge = new Bridge(options, {
      ...{ store, evidence, inFlight, policy, secrets, approvals, actions, transcripts, installation },
    });
    await bridge.#listen();
    return bridge;
  }

  /** Socket of the operator. */
  get socket(): string {
    return join(this.#options.folders.runtime, "bridge.sock");
  }

  /** Whether machines can be launched. */
  get ready(): boolean {
    return this.#machines.value !== undefined;
  }

  /** What keeps the bridge from working fully. */
  problems(): DoorwardError[] {
    const tcp = this.#gateway.tcp;
    return [
      this.#engine.problem,
      this.#machines.problem,
      this.#policy.problem,
      tcp.state === "taken" ? tcp.error : undefined,
    ].filter(
      (problem, at, all) => problem !== undefined && problem !== null && all.indexOf(problem) === at,
    ) as DoorwardError[];
  }

  /** Records the end in good order and closes everything in reverse; machines keep running. */
  async close(reason: StopReason): Promise<void> {
    const running = this.#records.list().filter((record) => record.state === "running").length;
    this.#abort.abort(new DoorwardError({ code: "BRIDGE_STOPPING", message: "The bridge is shutting down" }));
    await this.#gateway[Symbol.asyncDispose]();
    await this.#judge[Symbol.asyncDispose]();
    await this.#transcripts[Symbol.asyncDispose]();
    await this.#egress[Symbol.asyncDispose]();
    await this.#actions[Symbol.asyncDispose]();
    await this.#approvals[Symbol.asyncDispose]();
    await this.#machines[Symbol.asyncDispose]();
    await this.#engine[Symbol.asyncDispose]();
    await this.#grants[Symbol.asyncDispose]();
    await this.#denials[Symbol.asyncDispose]();
    const common = { correlationId: this.startedAt, subject: BRIDGE_SUBJECT, machine: null, grant: null };
    await this.#evidence
      .append({
        type: "bridge-stop",
        ...common,
        policyHash: this.#policy.hash,
        reason,
        machinesRunning: running,
      })
      .catch((error: unknown) =>
        this.#options.log.error({ err: error }, "the bridge's end could not be recorded"),
      );
    await this.#evidence[Symbol.asyncDispose]();
    this.#inFlight[Symbol.dispose]();
    this.#secretStore[Symbol.dispose]();
    this.#settings.ended();
    this.#store[Symbol.dispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close("signal");
  }

  async #listen(): Promise<void> {
    const { log } = this.#options;
    await this.#policy.watch(this.#abort.signal);
    await this.#gateway.listenUnix(this.socket);
    const { bridge } = this.#policy.policy;
    if (bridge?.tcp !== false) await this.#gateway.listenTcp(await this.#settings.port(bridge?.port));
    this.#machines.get().catch((error: unknown) => log.error({ err: error }, "machines can't be launched"));
  }

  #openEngine(): Promise<MachineEngine> {
    const { folders, log } = this.#options;
    return PodmanEngine.open({
      stateDir: folders.state,
      runtimeDir: folders.runtime,
      installationId: this.installation,
      log,
      signal: this.#abort.signal,
      imageBase: process.env["DOORWARD_IMAGE_BASE"] ?? null,
    });
  }

  async #openMachines(): Promise<Machines> {
    const engine = await this.#engine.get();
    const { machines, adoption } = await Machines.open(this.#lifeContext(engine), this.#abort.signal);
    try {
      // The policy may have been changed while no bridge was there to notice.
      await machines.rejudge();
    } catch (error) {
      // The next try opens them again, and two would serve the same machines.
      await machines[Symbol.asyncDispose]();
      throw error;
    }
    const start = {
      type: "bridge-start",
      correlationId: this.startedAt,
      subject: BRIDGE_SUBJECT,
      machine: null,
      grant: null,
      policyHash: this.#policy.hash,
      version: version(),
      previous: this.#previous,
      machinesAdopted: adoption.adopted,
      machinesReaped: adoption.reaped,
      grade: engine.facts.grade,
    } as const;
    const { log } = this.#options;
    await recordStart(start, { evidence: this.#evidence, log, signal: this.#abort.signal });
    return machines;
  }

  #lifeContext(engine: MachineEngine): LifeContext {
    const { folders, log } = this.#options;
    return {
      engine,
      policy: this.#policy,
      reviews: this.#reviews,
      secrets: this.#secrets,
      egress: machineEgress({
        egress: this.#egress,
        secrets: this.#secrets,
        stateDir: folders.state,
        log,
      }),
      records: this.#records,
      evidence: this.#evidence,
      runtime: () => ensureGuestRuntime({ stateDir: folders.state, log }),
      listen: ({ folder }) => listenForGuest({ socketPath: join(folder, "guest.sock"), log }),
      sessions: {
        closeMachine: (id, reason) => {
          const message = `The machine ended: ${reason}`;
          this.#gateway.sessions.closeMachine(
            id,
            new DoorwardError({ code: "MACHINE_NOT_RUNNING", message }),
          );
        },
        warn: (id, message) => this.#gateway.sessions.warn(id, { code: "MACHINE_EXPIRES", message }),
      },
      endGrants: (id, reason) => {
        this.#grants.endAllOfMachine(id, reason);
        return this.#grants.settled();
      },
      home: homedir(),
      doorVersions: Object.fromEntries(
        DOOR_REGISTRY.flatMap(({ endpoints }) =>
          endpoints.map((each) => [each.segment, each.protocol ?? "bytes"]),
        ),
      ),
      folders,
      installationId: this.installation,
      clocks: hostClocks,
      log,
    };
  }
}

/** A log on a read-only or full disk fails with the system's error; what that means is that nothing can be recorded. */
function unopened(dir: string, cause: unknown): DoorwardError {
  if (cause instanceof DoorwardError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: `Cannot open the evidence in "${dir}": ${why}`,
    hint: `df ${dir}; ls -ld ${dir}`,
    cause,
  });
}
