import { createRequire } from "node:module";

/** The part of koffi's native module that is used: it calls functions of the C library. */
interface Ffi<Call> {
  load(library: string): { func(declaration: string): Call };
}

/** A function of the C library by its declaration in C; throws where koffi's native module can't be loaded. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- only the declaration in C says what it is
export function loadFfi<Call>(path: string, declaration: string): Call {
  const ffi: unknown = createRequire(import.meta.url)(path);
  if (!isFfi<Call>(ffi)) throw new TypeError(`"${path}" is not koffi's native module`);
  return ffi.load("libc.so.6").func(declaration);
}

function isFfi<Call>(value: unknown): value is Ffi<Call> {
  return typeof value === "object" && value !== null && "load" in value && typeof value.load === "function";
}
