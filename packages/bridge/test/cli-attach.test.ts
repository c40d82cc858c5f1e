import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Problem } from "@doorward/contracts";
import { startCliLab, type CliLab, type Screen } from "./cli-lab.ts";
import { Watcher, attaching, settled, soon } from "./guest-harness.ts";

const ESC = "\u001b";
const BASH = ["--", "bash", "--norc", "--noprofile"] as const;
const DETACH = "\u001dd";

let lab: CliLab;
before(async () => (lab = await startCliLab()));
after(() => lab[Symbol.asyncDispose]());

async function attached(
  options: Parameters<CliLab["pty"]>[1] = {},
  flags: readonly string[] = [],
): Promise<Screen> {
  const screen = lab.pty(["attach", ...flags, ...BASH], { ...options, env: { ...options.env } });
  await screen.see(/bash-[0-9.]+[#$] /);
  return screen;
}

/** Flags of the pseudo-terminal, read while the command's process still holds it. */
function sttyOf(screen: Screen): string {
  const path = readlinkSync(`/proc/${screen.pty.pid}/fd/0`);
  return execFileSync("stty", ["-a", "-F", path], { encoding: "utf8" });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe("doorward attach", { timeout: 600_000 }, () => {
  it("exits with the shell's code, and the terminal is as before", async () => {
    const screen = await attached();
    screen.type("exit 7\r");
    assert.equal((await screen.ended).exitCode, 7);
  });

  it("runs a command in a terminal and exits with its code", async () => {
    const screen = lab.pty(["attach", "shop", "--", "sh", "-c", "tty -s && echo yes-a-tty; exit 3"]);
    assert.equal((await screen.ended).exitCode, 3);
    assert.match(screen.text, /yes-a-tty/);
  });

  it("an unknown terminal is told with the one that was meant and the command that lists them", async () => {
    const id = "t_aaaaaaaaaa";
    const known = { createdBy: null, kind: null, running: true, viewers: 0, command: "sh" };
    lab.answers.set("machines.terminals", () => ({ terminals: [{ ...known, id: "t_aaaaaaaaab" }] }));
    const screen = lab.pty(["attach", "shop", "-t", id]);
    assert.equal((await screen.ended).exitCode, 125);
    lab.answers.delete("machines.terminals");
    const said = screen.text.replaceAll(/\s+/g, " ");
    assert.match(said, /"t_aaaaaaaaaa": machine "shop" has none of this id; did you mean "t_aaaaaaaaab"\?/);
    assert.match(said, /doorward attach shop --list/);
  });

  it("a program killed by a signal gives 128 and the signal", async () => {
    const screen = lab.pty(["attach", "--", "sh", "-c", "kill -TERM $$"]);
    assert.equal((await screen.ended).exitCode, 143);
  });

  it("tells the size at the start and every new one", async () => {
    const screen = await attached({ cols: 97, rows: 31 });
    screen.type("stty size\r");
    await screen.see("31 97");
    screen.pty.resize(60, 20);
    screen.type('until [ "$(stty size)" = "20 60" ]; do sleep 0.05; done; stty size\r');
    await screen.see(/^20 60/m);
    screen.type("exit\r");
    await screen.ended;
  });

  it("Ctrl-C and Ctrl-Z go to the machine", async () => {
    const screen = await attached();
    // What says so is already the program that the keys go to.
    screen.type("sh -c 'echo one-$((1+1)); exec sleep 300'; echo after-$?\r");
    await screen.see("one-2");
    screen.type("\u0003");
    await screen.see(/\^C/);
    screen.type("sh -c 'echo two-$((1+1)); exec sleep 300'\r");
    await screen.see("two-2");
    screen.type("\u001a");
    await screen.see("Stopped");
    screen.type("kill %1; exit 0\r");
    screen.type("exit 0\r");
    await screen.ended;
  });

  it("detaches with its keys, and attaches again with what was missed", async () => {
    const screen = await attached();
    screen.type("echo before-$((40+2)); sleep 1; echo meanwhile-$((50+5))\r");
    await screen.see("before-42");
    screen.type(DETACH);
    assert.equal((await screen.ended).exitCode, 0);
    const id = /--terminal (t_[a-z0-9]+)/.exec(screen.text)?.[1] ?? "";
    await pause(1200);
    const again = lab.pty(["attach", "shop", "--terminal", id]);
    await again.see("meanwhile-55");
    again.type("exit 4\r");
    assert.equal((await again.ended).exitCode, 4);
  });

  it("detaches with the keys that were chosen", async () => {
    const screen = await attached({}, ["--detach-keys", "ctrl-p,ctrl-q"]);
    screen.type("\u0010\u0011");
    assert.equal((await screen.ended).exitCode, 0);
  });

  it("keeps the clipboard, title and files of the host out of reach, however the output is cut", async () => {
    const script = String.raw`printf 'A\033]5'; sleep 0.1; printf '2;c;cm0=\007B\033]0;owned\007C\033P+q54\033'; sleep 0.1; printf '\\D\033[21tE\n'`;
    const screen = lab.pty(["attach", "--", "sh", "-c", script]);
    await screen.ended;
    assert.match(screen.text, /ABCDE/);
    assert.doesNotMatch(screen.text, /\u001b\]|\u001bP|owned/);
  });

  it("puts back the screen that a killed program left", async () => {
    const screen = lab.pty([
      "attach",
      "--",
      "sh",
      "-c",
      String.raw`printf '\033[?1049h\033[?1000h\033[?25l'; kill -KILL $$`,
    ]);
    assert.equal((await screen.ended).exitCode, 137);
    for (const part of ["[?1049l", "[?1000l", "[?25h"]) assert.ok(screen.text.includes(ESC + part), part);
  });

  it("a SIGTERM leaves the program running and gives the terminal back", async () => {
    const screen = await attached();
    assert.match(sttyOf(screen), /-icanon/);
    screen.type(String.raw`printf '\033[?2004hon-%s' 2; sleep 300` + "\r");
    await screen.see("on-2");
    process.kill(screen.pty.pid, "SIGTERM");
    const { exitCode } = await screen.ended;
    assert.equal(exitCode, 143);
    assert.ok(screen.text.includes(`${ESC}[?2004l`));
  });

  it("after the end the host's terminal echoes and edits lines again, and gets no stray input", async () => {
    const command = ["attach", "--", "sh", "-c", String.raw`printf '\033[6n\033[6nasked'`];
    const host = hostShell(command);
    const answers = answerLate(host);
    await host.see("back$");
    host.type("stty -a | tr -d '\\n'; echo; echo d''one\r");
    await host.see("done");
    const after = host.text.slice(host.text.indexOf("back$"));
    assert.match(after, / icanon.* echo /s);
    assert.ok(answers.count >= 2);
    assert.doesNotMatch(after, /24;80|62;22/);
    host.type("exit\r");
    await host.ended;
  });

  it("a revoked grant closes the terminal with a reason and exit code 3", async () => {
    const { token, id } = await lab.grant(["terminal.attach", "terminal.input"]);
    const screen = await attached(
      { env: { DOORWARD_TOKEN: token, DOORWARD_URL: `http://127.0.0.1:${lab.port}` } },
      ["shop"],
    );
    lab.authority.revoke(id, "laptop lost", "operator:ada");
    assert.equal((await screen.ended).exitCode, 3);
    assert.match(screen.text, /GRANT_REVOKED|revoked/);
  });

  it("an operation that the grant lacks is refused with exit code 3", async () => {
    const { token } = await lab.grant(["terminal.exec"]);
    const screen = lab.pty(["attach", "shop"], {
      env: { DOORWARD_TOKEN: token, DOORWARD_URL: `http://127.0.0.1:${lab.port}` },
    });
    assert.equal((await screen.ended).exitCode, 3);
  });

  it("when the bridge goes and comes back the terminal goes on, with nothing lost and nothing doubled", async () => {
    const screen = await attached();
    screen.type("for i in $(seq 1 40); do echo tick-$i-; sleep 0.1; done\r");
    await screen.see("tick-5-");
    await lab.stopBridge();
    await lab.guest.restartBridge();
    await pause(1000);
    await lab.startBridge();
    await screen.see("tick-40-");
    const ticks = [...screen.text.matchAll(/^tick-(\d+)-/gm)].map((match) => Number(match[1]));
    assert.deepEqual(
      ticks,
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
    assert.match(screen.text, /attached again/);
    screen.type("exit 0\r");
    assert.equal((await screen.ended).exitCode, 0);
  });

  it("what was lost while the bridge was away is told, output and keys alike", async () => {
    const screen = await attached();
    screen.type("stty -echo; read -r; seq 1 1000000; echo the-''end\r");
    await pause(300);
    await lab.stopBridge();
    await lab.guest.restartBridge();
    await screen.see("connection lost");
    const newest = async () => (await lab.guest.link.terminals(soon())).at(-1);
    using other = await Watcher.open(lab.guest.link, attaching((await newest())?.id ?? ""));
    screen.type("x".repeat(200_000));
    await screen.see("does not arrive");
    other.type("\r");
    await settled(async () => (await newest())?.offset ?? 0);
    await lab.startBridge();
    await screen.see(/bytes of output were lost/);
    assert.doesNotMatch(screen.text, /nothing is lost/);
    screen.pty.kill("SIGTERM");
    await screen.ended;
  });

  it("a viewer that does not read stays small, and Ctrl-C acts at once", async () => {
    const screen = await attached();
    screen.pty.pause();
    screen.type("yes | head -c 200M\r");
    await settled(async () =>
      (await lab.guest.link.terminals(soon())).reduce((sum, { offset }) => sum + offset, 0),
    );
    const rss = Number(
      /VmRSS:\s+(\d+)/.exec(
        execFileSync("cat", [`/proc/${screen.pty.pid}/status`], { encoding: "utf8" }),
      )?.[1],
    );
    assert.ok(rss < 250_000, `${rss} KiB`);
    const shown = screen.text.length;
    screen.type("\u0003");
    screen.pty.resume();
    screen.type("echo still-$((1+1))\r");
    await screen.see("still-2");
    const late = screen.text.length - shown;
    assert.ok(late < 16_000_000, `${late} bytes of 200 MB came after it`);
    screen.type("exit 0\r");
    await screen.ended;
  });

  it("what a machine calls its programs controls no terminal, as JSON neither", async () => {
    const command = "sh\u009b31m\u202e";
    const view = { id: "t_0", createdBy: null, kind: null, command, running: true, viewers: 0 };
    lab.answers.set("machines.terminals", () => ({ terminals: [view] }));
    const plain = await lab.run(["attach", "--list"]);
    const json = await lab.run(["attach", "--list", "--json"]);
    lab.answers.delete("machines.terminals");
    for (const { stdout } of [plain, json]) assert.doesNotMatch(stdout.toString(), /[\u0080-\u009f\u202e]/);
    assert.deepEqual(JSON.parse(json.stdout.toString()), { terminals: [view] });
  });

  it("an observer sees everything and types nothing", async () => {
    const screen = await attached();
    screen.type("echo see-$((2+2))\r");
    await screen.see("see-4");
    screen.type(DETACH);
    await screen.ended;
    const id = /--terminal (t_[a-z0-9]+)/.exec(screen.text)?.[1] ?? "";
    const watcher = lab.pty(["attach", "shop", "--observe", "--terminal", id]);
    await watcher.see("see-4");
    watcher.type("echo typed-$((3+3))\r");
    await pause(500);
    assert.doesNotMatch(watcher.text, /typed-6/);
    watcher.type("\u0003");
    assert.equal((await watcher.ended).exitCode, 0);
  });

  it("who comes second is told that it watches, and how to take control", async () => {
    const screen = await attached();
    screen.type(DETACH);
    await screen.ended;
    const id = /--terminal (t_[a-z0-9]+)/.exec(screen.text)?.[1] ?? "";
    const first = lab.pty(["attach", "shop", "--terminal", id]);
    await first.see(/bash-[0-9.]+[#$] /);
    const second = lab.pty(["attach", "shop", "--terminal", id, "--detach-keys", "ctrl-p,ctrl-q"]);
    await second.see(new RegExp(`you watch; leave with ctrl-p ctrl-q, take it with: .*--take -t ${id}`));
    second.type("\u0010\u0011");
    assert.equal((await second.ended).exitCode, 0);
    const taker = lab.pty(["attach", "shop", "--take", "--terminal", id]);
    await first.see("another viewer controls the terminal now");
    taker.type("echo taken-$((4+4))\r");
    await taker.see("taken-8");
    assert.doesNotMatch(taker.text, /you watch/);
    taker.type("exit 0\r");
    await Promise.all([taker.ended, first.ended]);
  });

  it("without a terminal it passes input on and prints output", async () => {
    const ran = await lab.run(["attach", "--", "cat"], { input: "line\n" });
    assert.equal(ran.code, 0);
    assert.match(ran.stdout.toString(), /line/);
  });

  const refused: readonly (readonly [readonly string[], string])[] = [
    [["attach", "--observe"], "--terminal"],
    [["attach", "--terminal", "x y"], "--terminal"],
    [["attach", "--terminal", "t_0123456789", "--", "ls"], "--terminal"],
    [["attach", "--detach-keys", "nope", "shop"], "--detach-keys"],
    [["attach", "Shop"], "machine"],
    [["attach", "--cwd", "relative"], "--cwd"],
  ];
  for (const [args, field] of refused) {
    it(`${args.join(" ")} is refused with exit code 2`, async () => {
      const ran = await lab.run([...args, ...(args.includes("--") ? [] : ["--json"])]);
      assert.equal(ran.code, 2);
      if (!args.includes("--")) assert.equal(Problem.parse(JSON.parse(ran.stderr)).details?.["field"], field);
    });
  }
});

/** Answers a terminal's questions as a slow connection does: 60 ms later. */
function answerLate(screen: Screen): { count: number } {
  const answers = { count: 0 };
  const known: readonly [string, string][] = [
    [`${ESC}[6n`, `${ESC}[24;80R`],
    [`${ESC}[c`, `${ESC}[?62;22c`],
  ];
  screen.pty.onData((data) => {
    for (const [question, answer] of known) {
      const asked = data.split(question).length - 1;
      answers.count += asked;
      if (asked > 0) setTimeout(() => screen.type(answer.repeat(asked)), 60);
    }
  });
  return answers;
}

/** A shell of the host that runs the command and then shows its own prompt. */
function hostShell(args: readonly string[]): Screen {
  const quoted = args.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
  return lab.ptyOf("bash", [
    "--norc",
    "--noprofile",
    "-c",
    `"$DOORWARD" ${quoted}; PS1='back$ ' exec bash --norc --noprofile -i`,
  ]);
}
