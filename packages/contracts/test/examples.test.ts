import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import {
  AgentMachineFingerprint,
  BrowserDoor,
  CONTRACT_OPERATIONS,
  DOORS,
  EvidenceEnvelope,
  EvidenceStatement,
  HostInterfaceGrant,
  INTERFACE_KINDS,
  judgeDocument,
  OPERATIONS,
  ServedGrant,
  SecureHostInterfaceProfile,
} from "../src/index.ts";
import { acceptances, exampleTypes, refusals } from "../scripts/vectors.ts";

/** The key that the envelopes among the examples are signed with; its private half was thrown away. */
const KEY = Buffer.from("MCowBQYDK2VwAyEATFMKdV94lF1FedMEeIoNZdGSaWWZwF0v719+NPi6RE0=", "base64");

/** Who may stand in a path of an example; a person's real name never does. */
const PEOPLE = ["agent", "example", "user", "*"];
/** Where an example may say that something is, besides the path of a URL; all else would be somebody's own machine. */
const PLACES =
  /^\/(?:$|\/|bin|dev|etc|home|npm|opt\/dw|proc|root|run|srv|sys|tmp|usr|Users|var|workspace)(?:\/|$)/;
const SECRETS = /BEGIN [A-Z ]*PRIVATE KEY|\b(?:gh[opsu]_|xox[bp]-|AKIA)[A-Za-z0-9]{8}|\bdw1?_[A-Za-z0-9]{20}/;

const all = exampleTypes().flatMap((type) =>
  [...acceptances(type), ...refusals(type)].map(({ name, document }) => ({
    name: `${type} ${name}`,
    document: opened(document),
  })),
);

test("no example names a real person or has a secret, not in what an envelope holds either", () => {
  const people = all.flatMap(({ document }) =>
    strings(document).flatMap((text) =>
      [...text.matchAll(/(?:\/(?:home|Users)\/|[A-Za-z]:[\\/]Users[\\/])([^\\/"'\s]+)/g)].map(
        ([, person = ""]) => person,
      ),
    ),
  );
  assert.ok(people.length > 100, `${String(people.length)} paths of people`);
  assert.deepEqual([...new Set(people)].filter((person) => !PEOPLE.includes(person)).sort(), []);
  for (const { name, document } of all) assert.doesNotMatch(JSON.stringify(document), SECRETS, name);
});

test("no example has a path or a kernel of somebody's own machine", () => {
  for (const { name, document } of all) {
    for (const text of strings(document).filter((each) => each.startsWith("/")))
      assert.match(text, PLACES, `${name}: ${text}`);
    assert.doesNotMatch(JSON.stringify(document), /\/tmp\/\w+\/|"kernel":"(?!6\.1\.0-example")/, name);
  }
});

test("the digest of every fingerprint among the examples is that of its inputs", () => {
  const found = all.map(({ document }) => document).flatMap(fingerprints);
  const valid = found.flatMap((each) => AgentMachineFingerprint.safeParse(each).data ?? []);
  assert.ok(valid.length >= 4);
  for (const { digest, inputs } of acceptances("AgentMachineFingerprint").map(({ document }) =>
    AgentMachineFingerprint.parse(document),
  ))
    assert.equal(digest, `sha256:${sha256(canonical(inputs))}`);
  for (const { document } of acceptances("EvidenceStatement"))
    for (const each of fingerprints(document)) {
      const { digest, inputs } = AgentMachineFingerprint.parse(each);
      assert.equal(digest, `sha256:${sha256(canonical(inputs))}`);
    }
});

test("the subject of every statement among the examples is its predicate's digest, and the record's id", () => {
  for (const { name, document } of acceptances("EvidenceStatement")) {
    const { subject, predicate } = EvidenceStatement.parse(document);
    const stated = predicate as { readonly recordId: string };
    assert.deepEqual(
      subject,
      [{ name: `record/${stated.recordId}`, digest: { sha256: sha256(canonical(stated)) } }],
      name,
    );
  }
});

test("the envelope among the examples holds a valid statement as canonical JSON, signed by the key it names", () => {
  for (const { document } of acceptances("EvidenceEnvelope")) {
    const { payload, payloadType, signatures } = EvidenceEnvelope.parse(document);
    const bytes = Buffer.from(payload, "base64");
    const statement: unknown = JSON.parse(bytes.toString());
    assert.deepEqual(judgeDocument(statement, "EvidenceStatement").problems, []);
    assert.equal(bytes.toString(), canonical(statement));
    const before = `DSSEv1 ${String(payloadType.length)} ${payloadType} ${String(bytes.length)} `;
    const signed = Buffer.concat([Buffer.from(before), bytes]);
    const key = createPublicKey({ key: KEY, format: "der", type: "spki" });
    for (const { keyid, sig } of signatures) {
      assert.equal(keyid, sha256(KEY));
      assert.equal(verify(null, signed, key, Buffer.from(sig, "base64")), true);
    }
  }
});

test("what an example refers to is an example, and no two valid documents of a kind have one URN", () => {
  const kinds = [
    "AgentMachineProfile",
    "TerminalDoor",
    "BrowserDoor",
    "EditorDoor",
    "AgentToolDoor",
    "SecureHostInterfaceProfile",
  ];
  const documents = kinds.flatMap((type) => acceptances(type).map(({ document }) => document as Named));
  const ids = documents.map(({ id }) => id);
  assert.deepEqual(ids, [...new Set(ids)]);
  for (const { id, agentMachineProfileRef = ids[0] ?? "", doorRef = agentMachineProfileRef } of documents)
    assert.ok(ids.includes(agentMachineProfileRef) && ids.includes(doorRef), id);
});

test("the exception for a host's browser profile names a grant that opens the browser door", () => {
  const grants = acceptances("HostInterfaceGrant").map(({ document }) => HostInterfaceGrant.parse(document));
  const exceptions = acceptances("BrowserDoor").flatMap(({ document }) => {
    const { hostProfileSharing } = BrowserDoor.parse(document).profileIsolation;
    return hostProfileSharing === null ? [] : [hostProfileSharing.grantRef];
  });
  assert.notEqual(exceptions.length, 0);
  for (const ref of exceptions)
    assert.ok(
      grants.some(({ id, doors }) => id === ref && doors.includes("browser")),
      ref,
    );
});

test("a grant can name every door and operation of the contracts; a bridge makes those alone that it serves", () => {
  const [{ document } = assert.fail()] = acceptances("HostInterfaceGrant");
  const grant = HostInterfaceGrant.parse(document);
  for (const door of INTERFACE_KINDS) {
    const changed = { ...grant, doors: [door] };
    assert.deepEqual(judgeDocument(changed).problems, [], door);
    assert.equal(
      ServedGrant.safeParse(changed).success,
      DOORS.some((served) => served === door),
      door,
    );
  }
  for (const operation of CONTRACT_OPERATIONS) {
    const changed = { ...grant, operations: [operation] };
    assert.deepEqual(judgeDocument(changed).problems, [], operation);
    const served = OPERATIONS.some((each) => each === operation);
    assert.equal(ServedGrant.safeParse(changed).success, served, operation);
  }
});

/** URNs that the estate uses already, or says how to form. */
const IN_USE = [
  ["SecureHostInterfaceProfile", "id", "urn:srcos:secure-host-interface:macos-default"],
  ["SecureHostInterfaceProfile", "id", "urn:srcos:secure-host-interface-profile:macos-default"],
  [
    "SecureHostInterfaceProfile",
    "agentMachineProfileRef",
    "urn:srcos:agent-machine-profile:macos-podman-default",
  ],
  ["SecureHostInterfaceProfile", "agentMachineProfileRef", "urn:srcos:agent-machine-profile:m2-asahi-dev"],
  ["HostInterfaceGrant", "workspaceRef", "urn:srcos:agent-machine-workspace:m2-demo"],
  ["HostInterfaceGrant", "workspaceRef", "urn:srcos:agent-machine-workspace:local-default"],
  ["HostInterfaceGrant", "workspaceRef", "urn:srcos:workspace:demo"],
  ["HostInterfaceGrant", "revocationRef", "urn:srcos:revocation:A.b_c~d-1"],
  ["AgentMachineFingerprint", "machineRef", "urn:srcos:agent-machine:m_1"],
  ["BrowserDoor", "brokerRef", "urn:srcos:token-door:local"],
  ["BrowserDoor", "brokerRef", "urn:srcos:agent-machine:inference-provider:local"],
  [
    "AgentMachineMountEvidence",
    "localDataPlaneRef",
    "urn:srcos:agent-machine-local-data-plane:macos-default",
  ],
  [
    "AgentMachineMountEvidence",
    "mountPolicyRef",
    "urn:srcos:agent-machine-mount-policy:default-deny-scoped-roots",
  ],
  ["AgentMachineMountEvidence", "workspaceId", "urn:srcos:agent-machine-workspace:m2-demo"],
  ["AgentMachineMountEvidence", "secureHostInterfaceRef", "urn:srcos:secure-host-interface:macos-default"],
] as const;

for (const [type, field, urn] of IN_USE) {
  test(`${type}.${field} takes ${urn}, which is in use`, () => {
    for (const { document } of acceptances(type))
      assert.deepEqual(judgeDocument({ ...(document as object), [field]: urn }, type).problems, []);
  });
}

test("a registry's grant is taken in the registry's own scheme, as a lease and as the estate's document of it", () => {
  for (const { document } of acceptances("AgentToolDoor"))
    for (const grantRef of [
      "grant://example/codex-dev",
      "urn:srcos:lease:hermes-dev",
      "urn:srcos:agent-machine:agent-registry-grant:codex-dev",
    ]) {
      const registryGrantRefs = [{ toolId: "codex", grantRef }];
      const { problems } = judgeDocument({ ...(document as object), registryGrantRefs });
      assert.deepEqual(problems, []);
    }
});

test("a URN that means something else in the estate is no document of ours", () => {
  const [profile] = acceptances("SecureHostInterfaceProfile");
  const [grant] = acceptances("HostInterfaceGrant");
  for (const id of ["urn:srcos:token-door:x", "urn:srcos:grant:x", "urn:srcos:secure-host-interfaces:x"]) {
    assert.equal(
      SecureHostInterfaceProfile.safeParse({ ...(profile?.document as object), id }).success,
      false,
    );
    assert.equal(HostInterfaceGrant.safeParse({ ...(grant?.document as object), id }).success, false);
  }
});

interface Named {
  readonly id: string;
  readonly agentMachineProfileRef?: string;
  readonly doorRef?: string;
}

/** A document, with what its envelope holds beside it. */
function opened(document: unknown): unknown {
  const payload: unknown =
    typeof document === "object" && document !== null ? Reflect.get(document, "payload") : undefined;
  if (typeof payload !== "string") return document;
  return [document, JSON.parse(Buffer.from(payload, "base64").toString()) as unknown];
}

function strings(node: unknown): string[] {
  if (typeof node === "string") return [node];
  if (typeof node !== "object" || node === null) return [];
  return [...Object.keys(node), ...Object.values(node).flatMap(strings)];
}

function fingerprints(node: unknown): unknown[] {
  if (typeof node !== "object" || node === null) return [];
  const own = Reflect.get(node, "type") === "AgentMachineFingerprint" ? [node] : [];
  return [...own, ...Object.values(node).flatMap(fingerprints)];
}

/** Canonical JSON (RFC 8785) of what the examples hold: no floats that are written in more than one way. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonical(entry)}`).join(",")}}`;
}

function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
