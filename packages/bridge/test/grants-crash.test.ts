import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { GrantAuthority } from "../src/grants/index.ts";
import { Store } from "../src/store/index.ts";
import { allowing, Ledgered, SILENT, withCode } from "./grants-lab.ts";

const Tokens = z.strictObject({ parent: z.string(), child: z.string(), spared: z.string() });

test("a bridge killed between persisting a revocation and recording it has revoked, and records at its next start", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "doorward-grants-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const program = fileURLToPath(new URL("./grants-crash-child.ts", import.meta.url));
  const flags = ["--conditions=source", "--import", "tsx", program, dir];
  const child = spawnSync(process.execPath, flags, { encoding: "utf8", timeout: 600_000 });
  assert.equal(child.signal, "SIGKILL", child.stderr);
  const tokens = Tokens.parse(JSON.parse(child.stdout));

  for (const records of [2, 0]) {
    const evidence = new Ledgered();
    const store = Store.open({ dir, log: SILENT });
    const grants = GrantAuthority.open({
      store,
      evidence,
      policy: allowing(),
      machineName: () => null,
      log: SILENT,
    });
    assert.throws(() => grants.authenticate(tokens.parent), withCode("GRANT_REVOKED", /stolen/));
    assert.throws(() => grants.authenticate(tokens.child), withCode("GRANT_REVOKED"));
    assert.equal(grants.authenticate(tokens.spared).grant.doors[0], "terminal");
    await grants[Symbol.asyncDispose]();
    store.close();
    assert.equal(evidence.of("revoked").length, records, "records of the revocation");
  }
});
