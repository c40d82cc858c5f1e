export { ScopedFiles } from "./scoped-files.ts";
export type { ScopedFilesOptions } from "./scoped-files.ts";
export type { InterruptedFiles } from "./journal.ts";
