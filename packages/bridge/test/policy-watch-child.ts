import { PolicyFile } from "../src/policy/index.ts";

const [, , dir = ""] = process.argv;
const policy = await PolicyFile.load({ configDir: dir, stateDir: dir, runtimeDir: dir, home: dir });
policy.onEvent((event) => {
  process.stdout.write(`${event.kind}\n`);
  process.exit(0);
});
const { signal } = new AbortController();
await policy.watch(signal);
process.stdout.write("watching\n");
setInterval(() => undefined, 1000);
