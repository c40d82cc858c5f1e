import * as z from "zod";
import { pendingFields } from "../pending-answer.ts";
import { defineTool } from "../tool.ts";
import { untilAsked } from "./until-asked.ts";

const Output = z.strictObject({
  ...pendingFields,
  status: z.enum(["pending", "answered"]).describe("pending: the operator has not decided yet"),
  message: z.string().describe("What became of it"),
});

const Input = z.strictObject({
  host: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9._-]+$/)
    .describe("Name of the host, e.g. registry.npmjs.org"),
  port: z.int().min(1).max(65_535).default(443).describe("Port; 443 when absent"),
  reason: z.string().min(1).max(500).describe("Why you need it; the operator reads it"),
});

/** Asks the operator to let the machine reach a host. */
export const requestEgress = defineTool({
  name: "request_egress",
  title: "Ask for network access",
  description:
    "Asks the operator to let this machine reach one host of the internet. Use it when a program could not reach a host. " +
    "It answers at once with a pending handle; check_approval tells the decision.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: ({ host, port, reason }, call) =>
    untilAsked(call, async (asked, signal) => {
      const { host: bridge } = call.session.door;
      const message = await bridge.requestEgress({ host, port, reason }, signal, asked);
      return { structured: { status: "answered" as const, message }, text: message };
    }),
});
