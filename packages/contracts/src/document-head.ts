import * as z from "zod";

/** A URN of the estate whose type is one of the given slugs. */
export function urnOf(...slugs: readonly [string, ...string[]]): z.ZodString {
  const kind = slugs.length === 1 ? slugs[0] : `(?:${slugs.join("|")})`;
  return z
    .string()
    .max(300)
    .regex(new RegExp(`^urn:srcos:${kind}:[A-Za-z0-9._~-]+$`));
}

/** What every document begins with: its URN, its type and the version of the contract. */
export function documentHead<const Type extends string>(
  type: Type,
  ...slugs: readonly [string, ...string[]]
) {
  return {
    id: urnOf(...slugs).describe("URN of this document"),
    type: z.literal(type).describe("Type of the document"),
    specVersion: z.literal("0.1.0").describe("Version of the contract; another one is refused"),
  };
}

/** The profile that a document belongs to. */
export const AgentMachineProfileRef = urnOf("agent-machine-profile").describe(
  "URN of the AgentMachineProfile that it belongs to",
);

/** A decision that was made beforehand, in the estate's words: deny, ask the operator, or permit. */
export const DefaultDecision = z
  .enum(["deny", "ask", "permit"])
  .describe("deny, ask the operator, or permit");
export type DefaultDecision = z.infer<typeof DefaultDecision>;
