import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@doorward/client";
import { ROUTES, type DoorwardError } from "@doorward/contracts";
import { WebSocket } from "ws";
import { openLab, type Lab } from "../support/lab.ts";
import { OwnTime } from "../support/own-time.ts";
import { OverTcp, type Answer, type Attached } from "./grants-over-tcp.ts";

const TERMINAL = ["terminal.attach", "terminal.observe", "terminal.input"] as const;
const ALL = [...TERMINAL, "terminal.exec", "terminal.agent-exec"] as const;

describe("grants over TCP against a running bridge", () => {
  let lab: Lab;
  let port: number;
  let over: OverTcp;

  before(async () => {
    lab = await openLab();
    await lab.up(lab.repo("shop"));
    await lab.up(lab.repo("other"));
    port = await lab.tcpPort();
    over = new OverTcp(port);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("a grant opens the doors it names, over TCP, and works", async () => {
    const { token } = await lab.grant("shop", ALL);
    const { session, seen } = await over.attach(token);
    session.write(Buffer.from("echo $((6*7))\r"));
    await lab.until("42", () => seen().includes("42\r"));
    session.detach();
    await using client = connect({ url: over.url, token });
    assert.deepEqual(await client.exec("shop", ["sh", "-c", "exit 3"]), { code: 3, signal: null });
  });

  it("the command acts as the grant's subject with DOORWARD_TOKEN and never touches the socket", async () => {
    const { token } = await lab.grant("shop", ALL);
    const env = { DOORWARD_TOKEN: token, DOORWARD_URL: over.url, DOORWARD_HOME: "/nonexistent/home" };
    const ran = await lab.run(["exec", "shop", "--", "echo", "as-agent"], { env });
    assert.deepEqual([ran.code, ran.stdout], [0, "as-agent\n"], ran.stderr);
    assert.equal((await lab.run(["up", lab.sources], { env })).code, 3);
    const opened = (await lab.records("session-open"))[0];
    assert.equal(opened?.subject, "agent:test:1");
  });

  it("no token, a malformed, a forged and an altered token are refused at every place", async () => {
    const { token } = await lab.grant("shop", ALL);
    const [, id = "", secret = "", checksum = ""] = /^dwg_([^_]+)_([^_]+)_([^_]+)$/.exec(token) ?? [];
    const flipped = secret.slice(0, -1) + (secret.endsWith("a") ? "b" : "a");
    const forged = [
      `dwg_${id}_${flipped}_${checksum}`,
      `dwg_${id}_${secret}_${checksum.slice(0, -1)}${checksum.endsWith("x") ? "y" : "x"}`,
      `dwg_${"0".repeat(id.length)}_${secret}_${checksum}`,
      `dwg_${id}__`,
      "dwg_",
      "x",
      token.toUpperCase(),
      `${token}x`,
      token.slice(0, -1),
    ];
    for (const fake of forged) {
      assert.match(await over.terminal("shop", fake), /^401 TOKEN_INVALID$|^429/, fake);
      assert.equal((await over.http("/v1/machines", { authorization: `Bearer ${fake}` })).status, 401);
    }
    assert.match(
      await over.door("/v1/machines/shop/doors/terminal", {}, ["doorward.terminal.v1"]),
      /^401 TOKEN_MISSING$/,
    );
    assert.equal((await over.http("/v1/machines")).code, "TOKEN_MISSING");
    assert.equal(await over.terminal("shop", token), "open", "the real one still works");
  });

  it("a token in a query string is refused, even a valid one", async () => {
    const { token } = await lab.grant("shop", ALL);
    const answer = await over.http(`/v1/machines?token=${token}`, { authorization: `Bearer ${token}` });
    assert.deepEqual([answer.status, answer.code], [400, "INPUT_INVALID"]);
    assert.ok(!answer.text.includes(token));
  });

  it("a token as a subprotocol works for browsers and is never echoed", async () => {
    const { token } = await lab.grant("shop", ALL);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/machines/shop/doors/terminal`, [
      `bearer.${token}`,
      "doorward.terminal.v1",
    ]);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    assert.equal(socket.protocol, "doorward.terminal.v1");
    socket.terminate();
  });

  /** A terminal under a grant of some seconds, which on a host that stands still are over before it is attached. */
  async function attachedFor(time: string): Promise<Attached & { readonly token: string }> {
    for (;;) {
      const { token } = await lab.grant("shop", ALL, time);
      try {
        return { ...(await over.attach(token)), token };
      } catch (error) {
        if ((error as DoorwardError).code !== "GRANT_EXPIRED") throw error;
      }
    }
  }

  it("an expired grant opens nothing, and its terminal is closed with the reason", async (t) => {
    const { token, ended } = await attachedFor("8s");
    const began = performance.now();
    const { end, at } = await ended;
    assert.equal(end.kind === "closed" ? end.error.code : end.kind, "GRANT_EXPIRED");
    t.diagnostic(`closed ${Math.round(at - began)} ms after attaching with 8 s`);
    assert.equal(await over.terminal("shop", token), "401 GRANT_EXPIRED");
    assert.equal(
      (await over.http("/v1/machines", { authorization: `Bearer ${token}` })).code,
      "GRANT_EXPIRED",
    );
  });

  it("an attached terminal is closed within 50 ms of revoke, and says why", async (t) => {
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const { id, token } = await lab.grant("shop", ALL);
      const { ended } = await over.attach(token);
      await using client = lab.client();
      await client.call("bridge.health", {});
      using since = new OwnTime();
      const revoked = client.call("grants.revoke", {
        params: { grant: id },
        body: { reason: "laptop lost" },
      });
      const { end } = await ended;
      times.push(since.ms);
      assert.equal(end.kind === "closed" ? end.error.code : end.kind, "GRANT_REVOKED");
      assert.deepEqual((await revoked).revoked, [id]);
      assert.equal(await over.terminal("shop", token), "401 GRANT_REVOKED");
    }
    t.diagnostic(`revoke until closed: ${times.map((ms) => ms.toFixed(1)).join(", ")} ms`);
    // What else a busy host does adds to the others, but not without end.
    assert.ok(Math.min(...times) < 50);
    assert.ok(Math.max(...times) < 250);
  });

  it("the user of the command sees the reason of a revocation, and gets the terminal back", async (t) => {
    const { id, token } = await lab.grant("shop", ALL);
    const screen = lab.screen(["attach", "shop"], { DOORWARD_TOKEN: token, DOORWARD_URL: over.url });
    await screen.see("$ ");
    const began = performance.now();
    const revoke = lab.run(["grant", "revoke", id, "--reason", "laptop lost"]);
    const code = await screen.ended;
    t.diagnostic(
      `from starting doorward grant revoke until the other command had ended: ${Math.round(performance.now() - began)} ms`,
    );
    assert.equal((await revoke).code, 0);
    assert.ok(code === 125 || code === 3, `exit code ${code}`);
    assert.match(screen.text, /revoked/);
    const record = (await lab.records("grant-revoked"))[0];
    assert.match(record?.summary ?? "", /laptop lost/);
  });

  it("a running command is cut by a revocation, and its process ends in the machine", async () => {
    const { id, token } = await lab.grant("shop", ALL);
    await using client = connect({ url: over.url, token });
    const session = await client.startExec("shop", ["sleep", "4242"]);
    const running = async (): Promise<boolean> =>
      (await lab.sh("shop", "pgrep -f 'sleep 424[2]'")).code === 0;
    await lab.until("it runs", running);
    await lab.run(["grant", "revoke", id]);
    await assert.rejects(session.done, (error: DoorwardError) => error.code === "GRANT_REVOKED");
    await lab.until("it is gone", async () => !(await running()));
  });

  it("a grant for one machine opens no other, and sees no other", async () => {
    const { token } = await lab.grant("shop", ALL);
    const authorization = `Bearer ${token}`;
    assert.equal(await over.terminal("other", token), "403 MACHINE_NOT_GRANTED");
    assert.equal((await over.http("/v1/machines/other", { authorization })).status, 403);
    assert.equal((await over.http("/v1/machines/other/terminals", { authorization })).status, 403);
    const listed = JSON.parse((await over.http("/v1/machines", { authorization })).text) as {
      machines: { name: string }[];
    };
    assert.deepEqual(
      listed.machines.map(({ name }) => name),
      ["shop"],
    );
    assert.match(await over.terminal("nobody", token), /^40[34] /);
  });

  it("a grant without an operation can't do it, at the door and inside it", async () => {
    const observe = await lab.grant("shop", ["terminal.observe"]);
    const exec = await lab.grant("shop", ["terminal.exec"]);
    await using client = connect({ url: over.url, token: observe.token });
    await assert.rejects(
      client.exec("shop", ["true"]),
      (error: DoorwardError) => error.code === "OPERATION_NOT_GRANTED",
    );
    await assert.rejects(
      client.attachTerminal("shop", { data: () => undefined, reconnectMs: 0 }),
      (error: DoorwardError) => error.code === "OPERATION_NOT_GRANTED",
    );
    await using runner = connect({ url: over.url, token: exec.token });
    await assert.rejects(
      runner.attachTerminal("shop", { data: () => undefined, reconnectMs: 0 }),
      (error: DoorwardError) => error.code === "OPERATION_NOT_GRANTED",
    );
    const path = (name: string): string => `/v1/machines/shop/doors/${name}`;
    const headers = { authorization: `Bearer ${exec.token}` };
    for (const name of ["browser", "editor", "agent-tool", "nonsense", "terminal%2f..%2fexec"])
      assert.match(await over.door(path(name), headers, ["doorward.terminal.v1"]), /^40[034] /, name);
  });

  it("an observer's keystrokes change nothing", async () => {
    const full = await lab.grant("shop", ALL);
    const watcher = await lab.grant("shop", ["terminal.observe"]);
    const { session } = await over.attach(full.token);
    const socket = new WebSocket(
      `ws://127.0.0.1:${port}/v1/machines/shop/doors/terminal`,
      ["doorward.terminal.v1"],
      {
        headers: { authorization: `Bearer ${watcher.token}` },
      },
    );
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(JSON.stringify({ type: "hello", mode: "observe", terminal: { id: session.id } }));
    await delay(200);
    socket.send(Buffer.concat([Buffer.from([2]), Buffer.from("touch /tmp/by-observer\r")]));
    await delay(400);
    socket.terminate();
    session.detach();
    assert.notEqual((await lab.sh("shop", "test -e /tmp/by-observer")).code, 0);
  });

  it("a child grant is narrower, never wider or longer, and ends with its parent", async () => {
    const parent = await lab.grant("shop", [...TERMINAL], "1h");
    const authorization = `Bearer ${parent.token}`;
    const narrow = (body: unknown): Promise<Answer> =>
      over.http(`/v1/grants/${parent.id}/narrow`, { authorization }, "POST", JSON.stringify(body));
    for (const wider of [
      { operations: ["terminal.exec"] },
      { operations: [...TERMINAL, "terminal.exec"] },
      { for: "2h" },
      { for: "8h", operations: ["terminal.observe"] },
      { paths: [lab.sources] },
      { paths: ["/"] },
      { doors: ["browser"] },
    ])
      assert.ok((await narrow(wider)).status >= 400, JSON.stringify(wider));
    const made = await narrow({ operations: ["terminal.observe"], for: "10m", subject: "agent:test:child" });
    assert.equal(made.status, 200, made.text);
    const child = JSON.parse(made.text) as { token: string; grant: { grantId: string } };
    assert.equal(await over.terminal("shop", child.token), "open");
    await lab.run(["grant", "revoke", parent.id]);
    assert.equal(await over.terminal("shop", child.token), "401 GRANT_REVOKED");
  });

  it("a holder can't use, see, narrow or revoke the grants of others", async () => {
    const mine = await lab.grant("shop", ALL);
    const theirs = await lab.grant("shop", ALL, "1h", "agent:test:2");
    const headers = { authorization: `Bearer ${mine.token}` };
    assert.equal((await over.http(`/v1/grants/${theirs.id}`, headers)).status, 403);
    assert.equal((await over.http(`/v1/grants/${theirs.id}/revoke`, headers, "POST", "{}")).status, 403);
    assert.equal((await over.http(`/v1/grants/${theirs.id}/narrow`, headers, "POST", "{}")).status, 403);
    assert.ok(!(await over.http("/v1/grants?all=true", headers)).text.includes(theirs.id));
    assert.equal(await over.terminal("shop", theirs.token), "open");
  });

  it("every operator's route is refused to every grant, and to nobody in particular", async () => {
    const { token } = await lab.grant("shop", ALL);
    const tried: string[] = [];
    for (const [id, route] of Object.entries(ROUTES)) {
      if (route.access !== "operator") continue;
      const path = route.path
        .replace("{machine}", "shop")
        .replace("{grant}", "g_0000000000")
        .replace("{index}", "0");
      const body = route.method === "POST" ? "{}" : "";
      const held = await over.http(path, { authorization: `Bearer ${token}` }, route.method, body);
      assert.equal(held.status, 403, `${id}: ${held.text}`);
      assert.equal(held.code, "OPERATOR_ONLY", id);
      assert.equal((await over.http(path, {}, route.method, body)).status, 401, id);
      tried.push(id);
    }
    assert.ok(tried.length >= 15);
    assert.deepEqual(
      (await lab.machines()).map(({ state }) => state),
      ["running", "running"],
    );
  });

  it("pages of other origins and rebound names are refused, with and without a token", async () => {
    const { token } = await lab.grant("shop", ALL);
    const authorization = `Bearer ${token}`;
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1.nip.io",
      "127.0.0.1:1",
      "0.0.0.0",
      `localhost.evil:${port}`,
      "2130706433",
    ]) {
      const answer = await over.http("/v1/machines", { authorization, host });
      assert.ok([400, 403].includes(answer.status), `${host}: ${answer.status}`);
    }
    for (const origin of [
      "https://evil.example",
      "null",
      `http://127.0.0.1:${port + 1}`,
      `http://localhost.evil:${port}`,
      "vscode-webview://x",
    ]) {
      assert.equal(
        (await over.http("/v1/machines", { authorization, origin })).code,
        "ORIGIN_NOT_ALLOWED",
        origin,
      );
      const tried = await over.door("/v1/machines/shop/doors/terminal", { authorization, origin }, [
        "doorward.terminal.v1",
      ]);
      assert.equal(tried, "403 ORIGIN_NOT_ALLOWED", origin);
    }
    const site = { authorization, "sec-fetch-site": "cross-site" };
    assert.equal((await over.http("/v1/machines", site)).code, "ORIGIN_NOT_ALLOWED");
    const preflight = await over.http(
      "/v1/machines",
      { origin: "https://evil.example", "access-control-request-method": "GET" },
      "OPTIONS",
    );
    assert.ok(preflight.status >= 400);
  });

  it("the bridge listens on loopback only, and its socket is the operator's alone", async () => {
    const { readFileSync, statSync } = await import("node:fs");
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    const listening = readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .filter((line) => line.includes(`:${hex} 00000000:0000 0A`));
    assert.deepEqual(
      listening.map((line) => line.trim().split(/\s+/)[1]),
      [`0100007F:${hex}`],
    );
    assert.equal(statSync(lab.socket).mode & 0o777, 0o600);
  });

  it("what was refused is in the evidence, and no token is in any file", async () => {
    const { execFileSync } = await import("node:child_process");
    const { token } = await lab.grant("shop", ALL);
    await over.terminal("other", token);
    const denials = await lab.records("denial");
    assert.ok(denials.some(({ summary }) => summary.includes("MACHINE_NOT_GRANTED")));
    const secret = token.split("_")[2] ?? "";
    assert.throws(() => execFileSync("grep", ["-r", "-l", secret, lab.home]), "grep finds nothing");
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
