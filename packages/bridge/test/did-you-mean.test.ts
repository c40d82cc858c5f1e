import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { didYouMean, nearestName } from "../src/did-you-mean.ts";
import { unknownMachine } from "../src/unknown-machine.ts";

const NAMES = ["shop", "shop-api", "landing"];

test("a slip, an exchange of neighbours and another case are recognised", () => {
  for (const given of ["shpo", "shp", "shops", "Shop", "sho"])
    assert.equal(nearestName(given, NAMES), "shop");
  assert.equal(nearestName("landnig", NAMES), "landing");
});

test("what begins a single name is recognised, what begins two is not", () => {
  assert.equal(nearestName("land", NAMES), "landing");
  assert.equal(nearestName("shop-", ["shop-api", "shop-web"]), undefined);
  assert.equal(nearestName("la", NAMES), undefined);
});

test("what is far from every name, empty or endless suggests nothing", () => {
  for (const given of ["", "x", "warehouse", "shop".repeat(1000)])
    assert.equal(nearestName(given, NAMES), undefined);
  assert.equal(nearestName("shop", []), undefined);
  assert.equal(didYouMean("warehouse", NAMES), "");
});

test("a suggestion is always a known name", () => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.string({ minLength: 1 })), (given, names) => {
      const near = nearestName(given, names);
      assert.ok(near === undefined || names.includes(near));
    }),
  );
});

test("an unknown machine is told with the one that was meant and the command that lists them", () => {
  const { code, message, hint } = unknownMachine("shpo", NAMES);
  assert.deepEqual(
    [code, message, hint],
    [
      "MACHINE_NOT_FOUND",
      'Cannot reach machine "shpo": no machine has this name or id; did you mean "shop"?',
      "doorward ls",
    ],
  );
});
