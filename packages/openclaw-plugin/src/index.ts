import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { registerSandboxBackend } from "openclaw/plugin-sdk/sandbox";
import { parsePluginConfig } from "./plugin-config.ts";
import { BACKEND_ID } from "./sandbox-backend.ts";
import { SandboxRegistration } from "./sandbox-registration.ts";

// eslint-disable-next-line no-restricted-syntax -- OpenClaw loads a plugin by its default export
export default definePluginEntry({
  id: BACKEND_ID,
  name: "Doorward machines",
  description:
    "Runs OpenClaw's own exec, read, write and edit in an isolated Doorward machine, under a grant.",
  register(api) {
    if (api.registrationMode !== "full") return;
    const sandboxes = new SandboxRegistration(parsePluginConfig(api.pluginConfig));
    const unregister = registerSandboxBackend(BACKEND_ID, sandboxes.registration());
    api.lifecycle.registerRuntimeLifecycle({
      id: "doorward-sandbox",
      cleanup: ({ reason, sessionKey, runId }) => {
        if (sessionKey !== undefined || runId !== undefined) return;
        if (reason === "disable" || reason === "restart") unregister();
      },
    });
    api.registerService({
      id: "doorward-grants",
      start: () => undefined,
      stop: () => sandboxes[Symbol.asyncDispose](),
    });
  },
});
