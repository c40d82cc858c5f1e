import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parsePluginConfig } from "../src/plugin-config.ts";

const code = (given: unknown): string => {
  try {
    parsePluginConfig(given);
    return "taken";
  } catch (thrown) {
    return (thrown as { code: string; message: string }).code;
  }
};

test("no configuration at all is fine", () => {
  assert.deepEqual(parsePluginConfig(undefined), {});
});

test("what is not exactly understood is refused", () => {
  const wrong = [
    "text",
    { machines: "x" },
    { machine: "" },
    { ttl: "soon" },
    { workdir: "relative" },
    { command: [] },
    { command: "doorward" },
    { home: "~" },
  ];
  for (const given of wrong) assert.equal(code(given), "INPUT_INVALID", JSON.stringify(given));
});

test("a grant in a file is for one machine, and an address goes with it", () => {
  assert.equal(code({ grantFile: "/g" }), "INPUT_INVALID");
  assert.equal(code({ machine: "shop", url: "http://127.0.0.1:7611" }), "INPUT_INVALID");
  assert.equal(code({ machine: "shop", grantFile: "/g", url: "http://127.0.0.1:7611" }), "taken");
});

test("the manifest that OpenClaw reads has the same fields", () => {
  const text = readFileSync(new URL("../openclaw.plugin.json", import.meta.url), "utf8");
  const { configSchema } = JSON.parse(text) as { configSchema: { properties: object } };
  const whole = {
    ...{ machine: "m", profile: "p", ttl: "8h", workdir: "/w", grantFile: "/g" },
    ...{ url: "http://127.0.0.1:1", command: ["doorward"], home: "/h" },
  };
  assert.deepEqual(Object.keys(configSchema.properties), Object.keys(parsePluginConfig(whole)));
});
