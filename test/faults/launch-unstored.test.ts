import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import Database from "libsql";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";
import { beforeRuntime } from "../support/oci-runtime.ts";

describe("a machine that was launched and can't be stored", { skip: needsRoot }, () => {
  let lab: Lab;

  before(async () => {
    lab = await openLab();
    await lab.run(["ls"]);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("is gone, and its launch record is followed by one of its end", { timeout: 600_000 }, async () => {
    const [reached, go] = ["reached", "go"].map((name) => join(lab.root, name)) as [string, string];
    const script = (real: string): string =>
      `case " $* " in *" create "*) : > ${reached}; until [ -e ${go} ]; do sleep 0.05; done;; esac\nexec ${real} "$@"`;
    using _held = beforeRuntime(lab, script);
    const launched = lab.run(["up", lab.repo("shop"), "--json"]);
    await lab.until("its container is being created", () => existsSync(reached));
    assert.equal((await lab.machines()).length, 1);
    // Somebody else has the store locked until the launch has failed.
    const store = new Database(join(lab.home, "state", "store.db"));
    store.exec("BEGIN IMMEDIATE");
    writeFileSync(go, "");
    try {
      const ran = await launched;
      assert.notEqual(ran.code, 0);
      assert.equal(ran.stdout, "");
    } finally {
      store.exec("ROLLBACK");
      store.close();
    }
    const records = (await lab.records()).filter(({ type }) => ["launch", "machine-end"].includes(type));
    assert.deepEqual(
      records.map(({ type, machine }) => `${type} ${machine ?? ""}`),
      ["machine-end shop", "launch shop"],
    );
    assert.match(records[0]?.summary ?? "", /reaped|could not be stored/);
    assert.deepEqual(await lab.containers(), []);
    await lab.until("no process is left", () => lab.inside().length === 0);
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
