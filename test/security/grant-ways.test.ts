import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { openLab, type Lab } from "../support/lab.ts";
import { modernRequest } from "../support/mcp-bench.ts";
import { ended, needsPrograms, OpenSsh } from "../support/openssh.ts";
import { StdioAgent } from "../support/stdio-agent.ts";

const policy = `grants:
  - to: "agent:codex:*"
    doors: [agent-tool, terminal]
    operations: [agent-tool.list, agent-tool.exec, terminal.observe, terminal.exec, terminal.agent-exec]
    for: 8h
`;
const ALL = ["agent-tool.list", "agent-tool.exec", "terminal.exec", "terminal.agent-exec"];
const NARROW = ["agent-tool.list", "terminal.observe"];
const MACHINE = "one";

/** What each refusal says, as a code or in words. */
const REFUSALS = {
  expired: /GRANT_EXPIRED|expired|time is over/,
  revoked: /GRANT_REVOKED|revoked/,
  "for another machine": /MACHINE_NOT_GRANTED|another machine/,
  "too narrow for it": /OPERATION_NOT_GRANTED|does not (?:contain|allow|hold)/,
  altered: /TOKEN_INVALID|GRANT_NOT_FOUND|401|token/,
} as const;

/** Runs a line in the machine under a token, and answers all that came of it: the answer, the refusal, how it was cut. */
type Way = (token: string, line: string) => Promise<string>;

describe(
  "every way into a machine refuses every wrong grant, and cuts what ends",
  { timeout: 600_000 },
  () => {
    let lab: Lab;
    let port: number;
    let openSsh: OpenSsh | undefined;

    before(async () => {
      lab = await openLab({ policy });
      await lab.up(lab.repo("one"), "--name", MACHINE);
      await lab.up(lab.repo("two"), "--name", "two");
      port = await lab.tcpPort();
      if (needsPrograms("ssh") === false) openSsh = await OpenSsh.of(lab);
    });
    after(() => lab[Symbol.asyncDispose]());

    const grant = (operations = ALL, time = "1h", machine = MACHINE) =>
      lab.grant(machine, operations, time, "agent:codex:ways");
    const asAgent = (token: string) => ({
      DOORWARD_TOKEN: token,
      DOORWARD_URL: `http://127.0.0.1:${String(port)}`,
    });
    const call = (command: string) =>
      modernRequest(1, "tools/call", { name: "run_command", arguments: { command } });

    async function overHttp(token: string, line: string): Promise<string> {
      const { body, headers } = call(line);
      const sent = request({
        host: "127.0.0.1",
        port,
        path: `/v1/machines/${MACHINE}/doors/agent-tool/mcp`,
        method: "POST",
        headers: { ...headers, "content-type": "application/json", authorization: `Bearer ${token}` },
        agent: false,
      });
      sent.end(body);
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      return `${String(response.statusCode)} ${await textOf(response)}`;
    }

    async function overSocket(
      path: string,
      protocols: string[],
      token: string,
      first?: string,
    ): Promise<string> {
      const url = `ws://127.0.0.1:${String(port)}/v1/machines/${MACHINE}/doors/${path}`;
      const socket = new WebSocket(url, protocols, { headers: { authorization: `Bearer ${token}` } });
      socket.on("error", () => undefined);
      if (first !== undefined) socket.once("open", () => socket.send(first));
      const heard: string[] = [];
      socket.on("message", (data: Buffer) => {
        heard.push(data.toString());
        if (first !== undefined) socket.close();
      });
      const refused = once(socket, "unexpected-response").then(([, response]) =>
        textOf(response as IncomingMessage),
      );
      const closed = once(socket, "close").then(([, reason]) => `${heard.join(" ")} ${String(reason)}`);
      return await Promise.race([refused, closed]);
    }

    async function overStdio(token: string, line: string): Promise<string> {
      await using agent = new StdioAgent(lab, [MACHINE, "--as", "codex"], asAgent(token));
      await agent.begin();
      return JSON.stringify(await agent.call("run_command", { command: line }));
    }

    async function overSsh(token: string, line: string): Promise<string> {
      assert.ok(openSsh !== undefined);
      const child = openSsh.start("ssh", ["-F", openSsh.config, `${MACHINE}.doorward`, line], asAgent(token));
      const { stdout, stderr } = await ended(child);
      return `${stdout.toString()} ${stderr}`;
    }

    const ways: Readonly<Record<string, Way>> = {
      "plain HTTP": overHttp,
      "a WebSocket": (token, line) => overSocket("agent-tool/mcp", ["mcp"], token, call(line).body),
      "doorward mcp": overStdio,
      SSH: overSsh,
      "a pipe": (token, line) => overSocket(`pipe?arg=sh&arg=-c&arg=${encodeURIComponent(line)}`, [], token),
    };
    const running = (line: string): number => lab.inside().filter(({ command }) => command === line).length;

    const needs = (name: string) => ({ skip: name === "SSH" ? needsPrograms("ssh") : false });

    let seconds = 6600;
    /** Begins a sleep of its own under a grant; answers what was said when it was cut. */
    async function cut(way: Way, time: string) {
      for (;;) {
        seconds += 1;
        const line = `sleep ${String(seconds)}`;
        const { id, token } = await grant(ALL, time);
        let over = false;
        const said = way(token, line).finally(() => (over = true));
        said.catch(() => undefined);
        await lab.until("it runs", () => over || running(line) > 0);
        // On a host that stands still the time of a grant is over before anything begins.
        if (running(line) > 0) return { id, said, token, line };
      }
    }

    /** Grants that expire while all the rest goes on: there is time to begin on a slow host, and none is waited for. */
    const expiring = new Map<string, ReturnType<typeof cut>>();

    it("sleeps begin under grants of half a minute", async () => {
      for (const [name, way] of Object.entries(ways))
        if (needs(name).skip === false) expiring.set(name, cut(way, "30s"));
      await Promise.all(expiring.values());
    });

    for (const [name, way] of Object.entries(ways)) {
      it(`${name}: a right grant works, so that the refusals mean something`, needs(name), async () => {
        assert.match(await way((await grant()).token, "echo it works"), /it works/);
      });

      it(`${name}: wrong grants are refused, and nothing runs`, needs(name), async () => {
        const tokens = await wrongTokens();
        for (const [what, expected] of Object.entries(REFUSALS)) {
          const said = await way(tokens[what as keyof typeof REFUSALS], `touch /tmp/ran; echo it works`);
          assert.match(said, expected, `${what}: ${said}`);
          assert.doesNotMatch(said, /it works/, what);
        }
        assert.equal((await lab.sh(MACHINE, "ls /tmp/ran")).code, 2);
      });

      it(
        `${name}: a grant that is revoked in mid-session cuts what runs, and says so`,
        needs(name),
        async () => {
          const begun = await cut(way, "1h");
          await lab.json(["grant", "revoke", begun.id]);
          await isOver(way, begun, REFUSALS.revoked);
        },
      );
    }

    for (const [name, way] of Object.entries(ways)) {
      it(
        `${name}: a grant that is expired in mid-session cuts what runs, and says so`,
        needs(name),
        async () => {
          const begun = await expiring.get(name);
          assert.ok(begun !== undefined);
          await isOver(way, begun, REFUSALS.expired);
        },
      );
    }

    async function isOver(way: Way, begun: Awaited<ReturnType<typeof cut>>, why: RegExp): Promise<void> {
      assert.match(await begun.said, why);
      await lab.until("nothing of it is left", () => running(begun.line) === 0);
      assert.match(await way(begun.token, "echo it works"), why);
    }

    async function wrongTokens(): Promise<Record<keyof typeof REFUSALS, string>> {
      const [short, gone, right] = [await grant(ALL, "1s"), await grant(), await grant()];
      await lab.json(["grant", "revoke", gone.id]);
      await new Promise((resolve) => setTimeout(resolve, 1200));
      return {
        expired: short.token,
        revoked: gone.token,
        "for another machine": (await grant(ALL, "1h", "two")).token,
        "too narrow for it": (await grant(NARROW)).token,
        altered: right.token.replace(/.$/, (last) => (last === "0" ? "1" : "0")),
      };
    }
  },
);

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  try {
    for await (const chunk of response) text += String(chunk);
  } catch {
    // A stream that is cut ends in the middle.
  }
  return text;
}
