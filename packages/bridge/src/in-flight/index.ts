export { IN_FLIGHT_LIMITS, InFlight, type InFlightLimits } from "./in-flight.ts";
export type { LostRecord } from "./notes.ts";
export { isOver, isRefused, recordLost } from "./record-lost.ts";
