export { HostsFile } from "./hosts-file.ts";
export type { HostsFileOptions } from "./hosts-file.ts";
