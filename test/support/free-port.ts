import { once } from "node:events";
import { createServer } from "node:net";

const [FIRST, COUNT] = [10_000, 20_000];
let tried = 0;

/**
 * A loopback port that nobody listens on. It lies below those that systems give away by themselves, and apart from those
 * of tests that run at the same time: it is still free when it is used.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    tried += 1;
    const port = FIRST + ((process.pid * 31 + tried) % COUNT);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    await new Promise((resolve) => server.close(resolve));
    return true;
  } catch {
    return false;
  }
}
