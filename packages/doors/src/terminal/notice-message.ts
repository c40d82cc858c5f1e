import type { WireNotice } from "@doorward/contracts";
import type { DoorNotice } from "../door.ts";

const KINDS: ReadonlyMap<string, WireNotice["notice"]> = new Map([
  ["GRANT_EXPIRES", "grant-expires"],
  ["MACHINE_EXPIRES", "machine-expires"],
  ["BRIDGE_STOPPING", "bridge-stopping"],
]);

/** The message that tells a client of a notice. */
export function noticeMessage(notice: DoorNotice): WireNotice {
  return {
    type: "notice",
    notice: KINDS.get(notice.code) ?? "message",
    message: notice.message.slice(0, 1000),
  };
}
