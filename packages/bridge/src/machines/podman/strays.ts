import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ownCommandLine, readText } from "../../hosts/linux/read-text.ts";
import { runCommand } from "../../hosts/linux/run-command.ts";
import type { EngineFolders } from "./engine-folders.ts";

/** A conmon of ours, which watches one container. */
interface Conmon {
  readonly pid: number;
  readonly containerId: string;
}

/**
 * Ends containers that Podman lost track of. When its service is killed while the runtime creates a container, the
 * container's first process and its conmon stay, and Podman's own removal does not see them.
 */
export class Strays {
  readonly #exitDir: string;
  readonly #runtime: string;

  constructor(folders: EngineFolders, runtimePath: string) {
    this.#exitDir = join(folders.tmpDir, "exits");
    this.#runtime = runtimePath;
  }

  /** Ends what is left of one removed container. */
  async endOne(containerId: string): Promise<void> {
    await this.#endAll(this.#conmons().filter((conmon) => conmon.containerId === containerId));
  }

  /** Ends every container of ours that is not among the ids that Podman knows as started. */
  async endUnknown(known: ReadonlySet<string>): Promise<void> {
    await this.#endAll(this.#conmons().filter(({ containerId }) => !known.has(containerId)));
  }

  async #endAll(conmons: readonly Conmon[]): Promise<void> {
    if (conmons.length === 0) return;
    const parents = childrenByParent();
    for (const { pid, containerId } of conmons) {
      const children = parents.get(pid) ?? [];
      // A conmon without children is on its way out by itself.
      if (children.length === 0) continue;
      await runCommand(this.#runtime, ["delete", "--force", containerId]);
      for (const child of children) kill(child);
    }
  }

  #conmons(): Conmon[] {
    return readdirSync("/proc").flatMap((name) => {
      const argv = /^\d+$/.test(name) ? ownCommandLine(Number(name)) : [];
      const containerId = argv[argv.indexOf("-c") + 1] ?? "";
      const ours = argv[0]?.endsWith("conmon") === true && argv.includes(this.#exitDir);
      return ours && /^[a-f0-9]{64}$/.test(containerId) ? [{ pid: Number(name), containerId }] : [];
    });
  }
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(readText(`/proc/${name}/status`) ?? "")?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  return children;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The runtime has ended it already.
  }
}
