export { listenForGuest, type GuestListenOptions } from "./listen-for-guest.ts";
export {
  ensureGuestRuntime,
  pruneGuestRuntimes,
  type GuestRuntimeFolder,
  type GuestRuntimeOptions,
} from "./runtime.ts";
