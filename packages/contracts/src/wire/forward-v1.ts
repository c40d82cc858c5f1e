import * as z from "zod";
import { SessionId } from "../text.ts";
import { WireError, WireNotice } from "./common.ts";

/** WebSocket subprotocol of a forwarded port: one socket for one connection. */
export const FORWARD_PROTOCOL = "doorward.forward.v1";

/** A port of the machine's own loopback. */
export const ForwardPort = z.int().min(1).max(65_535).describe("Port of the machine's loopback");

/** First message of the client: the port. There is no host to name: it is the machine's loopback, always. */
export const ForwardDial = z.strictObject({
  type: z.literal("dial").describe("Kind of message"),
  port: ForwardPort,
});
export type ForwardDial = z.infer<typeof ForwardDial>;

/** Every text message that a client of `doorward.forward.v1` may send; binary messages are the connection's bytes. */
export const ForwardClientMessage = z.discriminatedUnion("type", [
  ForwardDial,
  z.strictObject({ type: z.literal("end").describe("No more bytes follow from this side") }),
]);
export type ForwardClientMessage = z.infer<typeof ForwardClientMessage>;

/** Every text message that the door may send on `doorward.forward.v1`; binary messages are the connection's bytes. */
export const ForwardServerMessage = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("dialled").describe("Kind of message"),
    session: SessionId.describe("Id of this session, also in evidence"),
  }),
  z.strictObject({ type: z.literal("end").describe("No more bytes follow from the machine") }),
  WireNotice,
  WireError,
]);
export type ForwardServerMessage = z.infer<typeof ForwardServerMessage>;
