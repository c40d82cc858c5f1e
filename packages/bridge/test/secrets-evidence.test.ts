import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { EvidenceInput } from "@doorward/contracts";
import { secretHandlers } from "../src/daemon/handlers/secrets.ts";
import { SecretStore } from "../src/secrets/index.ts";

const VALUE = "sk-real-value-0123456789";

test("setting, replacing and deleting a secret is recorded with who and which, and nothing of the value", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "dw-secrets-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  using store = await SecretStore.open(folder);
  const records: EvidenceInput[] = [];
  let broken = false;
  const append = (input: EvidenceInput): Promise<never> => {
    if (broken) return Promise.reject(new Error("no space left"));
    records.push(input);
    return Promise.resolve(undefined as never);
  };
  const policy = { policy: { version: 1, roots: [] }, hash: `sha256:${"0".repeat(64)}` };
  const handlers = secretHandlers(store, { list: () => [] } as never, policy as never, { append });
  const call = {
    params: { secret: "API_KEY" },
    body: { value: VALUE },
    query: {},
    caller: { kind: "operator", subject: "operator:ada" },
    correlationId: "c_1",
  } as never;
  await assert.rejects(async () => await handlers["secrets.remove"](call), { code: "SECRET_NOT_FOUND" });
  await handlers["secrets.set"](call);
  await handlers["secrets.set"](call);
  await handlers["secrets.remove"](call);
  broken = true;
  await assert.rejects(async () => await handlers["secrets.set"](call), /no space left/);
  assert.ok(!store.has("API_KEY"), "a value was stored without its record");
  assert.deepEqual(
    records.map(
      (record) => record.type === "secret-change" && [record.subject, record.secret, record.change],
    ),
    ["set", "replaced", "removed"].map((change) => ["operator:ada", "API_KEY", change]),
  );
  assert.ok(!JSON.stringify(records).includes("real-value"));
});
