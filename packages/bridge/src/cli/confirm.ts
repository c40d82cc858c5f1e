import { createInterface } from "node:readline/promises";
import type { Cli } from "./cli.ts";

/** Whether a person can be asked: there is a terminal to ask on and to answer from. */
export function canAsk(cli: Cli): boolean {
  return cli.stdin.isTTY === true && cli.stderr.isTTY === true;
}

/** Asks a yes-or-no question on the terminal; anything but yes is no, Ctrl-D too. Ctrl-C ends the whole command. */
export async function confirm(cli: Cli, question: string): Promise<boolean> {
  const ask = createInterface({ input: cli.stdin, output: cli.stderr });
  // A terminal that asks gets Ctrl-C as a key: the command has it as the signal that it would have been.
  ask.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const answer = await ask.question(`${question} [y/N] `, { signal: cli.signal });
    return /^y(?:es)?$/i.test(answer.trim());
  } catch (error) {
    if (cli.signal.aborted) throw error;
    return false;
  } finally {
    ask.close();
  }
}
