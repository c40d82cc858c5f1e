import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import type { DoorEntry } from "@doorward/doors";
import { eventually } from "./gateway-dial.ts";
import { startGateway, type Bench } from "./gateway-harness.ts";
import { plainDoor } from "./plain-door.ts";

/** A door that never answers by itself. */
function silentDoor(seen: string[]): DoorEntry {
  return plainDoor({
    request: (session, request) => {
      seen.push(request.url ?? "");
      request.resume();
      return new Promise((resolve) => session.signal.addEventListener("abort", () => resolve()));
    },
  });
}

describe("requests that a program sends ahead of their answers", () => {
  let bench: Bench;
  const seen: string[] = [];

  before(async () => {
    bench = await startGateway({
      doors: [silentDoor(seen)],
      config: { limits: { unusedMs: 100, pingMs: 20, requestsPerSession: 4 } },
    });
  });
  after(() => bench[Symbol.asyncDispose]());

  const closedOf = (id: string) => bench.evidence.closed.filter(({ opened }) => opened.grant === id);

  /** Sends three requests at once, and breaks their connection when the first of them is served. */
  async function gone(token: string): Promise<void> {
    const served = seen.length;
    const socket = connect(bench.port, "127.0.0.1").on("error", () => undefined);
    const one =
      "POST /v1/machines/alpha/doors/plain/two HTTP/1.1\r\n" +
      `Host: 127.0.0.1:${String(bench.port)}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`;
    socket.write(one.repeat(3));
    await eventually(() => seen.length > served, "one is served");
    socket.destroy();
  }

  it("end with their connection, and so does a session of theirs that nobody uses", async () => {
    const { token, id } = await bench.grant({ operations: ["agent-tool.read"] });
    await gone(token);
    await eventually(() => closedOf(id).length === 1, "the session ends");
    assert.equal(bench.gateway.sessions.listOf(id).length, 0);
  });

  it("do not keep a session that was cut", async () => {
    const { token, id } = await bench.grant({ operations: ["agent-tool.read"] });
    await gone(token);
    const why = new DoorwardError({ code: "GRANT_REVOKED", message: "test" });
    bench.gateway.sessions.closeGrant([id], why);
    await eventually(() => closedOf(id).length > 0, "its end is recorded");
    assert.equal(bench.gateway.sessions.listOf(id).length, 0);
  });
});
