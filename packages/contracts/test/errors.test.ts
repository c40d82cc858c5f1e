import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { DenialError, DoorwardError, ERRORS, toDoorwardError } from "../src/index.ts";
import { errorPage } from "../scripts/error-page.ts";

test("docs/errors.md is the catalogue", () => {
  const page = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  assert.equal(page, errorPage());
});

test("every code has an HTTP status, an exit code and a close code that fit their protocols", () => {
  for (const [code, { status, exit, close }] of Object.entries(ERRORS)) {
    assert.ok(status >= 400 && status < 600, `${code}: ${status}`);
    assert.ok([1, 2, 3, 4, 5].includes(exit), `${code}: ${exit}`);
    assert.ok(close === 1001 || close === 1011 || (close >= 4400 && close < 4500), `${code}: ${close}`);
  }
});

test("what is thrown stays what it is, or becomes INTERNAL with its cause", () => {
  const denial = new DenialError({ code: "PATH_DENIED", message: "no", rule: "r" });
  assert.equal(toDoorwardError(denial), denial);
  assert.equal(toDoorwardError(AbortSignal.abort().reason).code, "ABORTED");
  const cause = new TypeError("x is undefined");
  const wrapped = toDoorwardError(cause);
  assert.ok(wrapped instanceof DoorwardError);
  assert.equal(wrapped.code, "INTERNAL");
  assert.equal(wrapped.cause, cause);
});
