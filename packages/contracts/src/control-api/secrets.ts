import * as z from "zod";
import { SecretName, SecretValue } from "../secrets.ts";
import { Timestamp } from "../text.ts";
import { route } from "./route.ts";

/** A secret as the control API shows it; its value is never shown. */
export const SecretView = z.strictObject({
  name: SecretName,
  setAt: Timestamp.describe("When its value was last set"),
  usedBy: z
    .array(z.string().max(100))
    .max(2000)
    .describe("What is bound to it: machine NAME, or profile NAME"),
});
export type SecretView = z.infer<typeof SecretView>;

const BySecret = z.strictObject({ secret: SecretName });

/** Routes of secrets: names come out, values only go in. */
export const SECRET_ROUTES = {
  "secrets.list": route({
    method: "GET",
    path: "/v1/secrets",
    access: "operator",
    summary: "Names of secrets",
    result: z.strictObject({ secrets: z.array(SecretView).max(1000) }),
  }),
  "secrets.set": route({
    method: "POST",
    path: "/v1/secrets/{secret}",
    access: "operator",
    summary: "Set the value of a secret, or replace it",
    params: BySecret,
    body: z.strictObject({ value: SecretValue }),
    result: z.strictObject({
      secret: SecretView,
      replaced: z.boolean().describe("Whether it had a value before"),
    }),
  }),
  "secrets.remove": route({
    method: "DELETE",
    path: "/v1/secrets/{secret}",
    access: "operator",
    summary: "Delete a secret; refused while a machine uses it, unless forced",
    params: BySecret,
    query: z.strictObject({ force: z.enum(["true", "false"]).optional() }),
    result: z.strictObject({ removed: SecretName }),
  }),
} as const;
