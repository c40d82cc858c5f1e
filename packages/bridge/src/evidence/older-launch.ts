import { DEFAULT_EGRESS, HostProtections, predicateTypeOf } from "@doorward/contracts";
import * as z from "zod";

/** A launch record of a build whose fingerprint had no protections, no image manifest and no owners of mounts. */
const OlderLaunch = z.looseObject({
  predicateType: z.literal(predicateTypeOf("launch")),
  predicate: z.looseObject({
    fingerprint: z.looseObject({
      inputs: z.looseObject({
        image: z.looseObject({}),
        profile: z.looseObject({}),
        mounts: z.array(z.looseObject({})),
        host: z.looseObject({ nofile: z.unknown().optional(), nproc: z.unknown().optional() }),
        protections: z.undefined().optional(),
      }),
    }),
  }),
});

const unmeasured = Object.fromEntries(Object.keys(HostProtections.shape).map((name) => [name, false]));

/**
 * The statement of an older launch record in today's form: what it did not say is empty, and protections that it did not
 * measure are not claimed. The signed bytes stay what they are. Null for any other statement.
 */
export function olderLaunch(statement: unknown): unknown {
  const parsed = OlderLaunch.safeParse(statement);
  if (!parsed.success) return null;
  const { predicate } = parsed.data;
  const { inputs } = predicate.fingerprint;
  const { nofile: _nofile, nproc: _nproc, ...host } = inputs.host;
  const upgraded = {
    hide: [],
    ...inputs,
    image: { digest: "", ...inputs.image },
    profile: { egress: DEFAULT_EGRESS, secrets: [], ...inputs.profile },
    mounts: inputs.mounts.map((mount) => ({ owner: null, ...mount })),
    host,
    protections: unmeasured,
  };
  return {
    ...parsed.data,
    predicate: { ...predicate, fingerprint: { ...predicate.fingerprint, inputs: upgraded } },
  };
}
