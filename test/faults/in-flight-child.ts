// Grants connections, opens sessions and runs commands in them as far as evidence goes, in lanes, and tells of each step when it is done:
// node in-flight-child.mjs FOLDER PREFIX LANES
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pino from "pino";
import { DenialCounter } from "../../packages/bridge/src/daemon/denial-counter.ts";
import { gatewayEvidence } from "../../packages/bridge/src/daemon/gateway-evidence.ts";
import { grantEvidence } from "../../packages/bridge/src/daemon/grant-evidence.ts";
import { openEvidence } from "../../packages/bridge/src/evidence/index.ts";
import { newSessionId } from "../../packages/bridge/src/gateway/correlation.ts";
import type { SessionOpened } from "../../packages/bridge/src/gateway/index.ts";
import type { GrantEvent } from "../../packages/bridge/src/grants/index.ts";
import { systemClock } from "../../packages/bridge/src/grants/clock.ts";
import { newEntry } from "../../packages/bridge/src/grants/issue.ts";
import { InFlight, recordLost } from "../../packages/bridge/src/in-flight/index.ts";
import { ORIGIN, common } from "../evidence/support.ts";

const [, , dir = "", prefix = "", lanes = "1"] = process.argv;
const log = pino({ level: "silent" });
const clock = systemClock();
const limits = { notes: 10_000, bytes: 10_000_000, spareBytes: 30_000 };
const inFlight = new InFlight(join(dir, "in-flight"), log, limits);
const placing = inFlight.placing.bind(inFlight);
const evidence = await openEvidence({ dir, origin: ORIGIN, log, placing });
await recordLost({ inFlight, evidence, log });
await using denials = new DenialCounter(evidence, policyHash, () => undefined);
const transcripts = { begin: none, finish: () => Promise.resolve(null), recorded: () => undefined };
const gateway = gatewayEvidence({ log: evidence, inFlight, denials, transcripts, policyHash });
const grants = grantEvidence(evidence, inFlight);
tell("ready");
if (prefix === "") {
  await evidence[Symbol.asyncDispose]();
  inFlight[Symbol.dispose]();
} else await Promise.all(Array.from({ length: Number(lanes) }, (_, lane) => run(lane)));

/** Connection after connection: a grant, a session, and some commands in that. */
async function run(lane: number): Promise<never> {
  for (let n = 0; ; n += 1) {
    const granted = connectionGrant();
    await grants.minted({ ...granted, by: common.subject, implicit: true, rule: "grant.implicit" });
    tell(`minted ${granted.grant.grantId}`);
    const opened = sessionOf(newSessionId());
    await gateway.sessionOpened(opened);
    tell(`opened ${opened.session}`);
    const ids = Array.from({ length: 1 + (n % 3) }, (_, at) => [prefix, lane, n, at].join("-"));
    await Promise.all(ids.map((id) => command(opened, id)));
    const counts = { durationMs: 1, bytesIn: 0, bytesOut: 0, exitCode: 0, closeCode: 1000 };
    await gateway.sessionClosed({ opened, reason: "CLOSED", at: opened.at, ...counts });
    tell(`closed ${opened.session}`);
    await grants.revoked({ ...granted, by: null, reason: "CLOSED", cause: "connection-end", sessionsCut: 0 });
    tell(`revoked ${granted.grant.grantId}`);
  }
}

async function command(opened: SessionOpened, id: string): Promise<void> {
  const what = { type: "command", execution: "agent", argv: [id], cwd: null } as const;
  const begun = gateway.sessionBegins(opened, what);
  tell(`begun ${id}`);
  if (Math.random() < 0.5) await delay(Math.random() * 5);
  const counts = { durationMs: 1, stdinBytes: 0, stdoutBytes: 0, stderrBytes: 0 };
  const end = { outcome: "exited", exitCode: 0, signal: null, detail: null, ...counts } as const;
  await begun.record({ ...what, ...end });
  tell(`recorded ${id}`);
}

function sessionOf(session: string): SessionOpened {
  const at = new Date().toISOString();
  const door = {
    door: "terminal",
    protocol: "doorward.exec.v1",
    operations: ["terminal.agent-exec"],
  } as const;
  return { ...common, ...door, session, listener: "tcp", origin: null, at };
}

function connectionGrant(): Pick<GrantEvent, "grant" | "machine"> {
  const { subject, machine } = common;
  const scope = {
    doors: ["terminal"],
    operations: ["terminal.exec"],
    paths: [],
    capabilities: [],
    tools: null,
  } as const;
  const granted = { ...machine, repoHostPaths: [], doors: scope.doors, profile: "default" };
  const made = { implicit: true, parent: undefined, policyHash: policyHash() };
  const { grant } = newEntry({ subject, by: subject, machine: granted, scope, seconds: 60, ...made }, clock);
  return { grant, machine };
}

function policyHash(): string {
  return common.policyHash;
}

function none(): Promise<never> {
  return Promise.reject(new Error("no transcripts here"));
}

/** One write, so that what was told was told even if this is killed in the next moment. */
function tell(line: string): void {
  writeSync(1, `${line}\n`);
}
