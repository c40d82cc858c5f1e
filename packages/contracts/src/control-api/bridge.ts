import * as z from "zod";
import { Timestamp } from "../text.ts";
import { route } from "./route.ts";

/** The bridge's own state. */
export const BridgeStatus = z.strictObject({
  version: z.string().max(40).describe("Version of the bridge"),
  build: z.string().max(80).describe("Digest of the build, compared with the command's"),
  pid: z.int().describe("Process id"),
  startedAt: Timestamp,
  installationId: z.string().max(60).describe("Id of this installation"),
  stateDir: z.string().max(4096).describe("State folder"),
  socket: z.string().max(200).describe("Unix socket"),
  tcp: z
    .strictObject({ port: z.int(), state: z.enum(["listening", "off", "taken"]) })
    .describe("Loopback TCP"),
  ready: z.boolean().describe("Whether machines can be launched"),
  problems: z.array(z.string().max(1000)).max(20).describe("What keeps it from working fully"),
  machines: z.int().describe("Running machines"),
  sockets: z.int().describe("Open door sockets"),
  memoryBytes: z.int().describe("Resident memory of the bridge"),
});
export type BridgeStatus = z.infer<typeof BridgeStatus>;

/** Routes of the bridge itself. */
export const BRIDGE_ROUTES = {
  "bridge.health": route({
    method: "GET",
    path: "/healthz",
    access: "public",
    summary: "Whether the process lives",
    result: z.strictObject({ status: z.literal("ok") }),
  }),
  "bridge.ready": route({
    method: "GET",
    path: "/readyz",
    access: "public",
    summary: "Whether machines can be launched; 503 until then",
    result: z.strictObject({ ready: z.boolean() }),
  }),
  "bridge.openapi": route({
    method: "GET",
    path: "/v1/openapi.json",
    access: "public",
    summary: "This API as OpenAPI 3.1",
    result: z.record(z.string(), z.unknown()),
  }),
  "bridge.status": route({
    method: "GET",
    path: "/v1/bridge",
    access: "operator",
    summary: "State of the bridge",
    result: BridgeStatus,
  }),
  "bridge.stop": route({
    method: "POST",
    path: "/v1/bridge/stop",
    access: "operator",
    summary: "Stop the bridge; machines keep running",
    result: z.strictObject({ stopping: z.literal(true) }),
  }),
} as const;
