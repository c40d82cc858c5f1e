export { listenForGuest, type GuestListenOptions } from "./listen-for-guest.ts";
