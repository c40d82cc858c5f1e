import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULT_AGENT_TOOL_DOOR, type AgentToolDoorSpec } from "@doorward/contracts";
import fc from "fast-check";
import { digestOf, takeFingerprint, type FingerprintSource } from "../src/machines/fingerprint.ts";
import { diffInputs } from "../src/machines/fingerprint-diff.ts";
import { fingerprintSource } from "./fingerprint-source.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Path = readonly (string | number)[];

const base = fingerprintSource();
const { digest, inputs } = takeFingerprint(base);

/** Where a source's leaves do not count, and why; docs/fingerprint.md says the same. */
const NOT_COUNTED: readonly RegExp[] = [
  /^machine\./, // which machine it is, not what it is; its id stands in paths as MACHINE
  /^observedAt$/,
  /^facts\.(?:nofile|nproc)$/, // what of them is in force is measured
  /^facts\.findings\.(?:1\.|0\.(?:found|costs|fix)$)/, // words for people; the protections they stand for count
  // What was intended is compared with what runs before a fingerprint is taken; what runs counts.
  /^spec\.(?:name|machineId|installationId|imageId|command|workdir|hostname|env|user|idRangeStart|limits|seccomp)\b/,
  /^spec\.tmpfs\.0\.(?:sizeBytes|mode)$/,
  // Doorward's own files: made for the machine, or known by their digest.
  /^spec\.mounts\.[0126]\.identity\./,
  /^spec\.mounts\.5\.identity\./, // a pin
  /^spec\.mounts\.[0126]\.owner\./, // where ids are not mapped
  /^isolation\.mounts\.(?:0|1|2|3|7)\.(?:dev|ino)$/,
  // Guarding mounts stand among the decided ones, and were compared with them.
  /^isolation\.mounts\.(?:5|6)\.(?:fstype|dev|ino|options\.1)$/,
];

function leaves(value: Json, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]));
}

function replaced(source: FingerprintSource, path: Path, change: (leaf: Json) => Json): FingerprintSource {
  const copy = structuredClone(source) as unknown as Json;
  let parent = copy as Record<string, Json>;
  for (const name of path.slice(0, -1)) parent = parent[name] as Record<string, Json>;
  const last = String(path.at(-1));
  parent[last] = change(parent[last] ?? null);
  return copy as unknown as FingerprintSource;
}

/** Another value of the same kind. */
function other(leaf: Json, salt: number): Json {
  if (typeof leaf === "boolean") return !leaf;
  if (typeof leaf === "number") return leaf + 1 + salt;
  if (leaf === "ro" || leaf === "rw") return leaf === "ro" ? "rw" : "ro";
  if (typeof leaf !== "string") return "something";
  const hex = salt.toString(16).padStart(4, "0");
  return /^sha256:/.test(leaf) ? `sha256:${hex.repeat(16)}`.slice(0, 71) : `${leaf}${hex}`;
}

/** The digest of a source, or null where the contract refuses it. */
function digestOfSource(source: FingerprintSource): string | null {
  try {
    return takeFingerprint(source).digest;
  } catch (error) {
    assert.equal((error as Error).name, "ZodError");
    return null;
  }
}

const all = leaves(base as unknown as Json);
const counts = (path: Path): boolean => !NOT_COUNTED.some((pattern) => pattern.test(path.join(".")));
const salt = fc.integer({ min: 1, max: 0xffff });

describe("what a fingerprint is taken of", () => {
  test("a change of any leaf that counts gives another digest, or is no fingerprint at all", () => {
    const counted = all.filter(counts);
    assert.ok(counted.length > 90, `${String(counted.length)} leaves`);
    for (const path of counted) {
      const changed = digestOfSource(replaced(base, path, (leaf) => other(leaf, 7)));
      assert.notEqual(changed, digest, path.join("."));
    }
    fc.assert(
      fc.property(fc.constantFrom(...counted), salt, (path, by) => {
        assert.notEqual(digestOfSource(replaced(base, path, (leaf) => other(leaf, by))), digest);
      }),
      { numRuns: 500 },
    );
  });

  test("every field of the agent-tool door counts, and so does whether there is one", () => {
    const { doors } = base.profile;
    const withDoor = (door: AgentToolDoorSpec | undefined): string => {
      const { "agent-tool": _old, ...rest } = doors;
      const own = door === undefined ? {} : { "agent-tool": door };
      return takeFingerprint({ ...base, profile: { ...base.profile, doors: { ...rest, ...own } } }).digest;
    };
    const door = DEFAULT_AGENT_TOOL_DOOR;
    const changed: readonly (AgentToolDoorSpec | undefined)[] = [
      undefined,
      { ...door, toolIds: ["codex"] },
      { ...door, allowedOperations: ["agent-tool.read"] },
      { ...door, toolAllowances: [{ toolId: "codex", tools: ["read_file"] }] },
      { ...door, toolAllowances: [{ toolId: "codex", tools: [] }] },
      { ...door, approvalRequired: ["run_command"] },
      { ...door, registryGrantRefs: [{ toolId: "codex", grantRef: "grant://example/codex" }] },
      { ...door, hostMutationPolicy: "preapproved" },
    ];
    const digests = new Set([digest, ...changed.map(withDoor)]);
    assert.equal(digests.size, changed.length + 1);
    assert.equal(withDoor(door), digest);
  });

  test("a change of what does not count changes nothing", () => {
    const uncounted = all.filter((path) => !counts(path));
    for (const path of uncounted) {
      // An id that changes alone would not stand in its paths any more; the next test changes both.
      if (["machine.id", "spec.machineId", "spec.idRangeStart"].includes(path.join("."))) continue;
      const changed = digestOfSource(replaced(base, path, (leaf) => other(leaf, 7)));
      if (changed !== null) assert.equal(changed, digest, path.join("."));
    }
  });

  test("another machine with another range of ids and the same inputs has the same digest", () => {
    assert.equal(takeFingerprint(fingerprintSource("m_bbbbbbbbbbbbbbbb", 3_065_536)).digest, digest);
  });

  test("an unmapped range, a mapping of the host's ids and a larger range are not normalised away", () => {
    for (const uidMap of [
      "0 0 4294967295",
      "0 3000000 65537",
      "0 3000000 65536,65536 1000 1",
      "0 3065536 65536",
    ]) {
      const changed = { ...base, isolation: { ...base.isolation, uidMap } };
      const taken = takeFingerprint(changed);
      assert.notEqual(taken.digest, digest, uidMap);
      assert.equal(taken.inputs.protections.ownIdRange, false, uidMap);
    }
  });

  test("each protection that is missing is said by its name", () => {
    const { isolation } = base;
    const namespaces = { ...isolation.namespaces, net: false };
    const missing: readonly (readonly [string, Partial<FingerprintSource["isolation"]>])[] = [
      ["networkNamespace", { namespaces }],
      ["networkNamespace", { interfaces: ["eth0", "lo"] }],
      ["networkNamespace", { routes: 1 }],
      ["noCapabilities", { capBnd: "0000000000000400" }],
      ["noNewPrivileges", { noNewPrivs: false }],
      ["seccompFilter", { seccompMode: 0 }],
      ["readOnlyRoot", { rootReadOnly: false }],
      ["memoryLimit", { limits: { ...isolation.limits, memoryBytes: null } }],
      ["swapLimit", { limits: { ...isolation.limits, swapBytes: null } }],
      ["pidsLimit", { limits: { ...isolation.limits, pids: null } }],
      ["cpuLimit", { limits: { ...isolation.limits, cpus: null } }],
    ];
    for (const [name, change] of missing) {
      const taken = takeFingerprint({ ...base, isolation: { ...isolation, ...change } });
      const { protections } = taken.inputs;
      const off = Object.entries(protections).flatMap(([each, on]) => (on ? [] : [each]));
      assert.deepEqual(off.sort(), ["mandatoryAccessControl", name].sort());
    }
  });

  test("neither the order of keys nor that of hidden globs and relaxations counts", () => {
    const turned = (value: Json): Json =>
      typeof value !== "object" || value === null
        ? value
        : Array.isArray(value)
          ? value.map(turned)
          : Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([name, inner]) => [name, turned(inner)]),
            );
    assert.equal(
      takeFingerprint(turned(base as unknown as Json) as unknown as FingerprintSource).digest,
      digest,
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => digestOf(turned(value as Json)) === digestOf(value)),
      { numRuns: 300 },
    );
    const two = { ...base, hide: ["b", "a", "b"], fallbacks: ["y", "x"] };
    const same = { ...base, hide: ["a", "b"], fallbacks: ["x", "y"] };
    assert.equal(takeFingerprint(two).digest, takeFingerprint(same).digest);
  });
});

describe("the difference between two fingerprints", () => {
  const diff = (change: (copy: typeof inputs) => void) => {
    const copy = structuredClone(inputs);
    change(copy);
    return diffInputs(inputs, copy);
  };

  test("equal inputs have none, and any others at least one", () => {
    assert.deepEqual(diffInputs(inputs, structuredClone(inputs)), []);
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, two) => {
        assert.equal(diffInputs(one, two).length === 0, digestOf(one) === digestOf(two));
      }),
      { numRuns: 500 },
    );
  });

  test("a changed leaf is named by its path, with old and new", () => {
    assert.deepEqual(
      diff((copy) => (copy.profile.limits.pids = 512)),
      [{ path: "profile.limits.pids", kind: "changed", from: 1024, to: 512 }],
    );
  });

  test("mounts are matched by their target, wherever they stand in the list", () => {
    const changes = diff((copy) => {
      copy.mounts.reverse();
      const repo = copy.mounts.find(({ role }) => role === "repo");
      assert.ok(repo);
      repo.access = "ro";
    });
    assert.deepEqual(changes, [
      { path: "mounts[/workspace/app].access", kind: "changed", from: "rw", to: "ro" },
    ]);
  });

  test("a new and a missing mount are one change each", () => {
    const changes = diff((copy) => {
      const [first] = copy.mounts.splice(0, 1);
      assert.ok(first);
      copy.mounts.push({ ...first, target: "/workspace/new" });
    });
    assert.deepEqual(
      changes.map(({ path, kind }) => `${kind} ${path}`),
      ["removed mounts[/home/agent]", "added mounts[/workspace/new]"],
    );
  });

  test("lists of words are compared as sets", () => {
    assert.deepEqual(
      diff((copy) => copy.isolation.devices.unshift("/dev/kvm")),
      [{ path: "isolation.devices", kind: "added", to: "/dev/kvm" }],
    );
  });

  test("names that are no words are quoted", () => {
    assert.deepEqual(diffInputs({ "a.b\u001b": 1 }, {}), [
      { path: String.raw`["a.b\u001b"]`, kind: "removed", from: 1 },
    ]);
  });

  test("keys that every object inherits are compared like others", () => {
    const odd = JSON.parse('{"__proto__":1,"constructor":2}') as unknown;
    assert.deepEqual(
      diffInputs({}, odd).map(({ path }) => path),
      ["__proto__", "constructor"],
    );
  });
});
