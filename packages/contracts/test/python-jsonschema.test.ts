import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DOCUMENTS } from "../src/index.ts";
import { acceptances, exampleTypes, refusals } from "../scripts/vectors.ts";

const folder = fileURLToPath(new URL("..", import.meta.url));
const script = fileURLToPath(new URL("../scripts/validate_with_jsonschema.py", import.meta.url));

/** Debian's own, which its packages are for. */
const python = "/usr/bin/python3";

/** In CI nothing may be skipped: there a missing library is a failure. */
function missing(): string | false {
  if (process.env["CI"] === "true") return false;
  const probe = spawnSync(python, ["-c", "from jsonschema import Draft202012Validator"]);
  return probe.status === 0 ? false : "Python's jsonschema is not installed (Debian: python3-jsonschema)";
}

test("Python's jsonschema judges every schema and example as we do", { skip: missing() }, () => {
  const { status, stdout, stderr } = spawnSync(python, [script, folder], { encoding: "utf8" });
  const accepted = exampleTypes().flatMap(acceptances).length;
  const refused = exampleTypes().flatMap(refusals).length;
  const schemas = Object.keys(DOCUMENTS).length;
  assert.equal(stdout, `${schemas} schemas, ${accepted} accepted, ${refused} refused, 0 faults\n`, stderr);
  assert.equal(status, 0);
});
