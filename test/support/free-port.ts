import { once } from "node:events";
import { createServer, type ListenOptions, type Server } from "node:net";

const [FIRST, COUNT] = [10_000, 20_000];
const taken: Server[] = [];
let tried = 0;

/**
 * A loopback port that nobody listens on. It lies below those that systems give away by themselves, and no other test
 * that runs at the same time is given it until this process ends: it is still free when it is used, and when it is used
 * again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    tried += 1;
    const port = FIRST + ((process.pid * 31 + tried) % COUNT);
    if ((await isFree(port)) && (await isOurs(port))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listening({ port, host: "127.0.0.1" });
  if (server === null) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** Takes a name for it that Linux gives to one process, and has back at its end however that comes. */
async function isOurs(port: number): Promise<boolean> {
  if (process.platform !== "linux") return true;
  const name = await listening({ path: `\0doorward-test-port-${String(port)}` });
  if (name !== null) taken.push(name.unref());
  return name !== null;
}

async function listening(options: ListenOptions): Promise<Server | null> {
  const server = createServer().listen(options);
  try {
    await once(server, "listening");
    return server;
  } catch {
    return null;
  }
}
