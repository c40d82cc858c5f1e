export { HostClipboard } from "./host-clipboard.ts";
export type { HostClipboardOptions } from "./host-clipboard.ts";
