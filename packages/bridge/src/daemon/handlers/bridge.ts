import { DoorwardError } from "@doorward/contracts";
import { buildId, version } from "../../build-id.ts";
import { openApiDocument, type Handlers } from "../../gateway/index.ts";
import { withWitnesses } from "../evidence-views.ts";
import type { HandlerSources } from "./index.ts";

type BridgeHandlers = Pick<Handlers, Extract<keyof Handlers, `bridge.${string}` | `host.${string}`>>;

/** Handlers of the routes about the bridge itself and its host. */
export function bridgeHandlers(sources: HandlerSources): BridgeHandlers {
  const { bridge, folders, machines, engine, gateway, stop } = sources;
  const build = buildId();
  return {
    "bridge.health": () => Promise.resolve({ status: "ok" }),
    "bridge.ready": () => {
      if (bridge.ready) return Promise.resolve({ ready: true });
      const [problem] = bridge.problems();
      throw (
        problem ??
        new DoorwardError({ code: "BRIDGE_STARTING", message: "The bridge is still adopting its machines" })
      );
    },
    "bridge.openapi": () => Promise.resolve(openApiDocument(version())),
    "bridge.status": () => {
      const { tcp, sessions } = gateway();
      const running = machines.value?.list().filter((record) => record.state === "running").length ?? 0;
      return Promise.resolve({
        version: version(),
        build,
        pid: process.pid,
        startedAt: bridge.startedAt,
        installationId: bridge.installation,
        stateDir: folders.state,
        socket: bridge.socket,
        tcp: { port: tcp.port, state: tcp.state },
        ready: bridge.ready,
        problems: bridge
          .problems()
          .map(({ message, hint }) => (hint === undefined ? message : `${message} (${hint})`).slice(0, 1000)),
        machines: running,
        sockets: sessions.count,
        memoryBytes: process.memoryUsage.rss(),
      });
    },
    "bridge.stop": () => {
      setImmediate(stop);
      return Promise.resolve({ stopping: true });
    },
    "host.facts": async () => withWitnesses((await engine.get()).facts, sources.evidence.witnesses),
  };
}
