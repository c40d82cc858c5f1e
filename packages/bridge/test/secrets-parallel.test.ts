import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { EvidenceInput } from "@doorward/contracts";
import { secretHandlers } from "../src/daemon/handlers/secrets.ts";
import { SecretStore } from "../src/secrets/index.ts";

type Handlers = ReturnType<typeof secretHandlers>;

/** The routes of secrets over a real store; records of sets take as long as the test says. */
class SecretsLab implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "dw-secrets-"));
  readonly changes: string[] = [];
  readonly turns = [5, 1, 3, 0];
  secrets!: SecretStore;
  #handlers!: Handlers;

  static async open(): Promise<SecretsLab> {
    const lab = new SecretsLab();
    lab.secrets = await SecretStore.open(lab.dir);
    const append = async (input: EvidenceInput) => {
      for (let left = lab.turns.shift() ?? 0; left > 0; left -= 1) await turn();
      if (input.type === "secret-change") lab.changes.push(input.change);
    };
    const sources = [lab.secrets, { list: () => [] }, { policy: {}, hash: "h" }, { append }];
    lab.#handlers = secretHandlers(...(sources as unknown as Parameters<typeof secretHandlers>));
    return lab;
  }

  set(secret: string, value = "some value"): Promise<unknown> {
    return this.#call("secrets.set", secret, { body: { value } });
  }

  remove(secret: string): Promise<unknown> {
    return this.#call("secrets.remove", secret, { query: {} });
  }

  #call(route: "secrets.set" | "secrets.remove", secret: string, more: object): Promise<unknown> {
    const handler = this.#handlers[route] as (call: unknown) => Promise<unknown>;
    const caller = { kind: "operator", subject: "operator:ada" };
    return handler({ params: { secret }, caller, correlationId: "c1", ...more });
  }

  [Symbol.dispose](): void {
    this.secrets[Symbol.dispose]();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

describe("secrets that are changed at once", () => {
  it("are no more than the store takes one after the other", async () => {
    using lab = await SecretsLab.open();
    for (let at = 0; at < 499; at += 1)
      writeFileSync(join(lab.dir, "secrets", `S_${String(at)}.age`), "sealed");
    const tried = await Promise.allSettled(["A", "B", "C"].map((name) => lab.set(name)));
    const states = tried.map(({ status }) => status);
    assert.deepEqual(states, ["fulfilled", "rejected", "rejected"]);
  });

  it("are kept, recorded and deleted in the order in which it was asked", async () => {
    using lab = await SecretsLab.open();
    await Promise.all([lab.set("TOKEN", "first value"), lab.set("TOKEN", "second value")]);
    assert.equal(await lab.secrets.value("TOKEN"), "second value");
    assert.deepEqual(lab.changes, ["set", "replaced"]);
    await Promise.all([lab.set("TOKEN", "third value"), lab.remove("TOKEN")]);
    assert.equal(lab.secrets.has("TOKEN"), false);
    assert.deepEqual(lab.changes.slice(2), ["replaced", "removed"]);
  });

  it("go on after one that failed", async () => {
    using lab = await SecretsLab.open();
    const failing = lab.remove("NOBODY_SET_IT");
    const setting = lab.set("TOKEN");
    await assert.rejects(failing, { code: "SECRET_NOT_FOUND" });
    await setting;
    assert.equal(lab.secrets.has("TOKEN"), true);
  });
});
