import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { openLab, type Lab } from "../support/lab.ts";

const policy = `grants:
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.observe, terminal.exec, terminal.agent-exec]
    for: 8h
`;

describe("a pipe to a program of a machine", { timeout: 600_000 }, () => {
  let lab: Lab;
  let port: number;

  before(async () => {
    lab = await openLab({ policy });
    await lab.up(lab.repo("one"), "--name", "one");
    await lab.up(lab.repo("two"), "--name", "two");
    port = await lab.tcpPort();
  });
  after(() => lab[Symbol.asyncDispose]());

  function open(token: string, path: string, protocols: readonly string[] = []): WebSocket {
    const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/v1/machines/${path}`, [...protocols], {
      headers,
    });
    socket.on("error", () => undefined);
    return socket;
  }

  /** How a handshake was refused, as `401 GRANT_REVOKED`. */
  async function refusal(socket: WebSocket): Promise<string> {
    socket.once("open", () => socket.close(4999, "it opened"));
    const closed = once(socket, "close").then(([code]) => `closed ${String(code)}`);
    const answered = once(socket, "unexpected-response").then(([, response]) => response as IncomingMessage);
    const answer = await Promise.race([answered, closed]);
    if (typeof answer === "string") return answer;
    let text = "";
    for await (const chunk of answer) text += String(chunk);
    return `${String(answer.statusCode)} ${(JSON.parse(text) as { code: string }).code}`;
  }

  const cat = "doors/pipe?arg=cat";

  test("it carries lines for a client that offers no subprotocol", async () => {
    const { token } = await lab.grant("one", ["terminal.agent-exec"]);
    const socket = open(token, `one/${cat}`);
    await once(socket, "open");
    assert.equal(socket.protocol, "");
    socket.send("hello");
    const [data] = (await once(socket, "message")) as [Buffer];
    assert.equal(data.toString(), "hello");
    socket.close();
    await once(socket, "close");
    await lab.until("its record is there", async () => (await lab.records("command")).length > 0);
    const [record] = await lab.records("command");
    assert.equal(record?.summary, "agent:test:1 ran cat in one: cut");
  });

  test("tokens that do not open it are refused before anything runs", async () => {
    const observer = await lab.grant("one", ["terminal.observe"]);
    const gone = await lab.grant("one", ["terminal.agent-exec"]);
    const short = await lab.grant("one", ["terminal.agent-exec"], "1s");
    const other = await lab.grant("two", ["terminal.agent-exec"]);
    const forged = other.token.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    await lab.json(["grant", "revoke", gone.id]);
    await delay(1500);
    assert.match(await refusal(open("", `one/${cat}`)), /^401 /);
    assert.match(await refusal(open(forged, `two/${cat}`)), /^401 /);
    assert.equal(await refusal(open(observer.token, `one/${cat}`)), "403 OPERATION_NOT_GRANTED");
    assert.match(await refusal(open(gone.token, `one/${cat}`)), /GRANT_REVOKED/);
    assert.match(await refusal(open(short.token, `one/${cat}`)), /GRANT_EXPIRED/);
    assert.match(await refusal(open(other.token, `one/${cat}`)), /^40[34] /);
  });

  test("other doors take no query still, and want their subprotocol", async () => {
    const { token } = await lab.grant("one", ["terminal.agent-exec"]);
    const exec = open(token, "one/doors/exec?arg=cat", ["doorward.exec.v1"]);
    assert.equal(await refusal(exec), "400 INPUT_INVALID");
    assert.equal(await refusal(open(token, "one/doors/exec")), "400 PROTOCOL_ERROR");
  });

  test("a token in the query is refused, and so is a page of a browser", async () => {
    const { token } = await lab.grant("one", ["terminal.agent-exec"]);
    assert.equal(await refusal(open("", `one/${cat}&arg=${token}`)), "400 INPUT_INVALID");
    const page = new WebSocket(`ws://127.0.0.1:${String(port)}/v1/machines/one/${cat}`, {
      headers: { authorization: `Bearer ${token}`, origin: "http://evil.example" },
    });
    page.on("error", () => undefined);
    assert.equal(await refusal(page), "403 ORIGIN_NOT_ALLOWED");
  });

  test("a grant that ends in mid-session takes the program's whole group along", async () => {
    let seconds = 4720;
    const left = (): number => lab.inside().filter(({ command }) => command === `sleep ${seconds}`).length;
    async function begun(time: string) {
      for (;;) {
        seconds += 1;
        const grant = await lab.grant("one", ["terminal.agent-exec"], time);
        const script = `sleep ${seconds} & exec sleep ${seconds}`;
        const socket = open(grant.token, `one/doors/pipe?arg=sh&arg=-c&arg=${encodeURIComponent(script)}`);
        const closed = once(socket, "close") as Promise<[number, Buffer]>;
        let over = false;
        void closed.then(() => (over = true));
        await lab.until("it runs", () => over || left() === 2);
        // On a host that stands still the time of a grant is over before anything begins.
        if (left() === 2) return { grant, closed };
      }
    }
    for (const end of ["revoked", "expired"]) {
      const { grant, closed } = await begun(end === "revoked" ? "1h" : "8s");
      if (end === "revoked") await lab.json(["grant", "revoke", grant.id]);
      const [, reason] = await closed;
      assert.equal(reason.toString(), end === "revoked" ? "GRANT_REVOKED" : "GRANT_EXPIRED");
      await lab.until("its group has ended", () => left() === 0);
    }
  });
});
