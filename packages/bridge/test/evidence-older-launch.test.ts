import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readStatement } from "../src/evidence/record.ts";

interface Launch {
  readonly predicateType: string;
  readonly predicate: {
    readonly fingerprint: {
      readonly inputs: {
        protections?: unknown;
        hide?: unknown;
        surprise?: number;
        readonly image: { digest?: unknown };
        readonly mounts: { owner?: unknown }[];
      };
    };
  };
}

const folder = fileURLToPath(new URL("../../contracts/examples/EvidenceStatement/valid/", import.meta.url));
const launches = readdirSync(folder)
  .map((name) => JSON.parse(readFileSync(folder + name, "utf8")) as Launch)
  .filter((each) => each.predicateType.includes("/launch/"));

test("a launch record without what older builds did not measure is read, and claims no protection", () => {
  assert.ok(launches.length > 0);
  for (const launch of launches) {
    const { inputs } = launch.predicate.fingerprint;
    delete inputs.protections;
    delete inputs.hide;
    delete inputs.image.digest;
    for (const mount of inputs.mounts) delete mount.owner;
    const read = readStatement(launch);
    assert.ok(read.success, read.error?.message);
    assert.doesNotMatch(JSON.stringify(read.data), /"userNamespace":true,"ownIdRange":true/);
    inputs.surprise = 1;
    assert.equal(readStatement(launch).success, false);
  }
});
