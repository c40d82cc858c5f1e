// A bridge of its own: listens at the given path, creates a terminal that counts, and writes its output to stdout.
import { GuestTerminal } from "@doorward/guest";
import { listenForGuest } from "../src/machines/guest/index.ts";
import { creating, quiet, soon } from "./guest-harness.ts";

const [socketPath = ""] = process.argv.slice(2);
const script =
  "stty -echo; for ((i = 0; i < 400; i++)); do echo line $i; sleep 0.005; done; echo END; read x";
const link = await listenForGuest({ socketPath, log: quiet });
await link.ready(soon());
const terminal = await GuestTerminal.open(link, creating({ argv: ["bash", "-c", script] }), soon());
terminal.listen({
  output: (bytes) => process.stdout.write(bytes),
  gap: () => undefined,
  role: () => undefined,
  size: () => undefined,
  exit: () => undefined,
  closed: () => undefined,
});
