export type { Documents } from "./documents.ts";
export { Store, type StoreOptions } from "./store.ts";
