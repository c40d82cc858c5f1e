import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { GuestDialer } from "@doorward/guest";
import { pids, procFile } from "../../../test/support/leftovers.ts";
import { COMMAND_TOOLS } from "../../doors/src/agent-tool/tools/command-tools.ts";
import { agentLab, type AgentLab } from "./agent-tool-lab.ts";
import { startLab, type Lab } from "./guest-harness.ts";

let guest: Lab;
before(async () => {
  guest = await startLab();
});
after(async () => {
  await guest[Symbol.asyncDispose]();
});

const open = (): AgentLab => agentLab({ tools: COMMAND_TOOLS, link: guest.link, workdir: guest.folder });

/** A sleep of these many seconds that nobody else on this host has. */
const sleepOf = (seconds: number): string =>
  `sleep ${String(seconds)}.${String(process.pid).padStart(8, "0")}1`;

/** Processes whose command line ends with a word that only this test uses. */
function running(word: string): number {
  const ends = new RegExp(`${word}$`);
  return pids().filter((pid) => ends.test(procFile(pid, "cmdline").replaceAll("\0", " ").trim())).length;
}

async function untilGone(word: string): Promise<void> {
  for (let left = 2400; left > 0 && running(word) > 0; left -= 1) await sleep(50);
  assert.equal(running(word), 0);
}

async function untilRuns(word: string): Promise<void> {
  for (let left = 2400; left > 0 && running(word) === 0; left -= 1) await sleep(50);
  assert.notEqual(running(word), 0);
}

function textOf(answer: Record<string, unknown>): string {
  return (answer["output"] as { text: string }[]).map(({ text }) => text).join("");
}

test("a command answers with its output, exit code, folder and machine", async () => {
  await using lab = open();
  const answer = await lab.answer("run_command", { command: "echo out; echo err >&2; pwd; exit 3" });
  assert.equal(answer["exit_code"], 3);
  assert.equal(answer["machine"], "lab");
  assert.equal(answer["cwd"], guest.folder);
  assert.deepEqual([...textOf(answer).trim().split("\n")].sort(), ["err", guest.folder, "out"].sort());
});

test("stdout and stderr come in order of arrival, each marked", async () => {
  await using lab = open();
  const command = "echo a; sleep 0.5; echo b >&2; sleep 0.5; echo c";
  const { output } = await lab.answer("run_command", { command });
  assert.deepEqual(output, [
    { stream: "stdout", text: "a\n" },
    { stream: "stderr", text: "b\n" },
    { stream: "stdout", text: "c\n" },
  ]);
});

test("folder, variables and input are what was asked for", async () => {
  await using lab = open();
  const answer = await lab.answer("run_command", {
    command: 'echo "$PWD $GREETING $(cat)"',
    cwd: "/usr",
    env: { GREETING: "hi" },
    stdin: "from stdin",
  });
  assert.equal(textOf(answer), "/usr hi from stdin\n");
});

test("escape sequences, NUL and what is no UTF-8 do not reach the model", async () => {
  await using lab = open();
  const command = String.raw`printf '\033[31mred\033[0m \000 \377 \033]0;title\007end\r\n'`;
  const { output } = await lab.answer("run_command", { command });
  assert.deepEqual(output, [{ stream: "stdout", text: "red  \ufffd end\n" }]);
});

test("the middle of a long output is counted, and paged by its cursor without a loss", async () => {
  await using lab = open();
  const answer = await lab.answer("run_command", { command: "seq 1 20000" });
  const id = answer["command_id"];
  assert.match(String(id), /^c\d+$/);
  const whole = Array.from({ length: 20000 }, (_, at) => `${String(at + 1)}\n`).join("");
  assert.equal(answer["omitted_characters"], whole.length - 30_000);
  let [cursor, pages] = [0, ""];
  for (let more = true; more;) {
    const page = await lab.answer("command_output", { command_id: id, cursor });
    pages += textOf(page);
    cursor = page["next_cursor"] as number;
    more = page["more"] as boolean;
  }
  assert.equal(pages, whole);
});

test("a command over its time is killed with what it started, and the answer says so", async () => {
  await using lab = open();
  const outcome = await lab.call("run_command", {
    command: `setsid ${sleepOf(7011)} & ${sleepOf(7011)}`,
    timeout_seconds: 1,
  });
  if (outcome.kind !== "answered") assert.fail(outcome.message);
  assert.equal(outcome.answer.failed, true);
  assert.match(outcome.answer.text, /timed out after 1 s: it was killed/);
  assert.equal(lab.calls()[0]?.outcome, "timed-out");
  await untilGone(sleepOf(7011));
});

test("a command that ignores being asked is killed at its time", async () => {
  await using lab = open();
  const answer = await lab.answer("run_command", {
    command: `trap '' TERM HUP INT; while :; do ${sleepOf(7012)}; done`,
    timeout_seconds: 1,
  });
  assert.equal(answer["state"], "timed-out");
  await untilGone(sleepOf(7012));
});

test("a longer time than an hour is refused in the foreground", async () => {
  await using lab = open();
  const outcome = await lab.call("run_command", { command: "true", timeout_seconds: 7200 });
  assert.equal(outcome.kind === "failed" && outcome.code, "INPUT_INVALID");
});

test("a cancelled call kills its command, also what left its group, and is recorded as cancelled", async () => {
  await using lab = open();
  const cancel = new AbortController();
  const calling = lab.call(
    "run_command",
    { command: `setsid ${sleepOf(7013)} & ${sleepOf(7013)}` },
    cancel.signal,
  );
  await untilRuns(sleepOf(7013));
  cancel.abort();
  const outcome = await calling;
  assert.equal(outcome.kind, "failed");
  assert.equal(lab.calls()[0]?.outcome, "cancelled");
  await untilGone(sleepOf(7013));
});

test("a call that is cancelled before its command is known to run leaves nothing either", async () => {
  const [command, cancel] = [`setsid ${sleepOf(7022)} & wait`, new AbortController()];
  const late: GuestDialer = {
    dial: async (open, signal) => {
      const stream = await guest.link.dial(open, signal);
      if (open.kind === "exec" && open.argv.includes(command)) {
        await untilRuns(`^${sleepOf(7022)}`);
        cancel.abort();
      }
      return stream;
    },
  };
  await using lab = agentLab({ tools: COMMAND_TOOLS, link: late, workdir: guest.folder });
  const outcome = await lab.call("run_command", { command }, cancel.signal);
  assert.equal(outcome.kind, "failed");
  assert.equal(lab.calls()[0]?.outcome, "cancelled");
  await untilGone(sleepOf(7022));
});

test("a revoked grant kills the command of a running call, recorded as cut", async () => {
  await using lab = open();
  const calling = lab.call("run_command", { command: `trap '' TERM; ${sleepOf(7014)}; ${sleepOf(7014)}` });
  await untilRuns(sleepOf(7014));
  lab.revoke();
  const outcome = await calling;
  assert.equal(outcome.kind === "failed" && outcome.code, "GRANT_REVOKED");
  assert.equal(lab.calls()[0]?.outcome, "cut");
  await untilGone(sleepOf(7014));
});

test("what a command left behind ends with the session, in a session of its own and with nohup too", async () => {
  const lab = open();
  await lab.answer("run_command", {
    command: `setsid ${sleepOf(7015)} >/dev/null 2>&1 & nohup ${sleepOf(7015)} >/dev/null 2>&1 & echo started`,
  });
  await untilRuns(sleepOf(7015));
  await lab[Symbol.asyncDispose]();
  await untilGone(sleepOf(7015));
});

test("the sessions of others go on when one ends", async () => {
  await using stays = open();
  const ends = open();
  const { command_id: id } = await stays.answer("run_command", { command: sleepOf(7016), background: true });
  await ends.answer("run_command", { command: sleepOf(7017), background: true });
  await untilRuns(sleepOf(7016));
  await ends[Symbol.asyncDispose]();
  await untilGone(sleepOf(7017));
  assert.equal((await stays.answer("command_output", { command_id: id }))["state"], "running");
});

test("a command in the background is polled, fed, ended, and its end is recorded", async () => {
  await using lab = open();
  const started = await lab.answer("run_command", {
    command: 'while read -r line; do echo "got $line"; done; echo done; exit 4',
    background: true,
    stdin: "one\n",
  });
  const id = started["command_id"];
  assert.equal(started["state"], "running");
  assert.equal(
    textOf(await lab.answer("command_output", { command_id: id, wait_seconds: 120 })),
    "got one\n",
  );
  await lab.answer("send_input", { command_id: id, text: "two\n", end: true });
  let text = "";
  let state: unknown;
  for (let left = 20; left > 0 && state !== "exited"; left -= 1) {
    const page = await lab.answer("command_output", { command_id: id, wait_seconds: 120 });
    text += textOf(page);
    state = page["state"];
  }
  assert.equal(text, "got two\ndone\n");
  const commands = lab.records.filter(({ type }) => type === "command");
  assert.deepEqual(
    commands.map((record) => record.type === "command" && record.exitCode),
    [4],
  );
});

test("stop_command ends a command, and list_commands shows it as stopped", async () => {
  await using lab = open();
  const { command_id: id } = await lab.answer("run_command", { command: sleepOf(7018), background: true });
  assert.equal((await lab.answer("stop_command", { command_id: id }))["state"], "stopped");
  await untilGone(sleepOf(7018));
  const { commands } = await lab.answer("list_commands", {});
  assert.deepEqual(
    (commands as { state: string }[]).map(({ state }) => state),
    ["stopped"],
  );
});

test("a signal that a command handles leaves it running", async () => {
  await using lab = open();
  const { command_id: id } = await lab.answer("run_command", {
    command: "trap 'echo caught' USR1; echo ready; while :; do sleep 0.1; done",
    background: true,
  });
  assert.match(textOf(await lab.answer("command_output", { command_id: id, wait_seconds: 120 })), /ready/);
  assert.equal((await lab.answer("stop_command", { command_id: id, signal: "SIGUSR1" }))["state"], "running");
  assert.match(textOf(await lab.answer("command_output", { command_id: id, wait_seconds: 120 })), /caught/);
});

test("a command in the background ends at its time", async () => {
  await using lab = open();
  const { command_id: id } = await lab.answer("run_command", {
    command: sleepOf(7019),
    background: true,
    timeout_seconds: 1,
  });
  const page = await lab.answer("command_output", { command_id: id, wait_seconds: 120 });
  assert.equal(page["state"], "timed-out");
});

test("there are at most 16 commands in the background", async () => {
  await using lab = open();
  const start = () => lab.call("run_command", { command: sleepOf(7020), background: true });
  for (let left = 16; left > 0; left -= 1) assert.equal((await start()).kind, "answered");
  const more = await start();
  assert.equal(more.kind === "failed" && more.code, "RATE_LIMITED");
});

test("nor are there more when they are asked for at once", async () => {
  await using lab = open();
  const calls = Array.from({ length: 24 }, () =>
    lab.call("run_command", { command: sleepOf(7020), background: true }),
  );
  const answers = await Promise.all(calls);
  assert.equal(answers.filter(({ kind }) => kind === "answered").length, 16);
});

test("an id of nobody, and input for a command that has none, are refused in words", async () => {
  await using lab = open();
  const none = await lab.call("command_output", { command_id: "c99" });
  assert.equal(none.kind === "failed" && none.hint, "list_commands shows the ids");
  const { command_id: id } = await lab.answer("run_command", { command: sleepOf(7021), background: true });
  const closed = await lab.call("send_input", { command_id: id, text: "x" });
  assert.match(closed.kind === "failed" ? closed.message : "", /its input is not open/);
});

test("a program that does not exist is an exit code, and a folder that does not is a refusal", async () => {
  await using lab = open();
  assert.equal((await lab.answer("run_command", { command: "no-such-program-here" }))["exit_code"], 127);
  const outcome = await lab.call("run_command", { command: "true", cwd: "no/such/folder" });
  assert.equal(outcome.kind === "failed" && outcome.code, "PATH_NOT_FOUND");
});

test("a flood is held back: memory stays flat, and a small command answers beside it", async () => {
  await using lab = open();
  await lab.answer("run_command", { command: "yes 'flood flood flood flood'", background: true });
  await sleep(1500);
  const before = process.memoryUsage().rss;
  await sleep(1500);
  assert.equal(textOf(await lab.answer("run_command", { command: "echo small" })), "small\n");
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 60 * 1_048_576, `grew by ${String(grown)} bytes`);
});

test("a command that closes its output half-way still answers with its exit code", async () => {
  await using lab = open();
  const answer = await lab.answer("run_command", { command: "echo first; exec >&- 2>&-; sleep 0.3; exit 6" });
  assert.deepEqual([textOf(answer), answer["exit_code"]], ["first\n", 6]);
});

test("evidence has the program of the line and no argument of it", async () => {
  await using lab = open();
  await lab.answer("run_command", { command: "cd /usr && KEY=secret printf '%s' hidden" });
  const [record] = lab.calls();
  assert.equal(record?.program, "printf");
  assert.equal(record.exitCode, 0);
  assert.equal(record.client, "lab-client");
});

test("evidence tells a command that a signal killed from one that goes on in the background", async () => {
  await using lab = open();
  const killed = await lab.answer("run_command", { command: "kill -9 $$" });
  assert.equal(killed["exit_code"], null);
  const { command_id: id } = await lab.answer("run_command", { command: "sleep 60", background: true });
  await lab.answer("stop_command", { command_id: id });
  const codes = lab.calls().map(({ exitCode }) => exitCode);
  assert.deepEqual(codes.slice(0, 2), [137, null]);
});

test("the first calls of a session at once have one keeper, and it ends with the session", async () => {
  const marks: string[] = [];
  const link: GuestDialer = {
    dial: (asked, signal) => {
      if (asked.kind === "exec" && asked.argv.includes("doorward-keeper"))
        marks.push(asked.argv.at(-1) ?? "");
      return guest.link.dial(asked, signal);
    },
  };
  {
    await using lab = agentLab({ tools: COMMAND_TOOLS, link, workdir: guest.folder });
    const calls = [1, 2, 3].map(() => lab.answer("run_command", { command: "echo same" }));
    assert.deepEqual((await Promise.all(calls)).map(textOf), ["same\n", "same\n", "same\n"]);
  }
  const [mark = "none"] = marks;
  await untilGone(mark);
  assert.equal(marks.length, 1);
});
