import { setMaxListeners } from "node:events";
import type { DoorwardError } from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { Logger } from "pino";
import type { EgressFront, EgressMachine } from "./ports.ts";

interface Served {
  readonly listening: Disposable;
  readonly over: AbortController;
}

/** Machines whose connections out are served: what their guests hand over goes to the front until they end. */
export class Serving {
  readonly #machines = new Map<string, Served>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Ids of all that are served. */
  get ids(): readonly string[] {
    return [...this.#machines.keys()];
  }

  /** Serves a machine; one of the same id was stopped before. */
  start(machine: EgressMachine, link: Pick<GuestLink, "onEgress">, front: EgressFront): void {
    const over = new AbortController();
    // Each connection of the machine listens.
    setMaxListeners(0, over.signal);
    const listening = link.onEgress((stream) => {
      front.serve(stream, machine, over.signal).catch((error: unknown) => {
        stream.destroy();
        this.#log.debug({ err: error, machine: machine.id }, "egress: a connection failed");
      });
    });
    this.#machines.set(machine.id, { listening, over });
  }

  /** Ends a machine's connections for this reason and takes no more of them. */
  stop(machineId: string, reason: DoorwardError): void {
    const served = this.#machines.get(machineId);
    this.#machines.delete(machineId);
    served?.listening[Symbol.dispose]();
    served?.over.abort(reason);
  }

  /** Ends when the machine is served no more; undefined when it is not. */
  signalOf(machineId: string): AbortSignal | undefined {
    return this.#machines.get(machineId)?.over.signal;
  }
}
