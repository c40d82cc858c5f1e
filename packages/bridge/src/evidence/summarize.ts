import type { EvidencePredicate, EvidenceStatement } from "@doorward/contracts";
import { hostAction, pluginHostCall, pluginLifecycle, toolCall } from "./summarize-actions.ts";
import { NOT_KNOWN, detail, seconds, short, until } from "./summary-words.ts";

/** One line about a record that reads like a story; control characters are escaped. */
export function summarize(statement: EvidenceStatement): string {
  return escapeControls(story(statement)).slice(0, 1000);
}

function story(record: EvidenceStatement): string {
  switch (record.predicateType) {
    case "https://doorward.dev/evidence/launch/v1":
      return launch(record.predicate);
    case "https://doorward.dev/evidence/machine-extend/v1":
      return machineExtend(record.predicate);
    case "https://doorward.dev/evidence/machine-end/v1":
      return machineEnd(record.predicate);
    case "https://doorward.dev/evidence/review/v1":
      return review(record.predicate);
    case "https://doorward.dev/evidence/session-open/v1":
      return sessionOpen(record.predicate);
    case "https://doorward.dev/evidence/session-close/v1":
      return sessionClose(record.predicate);
    case "https://doorward.dev/evidence/terminal/v1":
      return terminal(record.predicate);
    case "https://doorward.dev/evidence/command/v1":
      return command(record.predicate);
    case "https://doorward.dev/evidence/forward/v1":
      return forward(record.predicate);
    case "https://doorward.dev/evidence/tool-call/v1":
      return toolCall(record.predicate);
    case "https://doorward.dev/evidence/host-action/v1":
      return hostAction(record.predicate);
    case "https://doorward.dev/evidence/plugin-lifecycle/v1":
      return pluginLifecycle(record.predicate);
    case "https://doorward.dev/evidence/plugin-host-call/v1":
      return pluginHostCall(record.predicate);
    case "https://doorward.dev/evidence/grant-minted/v1":
      return grantMinted(record.predicate);
    case "https://doorward.dev/evidence/grant-narrowed/v1":
      return grantNarrowed(record.predicate);
    case "https://doorward.dev/evidence/grant-renewed/v1":
      return grantRenewed(record.predicate);
    case "https://doorward.dev/evidence/grant-revoked/v1":
      return grantRevoked(record.predicate);
    case "https://doorward.dev/evidence/grant-expired/v1":
      return grantExpired(record.predicate);
    case "https://doorward.dev/evidence/egress/v1":
      return egress(record.predicate);
    case "https://doorward.dev/evidence/egress-change/v1":
      return egressChange(record.predicate);
    case "https://doorward.dev/evidence/secret-change/v1":
      return secretChange(record.predicate);
    case "https://doorward.dev/evidence/denial/v1":
      return denial(record.predicate);
    case "https://doorward.dev/evidence/denials/v1":
      return denials(record.predicate);
    case "https://doorward.dev/evidence/approval/v1":
      return approval(record.predicate);
    case "https://doorward.dev/evidence/policy-change/v1":
      return policyChange(record.predicate);
    case "https://doorward.dev/evidence/bridge-start/v1":
      return bridgeStart(record.predicate);
    case "https://doorward.dev/evidence/bridge-stop/v1":
      return bridgeStop(record.predicate);
    case "https://doorward.dev/evidence/key-rotation/v1":
      return keyRotation(record.predicate);
  }
}

const endings = {
  stopped: "was stopped",
  expired: "ended: its time was over",
  removed: "was removed",
  drift: "was killed: it is not what was intended",
  crashed: "crashed",
  reboot: "ended with the host",
  reaped: "was reaped: nobody owned it",
} as const;

const launch = (p: EvidencePredicate<"launch">) =>
  `${p.subject} launched ${p.machine.name} (${short(p.fingerprint.digest)}) in ${seconds(p.durationMs)}${until(p.expiresAt)}`;

const machineExtend = (p: EvidencePredicate<"machine-extend">) =>
  `${p.subject} gave ${p.machine.name} more time${until(p.expiresAt)}`;

const machineEnd = (p: EvidencePredicate<"machine-end">) =>
  `${p.machine.name} ${endings[p.reason]}${detail(p.detail)}`;

const review = (p: EvidencePredicate<"review">) =>
  `${p.subject} reviewed ${p.machine.name}: ${String(p.files)} files, +${String(p.insertions)} -${String(p.deletions)}, ${p.outcome}${p.target === null ? "" : ` ${p.target}`}`;

const sessionOpen = (p: EvidencePredicate<"session-open">) =>
  `${p.subject} opened ${p.door} of ${p.machine.name} as ${p.execution}${p.resumes === null ? "" : " again"}`;

const sessionClose = (p: EvidencePredicate<"session-close">) =>
  `${p.subject} left ${p.door} of ${p.machine.name}${stayed(p)}${p.reason === "CLOSED" ? "" : ` (${p.reason})`}`;

function stayed({ reason, durationMs }: EvidencePredicate<"session-close">): string {
  const unknown = reason === "BRIDGE_LOST" && durationMs === 0;
  return unknown ? ": not known when, the bridge was lost" : ` after ${seconds(durationMs)}`;
}

const terminalEvents = {
  created: "opened",
  attached: "attached to",
  observed: "watched",
  control: "took control of",
  exited: "saw the end of",
} as const;

const terminal = (p: EvidencePredicate<"terminal">) =>
  `${p.subject} ${terminalEvents[p.event]} terminal ${p.terminal} of ${p.machine.name}${p.program === null ? "" : ` running ${p.program}`}`;

const forward = (p: EvidencePredicate<"forward">) => {
  const port = `port ${String(p.port)} of ${p.machine.name}`;
  const code = p.code === null ? "" : ` (${p.code})`;
  if (p.outcome === "refused") return `${p.subject} did not reach ${port}${code}`;
  if (p.outcome === "bridge-lost") return `${p.subject} asked for a connection to ${port}: ${NOT_KNOWN}`;
  return `${p.subject} was connected to ${port} for ${seconds(p.durationMs)}${p.outcome === "cut" ? ", cut" : ""}${code}`;
};

const command = (p: EvidencePredicate<"command">) =>
  `${p.subject} ran ${p.program} in ${p.machine.name}: ${commandEnd(p)}`;

const grantMinted = (p: EvidencePredicate<"grant-minted">) =>
  `${p.subject} granted ${p.grantee} ${p.operations.join(", ")}${until(p.expiresAt)} (${p.grant})`;

const grantNarrowed = (p: EvidencePredicate<"grant-narrowed">) =>
  `${p.subject} passed ${p.operations.join(", ")} on to ${p.grantee}${until(p.expiresAt)} (${p.grant} of ${p.parent})`;

const grantRenewed = (p: EvidencePredicate<"grant-renewed">) =>
  `${p.subject} renewed ${p.grant}${until(p.expiresAt)}`;

const grantRevoked = (p: EvidencePredicate<"grant-revoked">) =>
  `${p.subject} revoked ${p.grant}, ${String(p.sessionsCut)} sessions cut${detail(p.reason)}`;

const grantExpired = (p: EvidencePredicate<"grant-expired">) =>
  `${p.grant} expired, ${String(p.sessionsCut)} sessions cut`;

const egress = (p: EvidencePredicate<"egress">) =>
  p.decision === "refused"
    ? `${p.machine.name} was refused ${hostPort(p)}, ${times(p.connections)}: ${p.code ?? "EGRESS_DENIED"}`
    : `${p.machine.name} reached ${hostPort(p)}${p.address === null ? "" : ` at ${p.address}`}, ${times(p.connections)}, sent ${String(p.sent)} and received ${String(p.received)} bytes by ${p.rule ?? "no rule"}${p.secrets.length === 0 ? "" : ` with ${p.secrets.join(", ")}`}${p.code === null ? "" : ` (${p.code})`}`;

const egressChange = (p: EvidencePredicate<"egress-change">) =>
  `${p.subject} ${p.change === "ended" ? "saw the end of" : p.change} ${p.host}${p.ports.length === 0 ? "" : `:${p.ports.join(",")}`} for ${p.machine.name}${p.change === "ended" ? "" : until(p.expiresAt)}, ${String(p.connectionsCut)} connections cut`;

const secretChange = (p: EvidencePredicate<"secret-change">) =>
  `${p.subject} ${p.change} the secret ${p.secret}`;

const denial = (p: EvidencePredicate<"denial">) =>
  `${p.subject} was refused ${p.operation ?? p.attempted}${p.target === null ? "" : ` on ${p.target}`}: ${p.code}${p.rule === null ? "" : ` by ${p.rule}`}`;

function denials({ total, counts }: EvidencePredicate<"denials">): string {
  const known = new Map<string, number>();
  let [unknown, rest] = [0, total];
  for (const { subject, count } of counts) {
    rest -= count;
    if (subject === undefined) unknown += count;
    else known.set(subject, (known.get(subject) ?? 0) + count);
  }
  return [
    ...(unknown > 0 ? [`${String(unknown)} callers without a valid token were refused`] : []),
    ...[...known].map(([subject, count]) => `${subject} was refused ${String(count)} times more`),
    ...(rest > 0 ? [`${String(rest)} refusals more, of callers that did not fit in the record`] : []),
  ].join("; ");
}

const approval = (p: EvidencePredicate<"approval">) =>
  `${approver(p)} ${p.operation} for ${p.requestedBy}${p.shape === null ? "" : " and its like"}${until(p.expiresAt)}${detail(p.reason)}`;

function approver({ where, subject, decision }: EvidencePredicate<"approval">): string {
  if (decision === "withdrawn") return "nobody had to decide about";
  if (where === "time") return "nobody decided in time about";
  return where === "policy" ? `the policy ${decision}` : `${subject} ${decision}`;
}

const policyChange = (p: EvidencePredicate<"policy-change">) =>
  `${p.subject} put policy ${short(p.next)} in force (${p.source}); ${String(p.machinesCut)} machines and ${String(p.grantsCut)} grants cut`;

const bridgeStart = (p: EvidencePredicate<"bridge-start">) =>
  `bridge ${p.version} started${p.previous === "crashed" ? " after a crash" : ""}; ${String(p.machinesAdopted)} machines adopted, ${String(p.machinesReaped)} reaped`;

const bridgeStop = (p: EvidencePredicate<"bridge-stop">) =>
  `bridge stopped (${p.reason}); ${String(p.machinesRunning)} machines go on`;

const keyRotation = (p: EvidencePredicate<"key-rotation">) =>
  `${p.subject} exchanged the signing key ${p.previousKey.keyId.slice(0, 12)} for ${p.nextKey.keyId.slice(0, 12)}${detail(p.reason)}`;

function commandEnd({ outcome, exitCode, signal, durationMs }: EvidencePredicate<"command">): string {
  if (outcome === "bridge-lost") return NOT_KNOWN;
  if (outcome === "exited") return `exit ${String(exitCode ?? "unknown")} after ${seconds(durationMs)}`;
  return signal === null ? outcome : `${outcome} by ${signal}`;
}

/** Makes control characters, bidirectional overrides and line breaks visible as \\u escapes. */
export function escapeControls(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

function hostPort({ host, port }: { readonly host: string | null; readonly port: number | null }): string {
  return host === null ? "more hosts" : `${host}:${String(port)}`;
}

function times(count: number): string {
  return count === 1 ? "once" : `${String(count)} times`;
}
