import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@doorward/client";
import { spawnDoorward } from "../support/command.ts";
import { needsRoot, type Lab } from "../support/lab.ts";
import { openInvariantsLab, type InvariantsLab } from "./invariants-lab.ts";

describe(
  "the security invariants of the host interface: who acts, and what is on record",
  { skip: needsRoot },
  () => {
    let own: InvariantsLab;
    let lab: Lab;
    let repo: string;

    before(async () => {
      own = await openInvariantsLab();
      ({ lab, repo } = own);
    });
    after(async () => await own[Symbol.asyncDispose]());

    it(
      "5: a terminal is attached by whom the operator let, each attach is recorded before its first byte, and agents are told from people",
      { timeout: 600_000 },
      async () => {
        const opened = async (): Promise<number> => (await lab.records("session-open")).length;
        const count = await opened();
        await using client = lab.client();
        let recorded: Promise<number> | undefined;
        const session = await client.attachTerminal("shop", {
          data: () => void (recorded ??= opened()),
          reconnectMs: 0,
        });
        await lab.until("a first byte", () => recorded !== undefined);
        assert.ok(((await recorded) ?? 0) > count, "the record was there when the first byte came");
        session.detach();
        const [open] = await own.statements("session-open", 1);
        assert.match(String(open?.["subject"]), /^operator:/);
        assert.equal(open?.["execution"], "operator");
        await lab.until(
          "the terminal's own record",
          async () => (await own.statements("terminal", 1)).length === 1,
        );
        assert.equal((await own.statements("terminal", 1))[0]?.["execution"], "operator");

        const url = `http://127.0.0.1:${await lab.tcpPort()}`;
        assert.equal(await own.refusedGrant({ operations: ["terminal.attach"] }), "GRANT_TOO_WIDE");
        const letIn = await lab.up("--new", repo, "--profile", "let-in");
        const { id, token } = await lab.grant(letIn, ["terminal.attach", "terminal.input"]);
        await using agent = connect({ url, token });
        let heard = false;
        const theirs = await agent.attachTerminal(letIn, { data: () => void (heard = true), reconnectMs: 0 });
        await lab.until("it hears", () => heard);
        theirs.detach();
        const [second] = await own.statements("session-open", 1);
        assert.deepEqual(
          [second?.["subject"], second?.["execution"], second?.["grant"]],
          ["agent:test:1", "agent", id],
        );
        // An agent can neither call itself an operator nor reach the operator's own way in.
        const asOperator = agent.call("grants.narrow", {
          params: { grant: id },
          body: { operations: ["terminal.attach"], subject: "operator:root" },
        });
        await assert.rejects(asOperator, (error: { code?: string }) => error.code === "GRANT_TOO_WIDE");
        await assert.rejects(
          agent.call("grants.create", {
            body: {
              machine: "shop",
              subject: "operator:root",
              operations: ["terminal.attach"],
              for: "1h",
            } as never,
          }),
        );
        assert.equal((await lab.sh("shop", `test -S ${lab.socket}`)).code, 1);
        const only = await lab.grant("shop", ["terminal.exec", "terminal.agent-exec"]);
        await using runner = connect({ url, token: only.token });
        await assert.rejects(runner.attachTerminal("shop", { data: () => undefined, reconnectMs: 0 }));
        await lab.run(["rm", letIn, "--force"]);
      },
    );

    it(
      "6: an agent's execution is governed: granted as such, offered by the profile, and on record with its grant and policy",
      { timeout: 600_000 },
      async () => {
        const url = `http://127.0.0.1:${await lab.tcpPort()}`;
        const full = await lab.grant("shop", ["terminal.exec", "terminal.agent-exec"]);
        await using agent = connect({ url, token: full.token });
        assert.equal((await agent.exec("shop", ["sh", "-c", "exit 7"])).code, 7);
        await assert.rejects(agent.exec("shop", ["no-such-program"]));
        const cut = await agent.startExec("shop", ["sleep", "4343"]);
        await lab.run(["grant", "revoke", full.id]);
        await assert.rejects(cut.done);
        await lab.until("three command records", async () => {
          const mine = (await own.statements("command")).filter(({ grant }) => grant === full.id);
          return mine.length === 3;
        });
        const mine = (await own.statements("command")).filter(({ grant }) => grant === full.id);
        const hash = (await lab.json<{ hash: string }>(["policy", "show"])).hash;
        for (const record of mine) {
          assert.equal(record["subject"], "agent:test:1");
          assert.equal(record["execution"], "agent");
          assert.equal(record["policyHash"], hash);
        }
        assert.deepEqual(mine.map(({ outcome }) => outcome).sort(), ["cut", "exited", "not-started"]);
        // Tools that run and that act are granted as such too, and each call is on record with the same.
        const operations = [
          "agent-tool.list",
          "agent-tool.read",
          "agent-tool.exec",
          "agent-tool.host-action",
        ];
        await using tools = await own.agentTools({ operations });
        assert.equal((await tools.agent.answer("run_command", { command: "exit 7" }))["exit_code"], 7);
        assert.notEqual(await tools.agent.refusal("write_file", { path: "x", content: "x" }), "allowed");
        const acts = {
          scope: "any",
          command: "touch",
          args: [join(lab.root, "acted")],
          cwd: "/",
          reason: "test",
        };
        assert.match(await tools.agent.refusal("host_run_command", acts), /TOOL_NOT_FOUND|CAPABILITY_DENIED/);
        assert.throws(() => readFileSync(join(lab.root, "acted")));
        const calls = (await own.statements("tool-call")).filter(({ grant }) => grant === tools.grant);
        assert.deepEqual(calls.map(({ tool, outcome }) => `${String(tool)} ${String(outcome)}`).sort(), [
          "host_run_command failed",
          "run_command completed",
          "write_file refused",
        ]);
        for (const record of calls)
          assert.deepEqual(
            [record["subject"], record["execution"], record["policyHash"]],
            ["agent:codex:1", "agent", hash],
          );
        assert.notEqual(
          await own.refusedGrant({ operations: ["agent-tool.exec"] }),
          "minted",
          "no kind that the door knows",
        );
        // What a person may do is not what an agent may do.
        const person = await lab.grant("shop", ["terminal.exec"]);
        await using pretender = connect({ url, token: person.token });
        await assert.rejects(
          pretender.exec("shop", ["true"]),
          (error: { code?: string }) => error.code === "OPERATION_NOT_GRANTED",
        );
        const closed = await lab.up("--new", repo, "--profile", "people-only");
        assert.notEqual(
          await own.refusedGrant({ machine: closed, operations: ["terminal.agent-exec"] }),
          "minted",
        );
        assert.equal((await lab.run(["exec", closed, "--", "true"])).code, 0, "people may");
        await lab.run(["rm", closed, "--force"]);
        for (const subject of ["agent:other:1", "ci:build"])
          assert.equal(
            await own.refusedGrant({ subject, operations: ["terminal.agent-exec"] }),
            "GRANT_TOO_WIDE",
          );
      },
    );

    it(
      "7: every launch has a fingerprint and a record that verifies, and a killed one leaves no machine without",
      { timeout: 600_000 },
      async () => {
        interface Up {
          readonly name: string;
          readonly fingerprint: string;
          readonly evidence: number;
        }
        const up = await lab.json<Up>(["up", "--new", repo]);
        await lab.run(["stop", up.name]);
        await lab.run(["start", up.name]);
        assert.equal((await lab.run(["run", repo, "--", "true"])).code, 0);
        const [run, start, first] = await own.statements("launch", 3);
        assert.deepEqual(
          [run, start, first].map((each) => each?.["trigger"]),
          ["run", "start", "up"],
        );
        assert.equal((first?.["fingerprint"] as { digest: string }).digest, up.fingerprint);
        assert.equal(
          (start?.["fingerprint"] as { digest: string }).digest,
          up.fingerprint,
          "it is what it was",
        );
        assert.equal((await lab.machine(up.name)).fingerprint, up.fingerprint);
        const key = join(lab.root, "trusted.vkey");
        writeFileSync(key, readFileSync(join(lab.evidence, "log", "key.vkey")));
        const verified = await lab.run(["evidence", "verify", "--key", key]);
        assert.equal(verified.code, 0, verified.stdout);

        for (const ms of [150, 450, 750]) {
          const child = spawnDoorward(["up", "--new", repo], lab.env);
          const ended = once(child, "close");
          await delay(ms);
          await lab.killBridge();
          await ended;
          await lab.run(["ls"]);
          await using adopting = lab.client();
          await adopting.call("bridge.ready", {});
          const launches = (await own.statements("launch", 50)).map(
            ({ machine }) => (machine as { id: string }).id,
          );
          for (const machine of await lab.machines()) assert.ok(launches.includes(machine.id), machine.name);
          const running = (await lab.machines()).filter(({ state }) => state === "running");
          assert.equal((await lab.containers()).length, running.length);
        }
        assert.equal((await lab.run(["evidence", "verify", "--key", key])).code, 0);
      },
    );
  },
);
