// What of OpenClaw's plugin SDK is used here; openclaw/plugin-sdk/sandbox has no types of its own.
declare module "openclaw/plugin-sdk/sandbox" {
  export function registerSandboxBackend(id: string, registration: object): () => void;
  export function createRemoteShellSandboxFsBridge(params: {
    readonly sandbox: unknown;
    readonly runtime: object;
  }): object;
  export function buildRemoteWorkdirValidationCommand(params: {
    readonly workdir: string;
    readonly root: string;
  }): string;
}

declare module "openclaw/plugin-sdk/plugin-entry" {
  export interface PluginApi {
    readonly pluginConfig?: unknown;
    readonly registrationMode: string;
    readonly logger: { info(message: string): void; warn(message: string): void };
    readonly lifecycle: {
      registerRuntimeLifecycle(lifecycle: {
        readonly id: string;
        cleanup(event: {
          readonly reason: string;
          readonly sessionKey?: string;
          readonly runId?: string;
        }): void | Promise<void>;
      }): void;
    };
    registerService(service: { readonly id: string; start(): void; stop(): Promise<void> }): void;
  }
  export function definePluginEntry(entry: {
    readonly id: string;
    readonly name: string;
    readonly description: string;
    register(api: PluginApi): void;
  }): object;
}
