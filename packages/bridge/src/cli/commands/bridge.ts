import { connect } from "@doorward/client";
import type { Command } from "commander";
import { buildId } from "../../build-id.ts";
import { bridgeGone, bridgePlace, probeBridge } from "../bridge-process.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { leaf, type Run } from "../run.ts";
import { fields } from "../table.ts";
import { ago, size } from "../times.ts";

const HOST_NOT_READY = 5;

/** `doorward bridge`. */
export function defineBridge(command: Command, cli: Cli): void {
  command.addHelpText("after", "\nExamples:\n  doorward bridge status\n  doorward bridge restart");
  leaf(
    command.command("status").description("show the bridge's state; exits 5 when it does not run"),
    cli,
    ["doorward bridge status"],
    status,
  );
  leaf(
    command.command("restart").description("stop and start the bridge; machines and terminals live on"),
    cli,
    ["doorward bridge restart"],
    async (run, args, options) => {
      await stop(run);
      await run.client({ ready: true });
      return status(run, args, options);
    },
  );
  leaf(
    command.command("stop").description("stop the bridge; machines keep running"),
    cli,
    ["doorward bridge stop"],
    async (run) => {
      const stopped = await stop(run);
      run.output.result({ stopped }, () =>
        stopped ? "The bridge is stopped; machines keep running" : "The bridge was not running",
      );
      return 0;
    },
  );
}

async function status(run: Run, _args: readonly unknown[], _options: unknown): Promise<number> {
  const { socket } = bridgePlace(run.cli.env);
  if ((await probeBridge(socket)) === "absent") {
    run.output.result({ running: false, socket }, () => `The bridge is not running (${escapeLine(socket)})`);
    return HOST_NOT_READY;
  }
  await using client = connect({ socketPath: socket });
  const state = await client.call("bridge.status", {}, { signal: run.cli.signal });
  run.output.result(state, () =>
    fields([
      ["bridge", `${state.version}, pid ${state.pid}, started ${ago(state.startedAt)}`],
      ["build", state.build === buildId() ? state.build : `${state.build} (this command: ${buildId()})`],
      ["ready", state.ready ? "yes" : "no"],
      ["socket", state.socket],
      ["tcp", `127.0.0.1:${state.tcp.port}, ${state.tcp.state}`],
      ["state", state.stateDir],
      ["machines", `${state.machines} running, ${state.sockets} open sockets`],
      ["memory", size(state.memoryBytes)],
      ...state.problems.map((problem) => ["problem", problem] as const),
    ]),
  );
  return 0;
}

async function stop(run: Run): Promise<boolean> {
  const place = bridgePlace(run.cli.env);
  if ((await probeBridge(place.socket)) === "absent") return false;
  await using client = connect({ socketPath: place.socket });
  await client.call("bridge.stop", {}, { signal: run.cli.signal });
  if (await bridgeGone(place)) return true;
  const { DoorwardError } = await import("@doorward/contracts/errors");
  throw new DoorwardError({
    code: "TIMED_OUT",
    message: "Cannot stop the bridge: it still answers",
    hint: "doorward bridge status",
  });
}
