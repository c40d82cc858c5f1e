import type { DoorwardClient } from "@doorward/client";
import { OutputTap, TERMINAL_SIZE, type BenchTerminal, type TerminalPeer } from "./terminal.ts";

/** Terminals of a machine through the client SDK on the bridge's socket: grants checked, sessions in evidence. */
export function doorwardPeer(client: DoorwardClient, machine: string): TerminalPeer {
  return { name: "doorward", open: (argv) => openTerminal(client, machine, argv) };
}

async function openTerminal(
  client: DoorwardClient,
  machine: string,
  argv: readonly string[],
): Promise<BenchTerminal> {
  const tap = new OutputTap();
  const session = await client.attachTerminal(machine, {
    argv,
    ...TERMINAL_SIZE,
    reconnectMs: 0,
    data: tap.push,
  });
  return {
    write: (keys) => {
      if (!session.write(Buffer.from(keys))) throw new Error("The terminal did not take a keystroke");
    },
    onData: (listener) => tap.listen(listener),
    ended: session.done.then((end) => {
      if (end.kind === "closed") throw end.error;
    }),
    async [Symbol.asyncDispose]() {
      session.write(Buffer.from("\x03\x04"));
      await Promise.race([session.done, new Promise((resolve) => setTimeout(resolve, 500))]);
      session.detach();
    },
  };
}
