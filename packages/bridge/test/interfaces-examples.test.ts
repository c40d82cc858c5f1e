import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { linuxOnly, load, type Documents } from "./interfaces-lab.ts";
import { PolicyLab, refused } from "./policy-lab.ts";

const examples = new URL("../../contracts/examples/", import.meta.url);
const LOADED = ["AgentMachineProfile", "TerminalDoor", "AgentToolDoor", "SecureHostInterfaceProfile"];
/** What documents never say: the bridge alone makes these, or has no door for them. */
const NEVER_LOADED = ["AgentMachineFingerprint", "AgentMachineMountEvidence", "HostInterfaceGrant"];
const UNBUILT = ["BrowserDoor", "EditorDoor"];

type Example = Readonly<Record<string, unknown>>;

function names(type: string, kind: "valid" | "invalid"): string[] {
  return readdirSync(new URL(`${type}/${kind}/`, examples));
}

function example(path: string): Example {
  return JSON.parse(readFileSync(new URL(path, examples), "utf8")) as Example;
}

/** The published documents that an example refers to: its profile, without doors of its own, and its door. */
function neighbours({ agentMachineProfileRef: profile, doorRef }: Example): Documents {
  const found = LOADED.flatMap((type) =>
    names(type, "valid").map((name) => example(`${type}/valid/${name}`)),
  ).filter(({ id }) => id === profile || id === doorRef);
  return Object.fromEntries(
    found.map((each, at) => [
      `${String(at)}.json`,
      each["type"] === "AgentMachineProfile" ? { ...each, doors: {} } : each,
    ]),
  );
}

for (const type of LOADED) {
  for (const name of names(type, "valid")) {
    const document = example(`${type}/valid/${name}`);
    const kind = document["interfaceKind"];
    const unbuilt = kind === "browser" || kind === "editor";
    test(
      `the published ${type} ${name} is ${unbuilt ? "refused for want of a door" : "loaded"}`,
      {
        skip: linuxOnly,
      },
      async () => {
        using lab = new PolicyLab();
        const loading = load(lab, { ...neighbours(document), "x.json": document });
        if (unbuilt) {
          assert.match((await refused(loading, "DOOR_NOT_BUILT")).message, /x\.json": .*interfaceKind/);
          return;
        }
        const row = (await loading).contracts().find((each) => each.document.id === document["id"]);
        assert.equal(row?.path?.endsWith("x.json"), true);
        const { hostAdapter = "linux" } = document;
        assert.equal(row.inForce, hostAdapter === "linux");
      },
    );
  }

  for (const name of names(type, "invalid")) {
    test(`the published refusal ${type} ${name} is refused at load`, { skip: linuxOnly }, async () => {
      using lab = new PolicyLab();
      const { document } = example(`${type}/invalid/${name}`);
      const loading = load(lab, { ...neighbours(document as Example), "x.json": document });
      assert.match(
        (await refused(loading, "POLICY_INVALID")).message,
        /^Cannot read document "[^"]*x\.json"/,
      );
    });
  }
}

for (const type of UNBUILT) {
  for (const name of names(type, "valid")) {
    test(`the published ${type} ${name} is refused for want of a door`, async () => {
      using lab = new PolicyLab();
      await refused(load(lab, { "x.json": example(`${type}/valid/${name}`) }), "DOOR_NOT_BUILT");
    });
  }
}

for (const type of NEVER_LOADED) {
  test(`a ${type} is the bridge's to make: as an operator's document it is refused`, async () => {
    using lab = new PolicyLab();
    for (const name of names(type, "valid"))
      await refused(load(lab, { "x.json": example(`${type}/valid/${name}`) }), "POLICY_INVALID");
  });
}
