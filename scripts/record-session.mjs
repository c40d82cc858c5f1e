// Types the first session into a shell of a pseudo-terminal and writes what is seen as asciicast v2. See record-session.sh.
import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { setTimeout as later } from "node:timers";
import { setTimeout as delay } from "node:timers/promises";
import pty from "node-pty";

const COLS = 100;
const ROWS = 30;
/** What takes longer is played faster, so that nobody waits for an image to be built. */
const PATIENCE_S = 3;
const FASTER = 10;
const PROMPT = "\u001b]133;A\u0007";
const STEP_LIMIT_MS = 15 * 60_000;

const events = [];
const began = Math.floor(Date.now() / 1000);
let [played, seenAt, stepAt] = [0, performance.now(), performance.now()];
let screen = "";
let wake = () => {};

const shell = pty.spawn("bash", ["--norc", "--noprofile"], {
  ...{ cols: COLS, rows: ROWS, cwd: `${process.env.HOME}/doorward` },
  env: { ...process.env, PS1: `\\[${PROMPT}\\]\\[\\e[1;32m\\]\\w\\[\\e[0m\\] $ `, PS2: "> ", HISTFILE: "" },
});
shell.onData((data) => {
  const now = performance.now();
  const slow = (now - stepAt) / 1000 > PATIENCE_S;
  const passed = (now - seenAt) / 1000 / (slow ? FASTER : 1);
  const spinner = /^(?:\r\u001b\[2K)*[\u2800-\u28ff] [^\r\n]*$/u.test(data);
  screen += data;
  wake();
  // A frame that nobody could see: the next one clears the line.
  if (spinner && passed < 0.08) return;
  seenAt = now;
  played += passed;
  const shown = data.replaceAll(PROMPT, "");
  if (shown !== "") events.push([Number(played.toFixed(3)), "o", shown]);
});

/** Waits until what came since the last step has `wanted`, and returns its match. */
async function see(wanted) {
  const until = Date.now() + STEP_LIMIT_MS;
  for (;;) {
    const found = wanted.exec(screen);
    if (found !== null) return found;
    if (Date.now() > until) throw new Error(`never seen: ${wanted}\n${screen}`);
    await new Promise((resolve) => {
      wake = resolve;
      later(resolve, 1000).unref();
    });
  }
}

/** Types as a person does, and forgets what was on the screen before the last key. */
async function type(text, end = "\r") {
  for (const key of text) {
    stepAt = performance.now();
    shell.write(key);
    await delay(key === "\r" ? 300 : 25);
  }
  await delay(400);
  screen = "";
  stepAt = performance.now();
  shell.write(end);
}

const prompt = /\u001b\]133;A\u0007/;
const inMachine = /agent@[a-z]+:[^$]*\$ /;
const reading = () => delay(1500);

/** A command of the host's shell, and its output. */
async function run(command) {
  await type(command);
  await see(prompt);
  const output = screen;
  stepAt = performance.now();
  await reading();
  return output;
}

/** A command in the terminal that is open in a machine. */
async function within(command) {
  await type(command);
  await see(inMachine);
  await delay(800);
}

await see(prompt);
await type("./quickstart --yes");
await see(inMachine);
stepAt = performance.now();
await within("id; ls /sys/class/net");
await type("exit");
await see(prompt);
stepAt = performance.now();
await reading();

await run('ln -s "$PWD/packages/bridge/bin/doorward.js" ~/bin/doorward; cd ~/src/shop; clear');
await run(
  "# new files of an agent wait for you\rcat >>~/.config/doorward/policy.yaml <<E\rprofiles:\r  default:\r    doors: { agent-tool: { approvalRequired: [write_file] } }\rE",
);
await type("doorward up");
await see(/\[y\/N\] /);
await type("y");
await see(prompt);
await reading();

await type("doorward attach");
await see(inMachine);
await reading();
await within("npm test");
await type("(sleep 2; echo still here) &");
await see(inMachine);
await type("\u001d", "d");
await see(prompt);
await reading();
await run(`doorward exec -- sh -c 'echo evil > .git/hooks/pre-commit; unshare -Ur id'`);
await run("doorward up ~/.ssh");

await run("clear; doorward grant create --to ci:nightly --op terminal.exec --for 2h --allow");
await run("doorward connect codex --allow --write");
await run("clear; # a script in the place of Codex, with what is now in its configuration");
await run("agent &");
const [id] = await see(/a_[a-z0-9]{16}/);
await run("");
await run("doorward action ls");
await type(`doorward action approve ${id}`);
await see(/\[y\/N\] /);
await reading();
await type("y");
await see(/was answered/);
await run("");
await run("cat notes.md");

await run("clear; doorward exec -- curl -sS https://registry.npmjs.org/left-pad");
await run("doorward egress ls shop");
await run("doorward egress allow shop registry.npmjs.org --for 1h");
await run("doorward egress ls shop");

await run("clear; doorward evidence ls -n 12");
await run("doorward evidence verify");
const header = {
  version: 2,
  width: COLS,
  height: ROWS,
  timestamp: began,
  title: "Doorward, the first session",
};
const lines = [{ ...header, env: { TERM: "xterm-256color", SHELL: "/bin/bash" } }, ...events];
writeFileSync(process.argv[2] ?? "session.cast", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
process.exit(0);
