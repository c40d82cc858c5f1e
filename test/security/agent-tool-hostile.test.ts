import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type DoorwardClient } from "@doorward/client";
import { AgentClient } from "../support/agent-client.ts";
import { openLab, type Lab } from "../support/lab.ts";

const OPERATIONS = ["agent-tool.list", "agent-tool.read", "agent-tool.write", "agent-tool.exec"];

const POLICY = `grants:
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [${OPERATIONS.join(", ")}]
    for: 8h
`;

describe(
  "a call that floods, hangs, forks or closes its output harms only itself",
  { timeout: 600_000 },
  () => {
    let lab: Lab;
    let bridge: number;
    let hostile: Opened;
    let other: Opened;
    let count = 0;

    interface Opened extends AsyncDisposable {
      readonly agent: AgentClient;
      readonly grant: string;
    }

    before(async () => {
      lab = await openLab({ policy: POLICY });
      await lab.up(lab.repo("shop"), "--name", "shop");
      await lab.up(lab.repo("bank"), "--name", "bank");
      bridge = await lab.bridgePid();
      [hostile, other] = [await open("shop"), await open("bank")];
    });
    after(async () => {
      // the machines go first, and whatever fails: nothing of what they run may be left on the host
      await lab[Symbol.asyncDispose]();
      await Promise.allSettled([hostile[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
    });

    async function open(machine: string): Promise<Opened> {
      const minted = await lab.grant(machine, OPERATIONS, "1h", `agent:codex:${String((count += 1))}`);
      const holder: DoorwardClient = connect({
        url: `http://127.0.0.1:${String(await lab.tcpPort())}`,
        token: minted.token,
      });
      const agent = await AgentClient.open(holder, machine);
      return {
        agent,
        grant: minted.id,
        [Symbol.asyncDispose]: async () => {
          await agent[Symbol.asyncDispose]();
          await holder[Symbol.asyncDispose]();
        },
      };
    }

    const rss = (): number =>
      Math.round(
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(bridge)}/status`, "utf8"))?.[1] ?? 0) /
          1024,
      );
    const inside = (word: string): number =>
      lab.inside().filter(({ command }) => command.includes(word) && !command.includes("doorward-keeper"))
        .length;

    /** Works in the other machine until something ended; answers the longest call. */
    async function meanwhile(hostileCall: Promise<unknown>): Promise<number> {
      let [over, longest] = [false, 0];
      void hostileCall.finally(() => (over = true)).catch(() => undefined);
      while (!over) {
        const began = performance.now();
        const answer = await other.agent.answer("run_command", { command: "echo fine" });
        longest = Math.max(longest, performance.now() - began);
        assert.match(JSON.stringify(answer["output"]), /fine/);
        await delay(20);
      }
      return longest;
    }

    // Each ends by itself after a minute, should nobody be left to end it. None ends because it can't fork any more, as
    // shells do.
    const bomb = (line: string) => hostile.agent.call("run_command", { command: line, timeout_seconds: 4 });

    for (const [what, line, word] of [
      [
        "a fork bomb",
        "bomb4711() { [ $SECONDS -lt 60 ] || exit; bomb4711 | bomb4711 & }; bomb4711; wait; exec sleep 60.4711",
        "bomb4711",
      ],
      [
        "a fork bomb in sessions of its own",
        `perl -e '$SIG{CHLD} = "IGNORE"; while (time - $^T < 60) { my $pid = fork; if (!defined $pid) { select undef, undef, undef, 0.01 } elsif ($pid == 0) { exec qw(setsid timeout 60 sh -c), q(while :; do sleep 4712; done) } }'`,
        "4712",
      ],
      [
        "one that hangs and ignores being asked",
        "trap '' TERM HUP INT; while [ $SECONDS -lt 60 ]; do sleep 4713; done",
        "4713",
      ],
    ] as const) {
      it(`${what} is ended at its time, others go on meanwhile, and its machine works again`, async (test) => {
        const call = bomb(line);
        const longest = await meanwhile(call);
        const result = await call;
        test.diagnostic(`longest call beside it: ${String(Math.round(longest))} ms`);
        assert.equal(result.isError, true);
        await lab.until("nothing of it is left", () => inside(word) === 0);
        await worksAgain();
      });
    }

    /** A guest that a thousand processes kept from the processor may be late once; then it is as its answer says: once more. */
    async function worksAgain(): Promise<void> {
      const call = { command: "echo works" };
      const first = await hostile.agent.call("run_command", call);
      if (first.isError === true)
        assert.match(JSON.stringify(first), /GUEST_UNREACHABLE.*try once more in a moment/);
      const answer = first.isError === true ? await hostile.agent.call("run_command", call) : first;
      assert.match(JSON.stringify(answer.structuredContent), /works/);
    }

    it("a machine without processes left says so and what to do, and what took them can be stopped", async () => {
      // perl, because a shell that can't fork waits and tries again
      const line = `perl -e 'while (time - $^T < 60) { my $pid = fork; if (!defined $pid) { sleep 1 } elsif (!$pid) { exec qw(sleep 60.4714) } }'`;
      const taker = await hostile.agent.answer("run_command", { command: line, background: true });
      const full = async (): Promise<boolean> => {
        const tried = await hostile.agent.call("run_command", { command: "true" });
        const said = JSON.stringify(tried.content);
        if (tried.isError === true) assert.match(said, /PROCESS_LIMIT.*as many processes.*stop_command/);
        return tried.isError === true;
      };
      await lab.until("nothing can be started", full, 60_000);
      await hostile.agent.answer("read_file", { path: "README.md" });
      await hostile.agent.answer("stop_command", { command_id: taker["command_id"] });
      await lab.until("nothing of it is left", () => inside("60.4714") === 0);
      const after = await hostile.agent.answer("run_command", {
        command: '[ -n "$BASH_VERSION" ] && echo bash',
      });
      assert.match(JSON.stringify(after["output"]), /bash/);
    });

    it("floods in the foreground and in the background are held back, and cost the bridge no memory", async (test) => {
      for (let left = 4; left > 0; left -= 1)
        await hostile.agent.answer("run_command", { command: "yes 'flood flood'", background: true });
      await delay(2000);
      const before = rss();
      const call = hostile.agent.call("run_command", { command: "cat /dev/zero", timeout_seconds: 4 });
      const longest = await meanwhile(call);
      await call;
      const grown = rss() - before;
      test.diagnostic(
        `longest call beside it: ${String(Math.round(longest))} ms; grew by ${String(grown)} MiB`,
      );
      assert.ok(grown < 80, `${String(grown)} MiB`);
      const { commands } = await hostile.agent.answer("list_commands", {});
      for (const { command_id: id, state } of commands as { command_id: string; state: string }[])
        if (state === "running") await hostile.agent.answer("stop_command", { command_id: id });
      await lab.until("no flood is left", () => inside("flood flood") === 0);
    });

    it("outputs that close half-way, and what is left behind, do not keep a call from answering", async () => {
      const call = { command: "echo first; exec >&- 2>&-; sleep 0.2; exit 6" };
      assert.equal((await hostile.agent.answer("run_command", call))["exit_code"], 6);
      const left = { command: "sleep 4714 & (setsid sleep 4714 >/dev/null 2>&1 &); echo left" };
      assert.equal((await hostile.agent.answer("run_command", left))["exit_code"], 0);
    });

    it("a client that goes away takes everything with it that it started", async () => {
      const gone = await open("shop");
      await gone.agent.answer("run_command", {
        command: "setsid nohup sleep 4715 >/dev/null 2>&1 & sleep 0.3",
      });
      await gone.agent.answer("run_command", { command: "sleep 4715", background: true });
      await lab.until("it runs", () => inside("sleep 4715") >= 2);
      await gone[Symbol.asyncDispose]();
      await lab.until("it is gone", () => inside("sleep 4715") === 0);
    });

    it("a cancelled call ends its program, and the session goes on", async () => {
      const { id, answer } = hostile.agent.request("tools/call", {
        name: "run_command",
        arguments: { command: "setsid sleep 4716 & sleep 4716" },
      });
      answer.catch(() => undefined);
      await lab.until("it runs", () => inside("sleep 4716") >= 2);
      await hostile.agent.tell("notifications/cancelled", { requestId: id });
      await lab.until("it is gone", () => inside("sleep 4716") === 0);
      assert.equal((await hostile.agent.answer("run_command", { command: "true" }))["exit_code"], 0);
    });

    it("more calls than a session may have at once are refused in words, and none is lost", async () => {
      const waits = { command: "until [ -e /tmp/enough ]; do sleep 0.1; done" };
      const calls = Array.from({ length: 48 }, () => hostile.agent.call("run_command", waits));
      await Promise.race(calls);
      await other.agent.answer("run_command", { command: "true" });
      await lab.sh("shop", "touch /tmp/enough");
      const results = await Promise.all(calls);
      const refused = results.filter(({ isError }) => isError === true);
      assert.ok(refused.length > 0 && refused.length <= 16, String(refused.length));
      assert.match(JSON.stringify(refused[0]?.content), /RATE_LIMITED/);
    });
  },
);
