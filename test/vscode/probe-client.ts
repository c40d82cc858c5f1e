import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The extension that is asked. */
export const probeFolder = fileURLToPath(new URL("probe/", import.meta.url));

/** What VS Code knows of a tool. */
export interface KnownTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema?: { readonly properties?: Readonly<Record<string, unknown>> };
}

/** Asks the probe in a VS Code what an extension sees there, and what its calls of tools answer. It is also a model for VS Code's own agent. */
export class Probe {
  readonly env: Readonly<Record<string, string>>;
  readonly #socketPath: string;

  /** Below a folder; VS Code has to be started with its `env`. */
  constructor(folder: string) {
    this.#socketPath = join(folder, "probe.sock");
    this.env = { DOORWARD_TEST_PROBE: this.#socketPath };
  }

  /** Whether VS Code's own agent runs; false also while the probe does not. */
  async agentRuns(): Promise<boolean> {
    return (await this.#ask({ ask: "agent" }).catch(() => false)) === true;
  }

  /** Tools whose names begin with something. */
  async tools(prefix: string): Promise<readonly KnownTool[]> {
    const all = (await this.#ask({ ask: "tools" })) as readonly KnownTool[];
    return all.filter(({ name }) => name.startsWith(prefix));
  }

  /** Calls a tool; answers its text, and throws the error that VS Code has for it. */
  async call(name: string, input: object): Promise<string> {
    return ((await this.#ask({ ask: "call", name, input })) as readonly string[]).join("\n");
  }

  async #ask(body: object): Promise<unknown> {
    const { answer, error } = await this.#post(JSON.stringify(body));
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  #post(body: string): Promise<{ answer?: unknown; error?: string }> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socketPath, method: "POST" }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.once("error", reject);
        response.once("end", () => resolve(JSON.parse(text) as { answer?: unknown; error?: string }));
      });
      asked.once("error", reject);
      asked.end(body);
    });
  }
}
