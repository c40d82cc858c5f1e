import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ERRORS, ROUTES } from "@doorward/contracts";
import fc from "fast-check";
import { WebSocket } from "ws";
import { openLab, type Lab } from "../support/lab.ts";

const RUNS = Number(process.env["DOORWARD_TEST_FUZZ"] ?? 150);

describe("malformed input at every edge gets an error, and the bridge goes on", () => {
  let lab: Lab;
  let pid: number;
  let before_: string;

  before(async () => {
    lab = await openLab();
    await lab.up(lab.repo("shop"));
    pid = await lab.bridgePid();
    before_ = JSON.stringify(await lab.machines());
  });
  after(async () => await lab[Symbol.asyncDispose]());

  interface Answer {
    readonly status: number;
    readonly text: string;
  }

  function post(
    path: string,
    body: Buffer | string,
    headers: Record<string, string> = {},
    method = "POST",
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request({
        socketPath: lab.socket,
        path,
        method,
        headers: { "content-type": "application/json", ...headers },
        agent: false,
      });
      sent.once("error", reject);
      sent.once("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.end(body);
    });
  }

  /** An answer that refuses has a known code and says something; none is a fault of the bridge. */
  function isProblem({ status, text }: Answer, what: string): void {
    const last = text.trim().split("\n").at(-1) ?? "";
    const parsed = JSON.parse(last === "" ? "{}" : last) as {
      code?: string;
      detail?: string;
      problem?: { code?: string };
      error?: { code?: string };
    };
    const code = parsed.code ?? parsed.problem?.code ?? parsed.error?.code;
    assert.ok(code !== undefined && code in ERRORS, `${what}: ${status} ${text.slice(0, 300)}`);
    assert.notEqual(code, "INTERNAL", `${what}: ${text.slice(0, 300)}`);
  }

  async function alive(): Promise<void> {
    assert.equal(await lab.bridgePid(), pid, "the same bridge");
    assert.equal((await lab.sh("shop", "echo ok")).stdout, "ok\n");
    assert.equal(JSON.stringify(await lab.machines()), before_, "nothing changed");
  }

  const targets = Object.entries(ROUTES)
    .filter(
      ([id, route]) =>
        route.method === "POST" && id !== "bridge.stop" && id !== "policy.reload" && id !== "images.prune",
    )
    .map(([id, route]) => ({
      id,
      path: route.path.replace("{machine}", "shop").replace("{grant}", "g_0000000000"),
    }))
    // Requests of actions are answered in the words of their own contract: actions-hostile.test.ts has them.
    .filter(({ id }) => id !== "machines.stop" && id !== "actions.run");

  it("bodies of any JSON value to every route", { timeout: 600_000 }, async () => {
    const hostile = fc.oneof(
      // An empty object is a whole request of some routes, and does what they do.
      fc.json().filter((body) => body !== "{}"),
      fc.string().map((text) => JSON.stringify({ path: text, repos: text, for: text })),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...targets), hostile, async ({ id, path }, body) => {
        const answer = await post(path, body);
        if (answer.status >= 400 || answer.text.includes('"code"')) isProblem(answer, `${id} ${body}`);
        else
          assert.ok(
            ["policy.check", "images.build"].includes(id),
            `${id} took ${body}: ${answer.text.slice(0, 200)}`,
          );
      }),
      { numRuns: RUNS },
    );
    await alive();
  });

  it("the message names the field's path", async () => {
    for (const [path, body, field] of [
      ["/v1/machines", { repos: [{ path: 7 }] }, /repos\W*0\W*path/],
      ["/v1/machines", { repos: [{ path: "/x", acess: "rw" }] }, /acess/],
      ["/v1/machines", { repos: [{ path: "/x" }], timeToLive: "eternal" }, /timeToLive/],
      [
        "/v1/grants",
        { machine: "shop", subject: "root", operations: ["terminal.exec"], for: "1h" },
        /subject/,
      ],
      [
        "/v1/grants",
        { machine: "shop", subject: "ci:x", operations: ["everything"], for: "1h" },
        /operations/,
      ],
      ["/v1/machines/shop/extend", { for: -1 }, /for/],
    ] as const) {
      const answer = await post(path, JSON.stringify(body));
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.text, /INPUT_INVALID/);
      assert.match(answer.text, field);
    }
  });

  it("broken JSON, wrong types, deep, huge and odd bodies", async () => {
    const cases: [string, Buffer | string, Record<string, string>][] = [
      ["cut short", '{"repos":[', {}],
      ["not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), {}],
      ["deep", `${"[".repeat(5000)}${"]".repeat(5000)}`, {}],
      ["huge", JSON.stringify({ repos: [{ path: `/${"a".repeat(2_000_000)}` }] }), {}],
      ["form", "a=b", { "content-type": "application/x-www-form-urlencoded" }],
      ["text", "{}", { "content-type": "text/plain" }],
      ["proto", '{"__proto__":{"admin":true},"repos":[{"path":"/x"}]}', {}],
      ["constructor", '{"constructor":{"prototype":{"x":1}},"repos":[{"path":"/x"}]}', {}],
      ["number", "1e999", {}],
      ["empty", "", {}],
      ["gzip", Buffer.from("1f8b0800", "hex"), { "content-encoding": "gzip" }],
    ];
    for (const [name, body, headers] of cases) {
      const answer = await post("/v1/machines", body, headers).catch((error: unknown) => String(error));
      if (typeof answer === "string") assert.match(answer, /ECONNRESET|EPIPE|hang up/, name);
      else {
        assert.ok(answer.status >= 400 && answer.status < 500, `${name}: ${answer.status}`);
        isProblem(answer, name);
      }
    }
    await alive();
  });

  it("bytes that are no HTTP, and requests that never end", async () => {
    for (const bytes of [
      "\0\0\0\0",
      "GET / HTTP/9.9\r\n\r\n",
      "POST /v1/machines HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
      "POST /v1/machines HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nzz\r\n",
      `GET /${"a".repeat(20_000)} HTTP/1.1\r\n\r\n`,
      "GET / HTTP/1.1\r\n",
    ]) {
      const socket = connectSocket(lab.socket);
      socket.on("error", () => undefined);
      socket.write(bytes);
      await delay(60);
      socket.destroy();
    }
    await alive();
  });

  it("routes, methods and parameters that do not exist", async () => {
    for (const [path, method] of [
      ["/v1/nothing", "GET"],
      ["/v1/machines/../../etc/passwd", "GET"],
      ["/v1/machines/%00", "GET"],
      ["/v1/machines/%ff", "GET"],
      [`/v1/machines/${"a".repeat(300)}`, "GET"],
      ["/v1/evidence/-1", "GET"],
      ["/v1/evidence/1e9", "GET"],
      ["/v1/evidence?limit=0", "GET"],
      ["/v1/evidence?limit=99999999999999999999", "GET"],
      ["/v1/evidence?type=__proto__", "GET"],
      ["/v1/grants/g_zzzzzzzzzz", "GET"],
      ["/v1/machines/shop/logs?lines=NaN", "GET"],
      ["/v1/machines/shop?force=maybe", "DELETE"],
      ["/v1/machines", "PATCH"],
      ["/v1/machines/shop/doors/terminal", "POST"],
    ] as const) {
      const answer = await post(path, "", {}, method);
      assert.ok(answer.status >= 400 && answer.status < 500, `${method} ${path}: ${answer.status}`);
      isProblem(answer, path);
    }
    await alive();
  });

  it("frames of any kind at both doors, before and after the hello", { timeout: 600_000 }, async () => {
    const hello: Record<string, string> = {
      terminal: JSON.stringify({ type: "hello", mode: "attach", terminal: { new: {} } }),
      exec: JSON.stringify({ type: "exec", argv: ["cat"], stdin: true }),
    };
    const frame = fc.oneof(
      fc.json(),
      fc.uint8Array({ minLength: 0, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(
        '{"type":"resize","cols":-1,"rows":1e99}',
        '{"type":"resize","cols":1000000,"rows":2}',
        '{"type":"ack","offset":9007199254740993}',
        '{"type":"ack","bytes":-5}',
        '{"type":"hello"}',
        '{"type":"signal","signal":"SIGSTOPALL"}',
        '{"type":"exec","argv":[]}',
        '{"type":"exec","argv":["a\\u0000b"]}',
        "{",
        "",
        Buffer.from([2]),
        Buffer.from([0x11]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("terminal", "exec"),
        fc.boolean(),
        fc.array(frame, { minLength: 1, maxLength: 5 }),
        async (door, greet, frames) => {
          const socket = new WebSocket(`ws+unix://${lab.socket}:/v1/machines/shop/doors/${door}`, [
            `doorward.${door}.v1`,
          ]);
          const closed = new Promise<[number, string]>((resolve) =>
            socket.once("close", (code, reason) => resolve([code, String(reason)])),
          );
          socket.on("error", () => undefined);
          await new Promise((resolve) => socket.once("open", resolve).once("close", resolve));
          if (greet) socket.send(hello[door] ?? "");
          for (const each of frames) if (socket.readyState === WebSocket.OPEN) socket.send(each);
          await delay(5);
          socket.close(1000);
          const [code, reason] = await closed;
          assert.notEqual(code, 1011, `${door} ${frames.map(String).join(" | ")}: ${reason}`);
        },
      ),
      { numRuns: Math.ceil(RUNS / 2) },
    );
    const big = new WebSocket(`ws+unix://${lab.socket}:/v1/machines/shop/doors/terminal`, [
      "doorward.terminal.v1",
    ]);
    const code = await new Promise((resolve) => {
      big.on("error", () => undefined);
      big.once("open", () => big.send(Buffer.alloc(4 << 20, 1)));
      big.once("close", resolve);
    });
    assert.ok([1009, 4429, 4400, 1006].includes(code as number), String(code));
    await alive();
  });

  it("command lines", { timeout: 600_000 }, async () => {
    for (const args of [
      ["up", ""],
      ["up", "--ttl", "-1h"],
      ["up", "--ttl", "1e9h"],
      ["up", "--name", "../x"],
      ["up", "--name", "A B"],
      ["up", "--profile"],
      ["up", "--hide", ""],
      ["exec", "shop", "--"],
      ["exec", "SHOP", "--", "true"],
      ["exec", "a\u001b[31m", "--", "true"],
      ["attach", "shop", "--terminal", "t_x"],
      ["extend", "shop", "forever"],
      ["grant", "create", "shop", "--to", "root", "--op", "terminal.exec", "--for", "1h"],
      ["grant", "create", "shop", "--to", "ci:x", "--op", "nothing", "--for", "1h"],
      ["grant", "revoke", "g_"],
      ["evidence", "show", "-1"],
      ["evidence", "show", "NaN"],
      ["evidence", "ls", "--limit", "0"],
      ["logs", "shop", "--lines", "1e99"],
      ["policy", "check", "a\nb"],
      ["--nonsense"],
      ["ls", "--nonsense"],
      ["\u001b]0;x\u0007"],
    ]) {
      const ran = await lab.run(args);
      assert.equal(ran.code, 2, `${JSON.stringify(args)}: ${String(ran.code)} ${ran.stdout}${ran.stderr}`);
      assert.ok(ran.stderr.length > 0);
      assert.doesNotMatch(ran.stderr, /\u001b|at .*\(.*:\d+:\d+\)/, JSON.stringify(args));
    }
    await alive();
  });

  it("tokens in the environment", async () => {
    for (const token of [
      "x",
      "dwg_",
      "dwg_a_b_c",
      "dwg_" + "a".repeat(180),
      "dwg_\u001b[31m",
      "Bearer dwg_a_b_c",
    ]) {
      const ran = await lab.run(["ls", "--json"], {
        env: { DOORWARD_TOKEN: token, DOORWARD_URL: `http://127.0.0.1:${await lab.tcpPort()}` },
      });
      assert.equal(ran.code, 3, ran.stderr);
      assert.match(ran.stderr, /TOKEN_INVALID|RATE_LIMITED/);
    }
    for (const url of ["ftp://x", "http://user:pass@127.0.0.1", "not a url", "http://127.0.0.1:1"]) {
      const ran = await lab.run(["ls"], {
        env: { DOORWARD_TOKEN: `dwg_${"a".repeat(12)}_${"b".repeat(32)}_cccccc`, DOORWARD_URL: url },
      });
      assert.ok([2, 3, 5].includes(ran.code ?? 0), `${url}: ${String(ran.code)} ${ran.stderr}`);
    }
  });

  it("a policy file that is wrong: the error names the place, what was in force stays, machines stay", async () => {
    const file = join(lab.home, "config", "policy.yaml");
    const good = readFileSync(file, "utf8");
    for (const [bad, says] of [
      ["version: 2\nroots: []\n", /version/],
      ["version: 1\nroots:\n  - { path: relative, access: rw }\n", /roots\W*0\W*path/],
      ["version: 1\nroots: []\nrots: []\n", /rots/],
      ["version: 1\nroots: [", /line|flow|unexpected|end/i],
      ["version: 1\nroots: []\nprofiles:\n  default:\n    limits: { pids: 1 }\n", /pids/],
      ["a: &a [*a]\n", /./],
      [`a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [${"*c,".repeat(500)}]\n`, /./],
      ["\u0000", /./],
      ["!!js/function 'x'\n", /./],
    ] as const) {
      writeFileSync(file, bad);
      const ran = await lab.run(["policy", "show", "--json"]);
      const answer = await post("/v1/policy/reload", "");
      isProblem(answer, bad);
      assert.match(answer.text, /POLICY_INVALID/);
      assert.match(answer.text, says, bad);
      assert.equal(ran.code, 0, ran.stderr);
      assert.equal((await lab.machine("shop")).state, "running");
    }
    writeFileSync(file, good);
    assert.equal((await post("/v1/policy/reload", "")).status, 200);
    await alive();
  });

  it("a repo full of hostile names can be launched on and listed", async () => {
    const path = lab.repo("hostile");
    for (const name of [
      "-rf",
      "--help",
      "a\nb",
      "\u001b]0;x\u0007",
      "\u202etxt.exe",
      ".env\n",
      "x".repeat(255),
      "$(id)",
      "`id`",
      "'",
      '"',
    ])
      mkdirSync(join(path, name));
    const ran = await lab.run(["up", path]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.doesNotMatch(
      ran.stdout + ran.stderr.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, ""),
      /[\u001b\u202e]/u,
    );
    assert.equal((await lab.run(["rm", "hostile"])).code, 0);
  });

  it("in the end the evidence verifies", async () => {
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
    assert.equal(await lab.bridgePid(), pid);
  });
});
