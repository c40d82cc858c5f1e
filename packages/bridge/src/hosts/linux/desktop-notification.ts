import type { Notifier } from "../../approvals/index.ts";
import { runCommand } from "./run-command.ts";

const TIMEOUT_MS = 3_000;

/** Desktop notifications through `notify-send`, where a desktop session is there to show them; null elsewhere. */
export function desktopNotifier(env: Readonly<Record<string, string | undefined>>): Notifier | null {
  const desktop = env["WAYLAND_DISPLAY"] ?? env["DISPLAY"] ?? env["DBUS_SESSION_BUS_ADDRESS"];
  if (desktop === undefined || desktop === "") return null;
  return {
    notify: async (title, body) => {
      const words = ["--app-name=Doorward", "--urgency=critical", "--", `Doorward: ${title}`, markup(body)];
      const { code, stderr } = await runCommand("notify-send", words, {
        env: { ...env },
        timeoutMs: TIMEOUT_MS,
      });
      if (code !== 0) throw new Error(`notify-send: ${stderr.slice(0, 200)}`);
    },
  };
}

/** The body may hold markup; what machines have a say in must not. */
function markup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
