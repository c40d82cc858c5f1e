import assert from "node:assert/strict";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import * as sdk from "@doorward/client/host-actions";

const exec = sdk.createProcessExecActionRequest({
  action: "system.process.exec",
  payload: { scope: "git", command: "/usr/bin/git", args: ["status"], dryRun: true },
});

/** Runs the source of a function in a page that has nothing but its own globals and a host. */
function page(expression: string, createBackendReq: unknown): unknown {
  const globals: Record<string, unknown> = { createBackendReq, console };
  globals["window"] = globals;
  return runInContext(expression, createContext(globals));
}

test("the source of requestPrivilegedAction works in a page that has nothing else", async () => {
  const sent: unknown[] = [];
  const host = (handler: string, payload: { correlationId: string }) => {
    sent.push([handler, payload]);
    return Promise.resolve({ ok: true, correlationId: payload.correlationId, result: { exitCode: 0 } });
  };
  const call = `(${sdk.requestPrivilegedAction.toString()})(${JSON.stringify(exec)}, { correlationIdPrefix: " git tool " })`;
  const response = (await page(call, host)) as { ok: boolean; correlationId: string; result: unknown };
  assert.equal(response.ok, true);
  assert.match(response.correlationId, /^git-tool-\d{13}$/);
  assert.deepEqual(JSON.parse(JSON.stringify(sent)), [
    ["requestPrivilegedAction", { correlationId: response.correlationId, request: exec }],
  ]);
  assert.equal(
    page(`(${sdk.isPrivilegedActionSuccessResponse.toString()})({ok:true,correlationId:"x"})`, host),
    true,
  );
  assert.equal(
    page(`(${sdk.isPrivilegedActionErrorResponse.toString()})({ok:false,correlationId:"x",error:"e"})`, host),
    true,
  );
});

test("the source of the error formatter works in a page", () => {
  const failure = { ok: false, correlationId: "c-1", error: "no", code: "SCOPE_VIOLATION" };
  const text = page(
    `${sdk.getInlinePrivilegedActionErrorFormatterSource()}(${JSON.stringify(failure)}, { context: "Run" })`,
    null,
  );
  assert.equal(text, "Run: no [SCOPE_VIOLATION] (correlation id c-1)");
});

test("outside of a page a request is refused", async () => {
  await assert.rejects(sdk.requestPrivilegedAction(exec), /createBackendReq is not available/);
});

test("what is no answer becomes a failure with a code of the backend", async () => {
  const call = `(${sdk.requestPrivilegedAction.toString()})(${JSON.stringify(exec)})`;
  const empty = (await page(call, () => Promise.resolve(undefined))) as { code: string };
  assert.equal(empty.code, "PLUGIN_BACKEND_EMPTY_RESPONSE");
  const failed = (await page(call, () => Promise.resolve({ success: false, error: "gone" }))) as {
    code: string;
    error: string;
  };
  assert.equal(failed.code, "PLUGIN_BACKEND_HANDLER_FAILED");
  assert.equal(failed.error, "gone");
});

test("an explicit correlation id is used as it is", () => {
  const made = sdk.createPrivilegedActionBackendRequest(exec, { correlationId: "my id!" });
  assert.deepEqual(made, { correlationId: "my id!", request: exec });
});

test("all five envelope shapes are unwrapped, and a failure of the backend is thrown with its code", () => {
  const inner = { correlationId: "c", request: exec };
  for (const shape of [exec, inner, { ok: true, result: inner }, { content: inner }, { data: inner }])
    assert.deepEqual(sdk.extractPrivilegedActionRequest(shape), exec);
  assert.throws(() => sdk.extractPrivilegedActionRequest({ success: false, error: "x" }), {
    code: "PLUGIN_BACKEND_HANDLER_FAILED",
  });
  assert.throws(() => sdk.extractPrivilegedActionRequest({}), { code: "VALIDATION_FAILED" });
});

test("unwrapping a refusal throws an Error with its code", () => {
  assert.equal(sdk.unwrapPrivilegedActionResponse({ ok: true, correlationId: "c", result: 3 }), 3);
  const refusal = { ok: false, correlationId: "c", error: "no", code: "CANCELLED" } as const;
  assert.throws(() => sdk.unwrapPrivilegedActionResponse(refusal), { code: "CANCELLED", message: "no" });
});

test("requests out of shape are refused with the field", () => {
  const bad: readonly (readonly [unknown, string])[] = [
    [{ action: "system.host.write", payload: { records: [{ address: "::1", hostname: "a" }] } }, "action"],
    [{ action: "system.fs.mutate", payload: { scope: "UPPER", operations: [] } }, "payload.scope"],
    [{ ...exec, payload: { ...exec.payload, shell: true } }, "payload"],
    [{ ...exec, payload: { ...exec.payload, command: "git" } }, "payload.command"],
  ];
  for (const [request, field] of bad)
    assert.throws(() => sdk.validateHostPrivilegedActionRequest(request), {
      code: "VALIDATION_FAILED",
      field,
    });
});

test("capabilities of scopes are normalised", () => {
  assert.equal(sdk.createFilesystemScopeCapability(" Etc Hosts "), "system.fs.scope.etc-hosts");
  assert.equal(sdk.createProcessScopeCapability("docker-cli"), "system.process.scope.docker-cli");
});
