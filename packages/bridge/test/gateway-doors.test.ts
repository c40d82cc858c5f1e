import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { OwnTime } from "../../../test/support/own-time.ts";
import { ask, closing, dialDoor, eventually, nextText, raw, refusal } from "./gateway-dial.ts";
import { ALPHA, startGateway, type Bench } from "./gateway-harness.ts";
import { handshake } from "./gateway-wire.ts";

describe("door sockets", () => {
  let bench: Bench;
  let token: string;
  let grantId: string;
  before(async () => {
    bench = await startGateway({ config: { origins: ["http://127.0.0.1:5000"] } });
    ({ token, id: grantId } = await bench.grant());
  });
  after(() => bench[Symbol.asyncDispose]());

  it("a granted door opens, echoes, and leaves records of its start and end", async () => {
    const socket = await dialDoor(bench, { token });
    socket.send("hello");
    assert.equal(await nextText(socket), "hello");
    const opened = bench.evidence.opened.at(-1)!;
    assert.equal(opened.grant, grantId);
    assert.deepEqual(opened.machine, { id: ALPHA.id, name: ALPHA.name });
    assert.deepEqual(opened.operations, ["terminal.attach", "terminal.input"]);
    assert.equal(opened.listener, "tcp");
    const closed = bench.evidence.closed.length;
    socket.close(1000);
    await eventually(() => bench.evidence.closed.length > closed, "the end is recorded");
    const record = bench.evidence.closed.at(-1);
    assert.deepEqual(
      [record?.reason, record?.closeCode, record?.opened.session],
      ["CLOSED", 1000, opened.session],
    );
    assert.ok((record?.bytesIn ?? 0) >= 5 && (record?.bytesOut ?? 0) >= 5);
  });

  it("what a client sends before the start is recorded arrives after it, in order", async () => {
    const socket = await dialDoor(bench, { token });
    const got: string[] = [];
    socket.on("message", (data: Buffer) => got.push(data.toString()));
    for (let at = 0; at < 50; at += 1) socket.send(String(at));
    await eventually(() => got.length === 50, "all echoes");
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, at) => String(at)),
    );
    socket.terminate();
  });

  it("a lost peer is recorded as ABORTED", async () => {
    const closed = bench.evidence.closed.length;
    (await dialDoor(bench, { token })).terminate();
    await eventually(() => bench.evidence.closed.length > closed, "the end is recorded");
    assert.deepEqual(
      [bench.evidence.closed.at(-1)?.reason, bench.evidence.closed.at(-1)?.closeCode],
      ["ABORTED", 1006],
    );
  });

  it("a token in a subprotocol works and is never echoed", async () => {
    for (const protocols of [
      [`bearer.${token}`, "doorward.terminal.v1"],
      ["doorward.terminal.v1", `bearer.${token}`],
    ]) {
      const socket = await dialDoor(bench, { protocols });
      assert.equal(socket.protocol, "doorward.terminal.v1");
      socket.terminate();
    }
  });

  it("the operator's own socket gets an implicit grant that dies with it", async () => {
    const socket = await dialDoor(bench, { unix: true });
    const implicit = () => bench.authority.list().filter((view) => view.implicit);
    assert.equal(implicit().length, 1);
    socket.send("x");
    assert.equal(await nextText(socket), "x");
    assert.equal(bench.evidence.opened.at(-1)?.subject, "operator:ada");
    socket.close();
    await eventually(() => implicit().length === 0, "the implicit grant ends");
  });

  it("an implicit grant ends although its handshake never completes", async () => {
    const headers =
      "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: doorward.terminal.v1\r\n";
    const socket = connect(bench.socket);
    socket.on("error", () => undefined).resume();
    socket.write(
      `GET /v1/machines/alpha/doors/terminal HTTP/1.1\r\n${headers}Sec-WebSocket-Key: short\r\n\r\n`,
    );
    await once(socket, "close");
    await eventually(() => bench.authority.list().every((view) => !view.implicit), "the implicit grant ends");
  });

  const refusals: [string, Parameters<typeof dialDoor>[1], number, string][] = [
    ["without a token on TCP", {}, 401, "TOKEN_MISSING"],
    ["with a forged token", { token: "dwg_aaaaaaaaaa_b_c" }, 401, "TOKEN_INVALID"],
    [
      "with a token in its query",
      { path: "/v1/machines/alpha/doors/terminal?token=dwg_x" },
      400,
      "INPUT_INVALID",
    ],
    ["with any query", { path: "/v1/machines/alpha/doors/terminal?x=1" }, 400, "INPUT_INVALID"],
    ["for an unknown door", { segment: "window", protocols: ["doorward.window.v1"] }, 404, "DOOR_NOT_FOUND"],
    ["for an unknown path", { path: "/v1/alpha/doors/terminal" }, 404, "ROUTE_NOT_FOUND"],
    ["for a route that is no door", { path: "/v1/machines" }, 404, "ROUTE_NOT_FOUND"],
    ["below a door", { path: "/v1/machines/alpha/doors/terminal/more" }, 404, "ROUTE_NOT_FOUND"],
    ["without our subprotocol", { protocols: [] }, 400, "PROTOCOL_ERROR"],
    ["with another version's subprotocol", { protocols: ["doorward.terminal.v2"] }, 400, "PROTOCOL_ERROR"],
    ["with another door's subprotocol", { protocols: ["doorward.exec.v1"] }, 400, "PROTOCOL_ERROR"],
    ["from a foreign origin", { options: { origin: "https://evil.example" } }, 403, "ORIGIN_NOT_ALLOWED"],
    ["from the null origin", { options: { origin: "null" } }, 403, "ORIGIN_NOT_ALLOWED"],
    [
      "from an allowed origin's neighbour",
      { options: { origin: "http://127.0.0.1:50000" } },
      403,
      "ORIGIN_NOT_ALLOWED",
    ],
    ["with a rebound Host", { options: { headers: { host: "evil.example" } } }, 403, "HOST_NOT_ALLOWED"],
    ["with another port in Host", { options: { headers: { host: "127.0.0.1:1" } } }, 403, "HOST_NOT_ALLOWED"],
  ];
  for (const [what, given, status, code] of refusals) {
    it(`an upgrade ${what} is refused with ${code}`, async () => {
      const refused = await refusal(dialDoor(bench, given));
      assert.deepEqual([refused.status, refused.json.code], [status, code]);
      assert.equal(refused.headers["content-type"], "application/problem+json");
    });
  }

  it("a foreign origin is refused although it has a valid token", async () => {
    const refused = await refusal(dialDoor(bench, { token, options: { origin: "https://evil.example" } }));
    assert.equal(refused.json.code, "ORIGIN_NOT_ALLOWED");
  });

  it("an allowed origin opens the door and is recorded", async () => {
    const socket = await dialDoor(bench, { token, options: { origin: "http://127.0.0.1:5000" } });
    socket.send("x");
    await nextText(socket);
    assert.equal(bench.evidence.opened.at(-1)?.origin, "http://127.0.0.1:5000");
    socket.terminate();
  });

  it("two tokens are refused", async () => {
    const refused = await refusal(
      dialDoor(bench, { token, protocols: [`bearer.${token}`, "doorward.terminal.v1"] }),
    );
    assert.equal(refused.json.code, "TOKEN_INVALID");
  });

  for (const machine of ["beta", "absent"]) {
    it(`a holder's upgrade to machine "${machine}" is refused and recorded`, async () => {
      const refused = await refusal(dialDoor(bench, { token, machine }));
      assert.deepEqual([refused.status, refused.json.code], [403, "MACHINE_NOT_GRANTED"]);
      const denial = bench.evidence.denials.at(-1);
      assert.deepEqual([denial?.attempted, denial?.target, denial?.door], ["door.open", machine, "terminal"]);
    });
  }

  it("the operator is told that a machine is absent, asleep, or without the door", async () => {
    const codes = [];
    for (const machine of ["absent", "asleep", "bare"]) {
      codes.push((await refusal(dialDoor(bench, { unix: true, machine }))).json.code);
    }
    assert.deepEqual(codes, ["MACHINE_NOT_FOUND", "MACHINE_NOT_RUNNING", "DOOR_NOT_OFFERED"]);
  });

  it("a door of which no operation is granted is refused", async () => {
    const refused = await refusal(dialDoor(bench, { token, segment: "exec" }));
    assert.deepEqual([refused.status, refused.json.code], [403, "OPERATION_NOT_GRANTED"]);
  });

  it("a plain GET on a door's path is refused as a route", async () => {
    const answer = await ask({ port: bench.port }, { path: "/v1/machines/alpha/doors/terminal", token });
    assert.deepEqual([answer.status, answer.json.code], [404, "ROUTE_NOT_FOUND"]);
  });

  it("an operation that is not granted is refused and recorded, and the session goes on", async () => {
    const watcher = await bench.grant({ operations: ["terminal.observe"] });
    const socket = await dialDoor(bench, { token: watcher.token });
    socket.send("typed");
    assert.equal(await nextText(socket), '{"refused":"OPERATION_NOT_GRANTED"}');
    const denial = bench.evidence.denials.at(-1);
    assert.deepEqual([denial?.attempted, denial?.operation], ["door.operation", "terminal.input"]);
    socket.send("again");
    await nextText(socket);
    socket.terminate();
  });

  it("a session whose start can't be recorded is closed with 1011 and nothing is opened", async () => {
    const sessions = bench.door.sessions.length;
    bench.evidence.fails = true;
    try {
      const socket = await dialDoor(bench, { token });
      assert.deepEqual(await closing(socket), { code: 1011, reason: "EVIDENCE_UNWRITABLE" });
      assert.equal(bench.door.sessions.length, sessions);
    } finally {
      bench.evidence.fails = false;
    }
  });

  it("expiry closes the socket with 4401 GRANT_EXPIRED", async () => {
    let socket: Awaited<ReturnType<typeof dialDoor>> | undefined;
    // On a host that stands still its time is over before the door is open.
    while (socket === undefined) {
      const { token } = await bench.grant({ seconds: 4 });
      socket = await dialDoor(bench, { token }).catch(() => undefined);
    }
    assert.deepEqual(await closing(socket), { code: 4401, reason: "GRANT_EXPIRED" });
  });

  it("revoking a parent cuts the sockets of its children", async () => {
    const parent = await bench.grant();
    const child = await bench.authority.narrow(parent.id, {}, "agent:codex:one");
    const socket = await dialDoor(bench, { token: child.token });
    bench.authority.revoke(parent.id, "test", "operator:ada");
    assert.deepEqual(await closing(socket), { code: 4410, reason: "GRANT_REVOKED" });
  });

  it("a grant that is revoked while the start is being recorded opens nothing", async () => {
    const doomed = await bench.grant();
    const sessions = bench.door.sessions.length;
    const socket = await dialDoor(bench, { token: doomed.token });
    bench.authority.revoke(doomed.id, "test", "operator:ada");
    assert.equal((await closing(socket)).code, 4410);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(
      bench.door.sessions.slice(sessions).filter(({ grantId }) => grantId === doomed.id).length,
      0,
    );
  });

  it("input after the cut is dropped", async () => {
    const doomed = await bench.grant();
    const socket = await dialDoor(bench, { token: doomed.token });
    await eventually(() => bench.door.sessions.at(-1)?.grantId === doomed.id, "the session runs");
    const received = bench.door.received.length;
    bench.authority.revoke(doomed.id, "test", "operator:ada");
    for (let at = 0; at < 100; at += 1) socket.send("late");
    await closing(socket);
    assert.equal(bench.door.received.length, received);
  });

  it("a peer that never answers the close frame is gone within 50 ms", async () => {
    const doomed = await bench.grant();
    const wire = connect(bench.port, "127.0.0.1");
    wire.on("error", () => undefined);
    wire.write(handshake(bench, doomed.token));
    await once(wire, "data");
    wire.pause();
    await eventually(() => bench.door.sessions.at(-1)?.grantId === doomed.id, "the session runs");
    using since = new OwnTime();
    bench.authority.revoke(doomed.id, "test", "operator:ada");
    await eventually(() => bench.gateway.sessions.listOf(doomed.id).length === 0, "the session ends");
    const took = since.ms;
    assert.ok(took < 1000, `took ${took.toFixed(1)} ms`);
    wire.destroy();
  });

  it("closing a machine's sockets spares those of other machines; a warning reaches its own", async () => {
    const mine = await dialDoor(bench, { unix: true });
    const other = await dialDoor(bench, { unix: true, machine: "beta" });
    await eventually(
      () => bench.gateway.sessions.count >= 2 && bench.door.sessions.at(-1)?.machine.name === "beta",
      "both run",
    );
    const text = nextText(mine);
    const { sessions } = bench.gateway;
    assert.ok(sessions.warn(ALPHA.id, { code: "MACHINE_ENDS", message: "in 10 minutes" }) >= 1);
    assert.match(await text, /in 10 minutes/);
    const { DoorwardError } = await import("@doorward/contracts");
    sessions.closeMachine(ALPHA.id, new DoorwardError({ code: "MACHINE_NOT_RUNNING", message: "stopped" }));
    assert.deepEqual(await closing(mine), { code: 4409, reason: "MACHINE_NOT_RUNNING" });
    other.send("still");
    assert.equal(await nextText(other), "still");
    other.terminate();
  });

  it("an upgrade to something that is no WebSocket is refused", async () => {
    const answer = await raw(
      bench.port,
      `GET /v1/machines/alpha/doors/terminal HTTP/1.1\r\nHost: 127.0.0.1:${bench.port}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 400 .*PROTOCOL_ERROR/s);
  });
});
