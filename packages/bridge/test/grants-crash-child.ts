import { writeSync } from "node:fs";
import { GrantAuthority } from "../src/grants/index.ts";
import { Store } from "../src/store/index.ts";
import { AGENT, allowing, Ledgered, MACHINE, OPERATOR, SILENT } from "./grants-lab.ts";

/** Mints, narrows, revokes, and is killed after the revocation was persisted and before its record is begun. */
const [dir = ""] = process.argv.slice(2);
const options = { evidence: new Ledgered(), policy: allowing(), machineName: () => null, log: SILENT };
const grants = GrantAuthority.open({ ...options, store: Store.open({ dir, log: SILENT }) });
const operations = ["terminal.attach"] as const;
const parent = await grants.mint({ machine: MACHINE, subject: AGENT, operations, seconds: 3600 }, OPERATOR);
const child = await grants.narrow(parent.grant.grantId, {}, AGENT);
const spared = await grants.mint({ machine: MACHINE, subject: AGENT, operations, seconds: 3600 }, OPERATOR);
const tokens = { parent: parent.token, child: child.token, spared: spared.token };
writeSync(1, JSON.stringify(tokens));
grants.onEnded(() => {
  process.kill(process.pid, "SIGKILL");
  return 1;
});
grants.revoke(parent.grant.grantId, "stolen", OPERATOR);
