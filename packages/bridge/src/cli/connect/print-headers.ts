import { DoorwardError } from "@doorward/contracts";
import type { Run } from "../run.ts";
import { freshToken } from "./connection-grant.ts";
import { ConnectionStore } from "./connection-store.ts";

/** Prints the headers of a connection as a JSON object of strings, for clients that ask a program for them. */
export async function printHeaders(run: Run, id: string): Promise<number> {
  const store = new ConnectionStore(run.cli.env);
  const connection = store.find(id);
  if (connection === undefined) {
    throw new DoorwardError({
      code: "GRANT_NOT_FOUND",
      message: `Cannot make headers: there is no connection "${id}"`,
      hint: "doorward connect claude-code MACHINE --transport http --write",
    });
  }
  await using bridge = await run.client();
  const token = await freshToken(bridge, store, connection, run.cli.signal);
  run.cli.stdout.write(`${JSON.stringify({ Authorization: `Bearer ${token}` })}\n`);
  return 0;
}
