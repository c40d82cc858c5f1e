import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A port of loopback that nobody had a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** Whether somebody accepts connections at a port of loopback. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => socket.end(() => resolve(true))).once("error", () => resolve(false));
  });
}

/** Waits until somebody accepts connections at a port of loopback; throws after five seconds. */
export async function untilAnswers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (await answers(port)) return;
    await delay(25);
  }
  throw new Error(`Cannot reach port ${String(port)}: nobody listens`);
}
