import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Lab } from "../../test/support/lab.ts";
import { openPty } from "./pty.ts";
import type { TerminalPeer } from "./terminal.ts";

const run = promisify(execFile);

/** The Podman command on the same storage and configuration as the bridge's own service. */
export class PodmanCommand {
  readonly env: Readonly<Record<string, string>>;
  readonly #places: readonly string[];

  constructor(lab: Lab) {
    const state = join(lab.home, "state", "podman");
    const graph = join(readFileSync(join(state, "storage-folder"), "utf8"), "storage");
    const folder = readFileSync(join(state, "run-folder"), "utf8");
    this.#places = [
      ...["--root", graph, "--runroot", join(folder, "storage"), "--tmpdir", join(folder, "libpod")],
      ...["--storage-opt", `overlay.imagestore=${lab.env["DOORWARD_IMAGE_STORE"] ?? ""}`],
    ];
    this.env = {
      ...lab.env,
      CONTAINERS_CONF: join(state, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(state, "storage.conf"),
    };
  }

  /** The whole command line. */
  argv(...args: readonly string[]): string[] {
    return ["podman", ...this.#places, ...args];
  }

  /** Runs it to its end; answers what it printed. */
  async run(...args: readonly string[]): Promise<string> {
    const [program = "", ...rest] = this.argv(...args);
    return (await run(program, rest, { env: this.env })).stdout.trim();
  }
}

/** `podman exec -it` in the same container. */
export function podmanPeer(podman: PodmanCommand, container: string): TerminalPeer {
  return {
    name: "podman exec -it",
    open: (argv) => Promise.resolve(openPty(podman.argv("exec", "-it", container, ...argv), podman.env)),
  };
}
