import { DoorwardError, type ReviewView, type RouteInput, type RouteResult } from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { MachineRecord, ReviewClones } from "../machines/life/index.ts";

/** Review mode as handlers and machines use it. */
export class Reviews implements ReviewClones {
  create(): Promise<{ readonly clone: string; readonly base: string }> {
    return Promise.reject(new DoorwardError({ code: "REVIEW_FAILED", message: "not there yet" }));
  }
  hasUnreviewed(_record: MachineRecord): Promise<boolean> {
    return Promise.resolve(false);
  }
  remove(_machineId: string): Promise<void> {
    return Promise.resolve();
  }
  show(_record: MachineRecord, _link: GuestLink, _signal: AbortSignal): Promise<readonly ReviewView[]> {
    return Promise.reject(new DoorwardError({ code: "REVIEW_FAILED", message: "not there yet" }));
  }
  bring(
    _record: MachineRecord,
    _body: RouteInput<"machines.bring">["body"],
  ): Promise<RouteResult<"machines.bring">> {
    return Promise.reject(new DoorwardError({ code: "REVIEW_FAILED", message: "not there yet" }));
  }
}
