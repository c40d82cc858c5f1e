import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import * as sdk from "../src/index.ts";

/** Every function that the published contract and its guide name. */
const NAMED = [
  "createClipboardReadActionRequest",
  "createClipboardReadRequest",
  "createClipboardWriteActionRequest",
  "createClipboardWriteRequest",
  "createFilesystemMutateActionRequest",
  "createFilesystemScopeCapability",
  "createHostsWriteActionRequest",
  "createPrivilegedActionBackendRequest",
  "createPrivilegedActionCorrelationId",
  "createProcessExecActionRequest",
  "createProcessScopeCapability",
  "extractPrivilegedActionRequest",
  "formatPrivilegedActionError",
  "getInlinePrivilegedActionErrorFormatterSource",
  "isPrivilegedActionErrorResponse",
  "isPrivilegedActionSuccessResponse",
  "requestClipboardRead",
  "requestClipboardWrite",
  "requestOperatorTool",
  "requestPrivilegedAction",
  "unwrapPrivilegedActionResponse",
  "validateHostPrivilegedActionRequest",
];

test("every function that the contract names is there", () => {
  const there: ReadonlyMap<string, unknown> = new Map(Object.entries(sdk));
  assert.deepEqual(
    NAMED.filter((name) => typeof there.get(name) !== "function"),
    [],
  );
});

test("a page without Node has all of it, and asks through its window", async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../src/index.ts", import.meta.url))],
    ...{ bundle: true, write: false, platform: "browser", format: "iife", globalName: "sdk" },
    conditions: ["source"],
    logLevel: "silent",
  });
  const asked: unknown[] = [];
  const answer = { ok: true, correlationId: "c-1", result: { text: "hello" } };
  const window = {
    createBackendReq: (...words: unknown[]) => {
      asked.push(words);
      return Promise.resolve(answer);
    },
  };
  const page = createContext({ window });
  runInContext(outputFiles[0]?.text ?? "", page);
  const result: unknown = await runInContext(
    `sdk.requestPrivilegedAction(sdk.createClipboardReadRequest("paste"), { correlationId: "c-1" })
      .then((response) => sdk.unwrapPrivilegedActionResponse(response).text)`,
    page,
  );
  assert.equal(result, "hello");
  const request = { action: "system.clipboard.read", payload: { reason: "paste" } };
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    ["requestPrivilegedAction", { correlationId: "c-1", request }],
  ]);
});

test("a request out of shape is refused before it is sent", () => {
  const refused = { action: "system.hosts.write", payload: { records: [] } };
  assert.throws(() => sdk.validateHostPrivilegedActionRequest(refused));
});
