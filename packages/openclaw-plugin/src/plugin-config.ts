import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";

const PluginConfig = z.strictObject({
  machine: z.string().min(1).optional(),
  profile: z.string().min(1).optional(),
  ttl: z
    .string()
    .regex(/^[0-9]+[smhd]$/)
    .optional(),
  workdir: z.string().startsWith("/").optional(),
  grantFile: z.string().min(1).optional(),
  url: z.string().min(1).optional(),
  command: z.array(z.string().min(1)).min(1).optional(),
  home: z.string().startsWith("/").optional(),
});

/** What `plugins.entries.doorward.config` says; `openclaw.plugin.json` describes each part. */
export type PluginConfig = z.infer<typeof PluginConfig>;

/** Reads the plugin's configuration; throws INPUT_INVALID with the field's name. */
export function parsePluginConfig(given: unknown): PluginConfig {
  const parsed = PluginConfig.safeParse(given ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw wrong(issue?.path.map(String).join(".") ?? "", issue?.message ?? "unknown shape");
  }
  const config = parsed.data;
  if (config.grantFile !== undefined && config.machine === undefined)
    throw wrong("grantFile", `a grant is for one machine, so "machine" must name it`);
  if (config.url !== undefined && config.grantFile === undefined)
    throw wrong("url", `it goes with "grantFile"`);
  return config;
}

function wrong(field: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot use plugins.entries.doorward.config: "${field}" is wrong: ${why}`,
    details: { path: field },
  });
}
