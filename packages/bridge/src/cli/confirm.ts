import { createInterface } from "node:readline/promises";
import type { Cli } from "./cli.ts";

/** Whether a person can be asked: there is a terminal to ask on and to answer from. */
export function canAsk(cli: Cli): boolean {
  return cli.stdin.isTTY === true && cli.stderr.isTTY === true;
}

/** Asks a yes-or-no question on the terminal; anything but yes is no, and so is Ctrl-C. */
export async function confirm(cli: Cli, question: string): Promise<boolean> {
  const ask = createInterface({ input: cli.stdin, output: cli.stderr });
  try {
    const answer = await ask.question(`${question} [y/N] `, { signal: cli.signal });
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    ask.close();
  }
}
