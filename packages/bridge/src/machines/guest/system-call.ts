import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { loadFfi } from "@doorward/guest";

/** A function of the C library by its declaration in C, for what Node has no call for; throws where koffi can't be loaded. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- only the declaration in C says what it is
export function systemCall<Call>(declaration: string): Call {
  const entry = fileURLToPath(import.meta.resolve("@doorward/guest"));
  const name = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
  return loadFfi<Call>(createRequire(entry).resolve(name), declaration);
}
