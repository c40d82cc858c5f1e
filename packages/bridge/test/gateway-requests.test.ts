import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import type { DoorEntry, DoorSession } from "@doorward/doors";
import { OwnTime } from "../../../test/support/own-time.ts";
import { ask, eventually, type Answer } from "./gateway-dial.ts";
import { ALPHA, startGateway, type Bench } from "./gateway-harness.ts";
import { plainDoor } from "./plain-door.ts";

/** The far side of a door that takes plain requests: answers at once, or when it is let go. */
class PlainDoor {
  readonly seen: DoorSession[] = [];
  readonly waiting: (() => void)[] = [];
  busy = false;
  fails = false;

  entry(): DoorEntry {
    return plainDoor({
      busy: () => this.busy,
      request: async (session, request, response) => {
        this.seen.push(session);
        request.resume();
        if (this.fails) throw new DoorwardError({ code: "GUEST_UNREACHABLE", message: "test" });
        if (request.headers["x-wait"] !== undefined)
          await new Promise<void>((resolve) => this.waiting.push(resolve));
        if (!response.writableEnded) response.end("answered");
      },
    });
  }
}

describe("plain requests at doors", () => {
  let bench: Bench;
  let door: PlainDoor;
  before(async () => {
    door = new PlainDoor();
    const limits = {
      unusedMs: 150,
      pingMs: 20,
      socketsPerGrant: 1,
      requestsPerSession: 3,
      doorRequestsPerSecond: 5,
    };
    bench = await startGateway({ doors: [door.entry()], config: { limits } });
  });
  after(() => bench[Symbol.asyncDispose]());
  afterEach(() => void (door.busy = false));

  const path = "/v1/machines/alpha/doors/plain/two";
  const grant = (seconds = 3600) => bench.grant({ operations: ["agent-tool.read"], seconds });
  const post = (token: string, more: Parameters<typeof ask>[1] | object = {}): Promise<Answer> =>
    ask({ port: bench.port }, { method: "POST", path, token, ...more });
  const closedOf = (id: string) => bench.evidence.closed.filter(({ opened }) => opened.grant === id);
  const openedOf = (id: string) => bench.evidence.opened.filter((opened) => opened.grant === id);

  it("the requests of one grant are one session, recorded before the first is served", async () => {
    // Here and below: no session ends meanwhile, however slow the host is.
    door.busy = true;
    const { token, id } = await grant();
    const [one, two] = await Promise.all([post(token), post(token)]);
    assert.deepEqual([one.text, two.text], ["answered", "answered"]);
    assert.equal(openedOf(id).length, 1);
    const [opened] = openedOf(id);
    assert.deepEqual([opened?.protocol, opened?.door, opened?.listener], ["http", "agent-tool", "tcp"]);
    assert.deepEqual(
      bench.gateway.sessions.listOf(id).map(({ session }) => session),
      [opened?.session],
    );
    assert.equal(new Set(door.seen.slice(-2)).size, 1);
  });

  it("a session that nobody uses ends in good order, and the next request begins another", async () => {
    const { token, id } = await grant();
    await post(token, { body: "x".repeat(5000) });
    const signal = door.seen.at(-1)!.signal;
    await eventually(() => closedOf(id).length === 1, "it ends");
    const [closed] = closedOf(id);
    assert.deepEqual([closed?.closeCode, closed?.reason], [1000, "CLOSED"]);
    assert.ok((closed?.bytesIn ?? 0) > 5000 && (closed?.bytesOut ?? 0) > 100);
    assert.equal(signal.aborted, true);
    assert.equal(bench.gateway.sessions.listOf(id).length, 0);
    assert.equal((await post(token)).status, 200);
    assert.equal(openedOf(id).length, 2);
  });

  it("a session stays while a request is served, or while its door says that something goes on", async () => {
    const { token, id } = await grant();
    const waiting = post(token, { headers: { "x-wait": "1" } });
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(closedOf(id).length, 0);
    door.busy = true;
    door.waiting.splice(0).forEach((go) => go());
    assert.equal((await waiting).text, "answered");
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(closedOf(id).length, 0);
    door.busy = false;
    await eventually(() => closedOf(id).length === 1, "it ends");
  });

  it("a session counts as one of its grant's, and beyond that others are refused", async () => {
    door.busy = true;
    const { token, id } = await grant();
    await post(token);
    assert.equal(bench.gateway.sessions.listOf(id).length, 1);
    const unix = await ask({ socketPath: bench.socket }, { method: "POST", path, token, host: "localhost" });
    assert.deepEqual([unix.status, unix.json.code], [429, "RATE_LIMITED"]);
  });

  it("requests at once beyond the session's limit are refused", async () => {
    const { token } = await grant();
    const waiting = [1, 2, 3].map(() => post(token, { headers: { "x-wait": "1" } }));
    await eventually(() => door.waiting.length === 3, "three wait");
    assert.equal((await post(token)).json.code, "RATE_LIMITED");
    door.waiting.splice(0).forEach((go) => go());
    await Promise.all(waiting);
  });

  it("requests beyond the rate are refused", async () => {
    const { token } = await grant();
    const answers: number[] = [];
    for (let at = 0; at < 60; at += 1) answers.push((await post(token)).status);
    assert.ok(answers.includes(429) && answers.includes(200));
  });

  it("what is in flight is cut when its grant is revoked, in the words of the reason", async () => {
    const { token, id } = await grant();
    const waiting = post(token, { headers: { "x-wait": "1" } });
    await eventually(() => door.waiting.length === 1, "it waits");
    using since = new OwnTime();
    assert.equal(bench.gateway.sessions.listOf(id).length, 1);
    bench.authority.revoke(id, "test", "operator:ada");
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.json.code], [401, "GRANT_REVOKED"]);
    assert.match(answer.headers["www-authenticate"] ?? "", /resource_metadata=/);
    assert.ok(since.ms < 1000);
    assert.equal(door.seen.at(-1)?.signal.aborted, true);
    door.waiting.splice(0).forEach((go) => go());
    await eventually(() => closedOf(id).length === 1, "its end is recorded");
    assert.equal(closedOf(id)[0]?.reason, "GRANT_REVOKED");
  });

  it("a policy that refuses it now cuts what is in flight", async () => {
    const { token, id } = await grant();
    const waiting = post(token, { headers: { "x-wait": "1" } });
    await eventually(() => door.waiting.length === 1, "it waits");
    const refused = new DoorwardError({ code: "POLICY_DENIED", message: "not any more" });
    const cut = bench.gateway.sessions.rejudge(({ grant: of }) => (of === id ? refused : undefined));
    assert.equal(cut, 1);
    assert.equal((await waiting).json.code, "POLICY_DENIED");
    door.waiting.splice(0).forEach((go) => go());
  });

  it("everyone at a machine's doors is told what they should know, sessions of requests too", async () => {
    door.busy = true;
    const { token } = await grant();
    await post(token);
    const told: string[] = [];
    door.seen.at(-1)!.host.onNotice(({ code }) => told.push(code));
    assert.ok(bench.gateway.sessions.warn(ALPHA.id, { code: "MACHINE_EXPIRES", message: "soon" }) >= 1);
    assert.deepEqual(told, ["MACHINE_EXPIRES"]);
  });

  it("a door that fails is a refusal of the request, not the end of the session", async () => {
    door.busy = true;
    const { token, id } = await grant();
    door.fails = true;
    const answer = await post(token);
    door.fails = false;
    assert.equal(answer.json.code, "GUEST_UNREACHABLE");
    assert.equal((await post(token)).status, 200);
    assert.equal(openedOf(id).length, 1);
  });

  it("a session over the Unix socket is another one than over TCP", async () => {
    const { token, id } = await grant();
    await ask({ socketPath: bench.socket }, { method: "POST", path, token, host: "localhost" });
    assert.equal(openedOf(id)[0]?.listener, "unix");
  });

  it("doors that take no plain requests are no routes", async () => {
    const { token } = await bench.grant();
    const where = "/v1/machines/alpha/doors/terminal";
    assert.equal((await post(token, { path: where })).json.code, "ROUTE_NOT_FOUND");
  });
});
