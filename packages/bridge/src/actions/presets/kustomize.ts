import { oneOf, read, refuse, usualPlaces, valued } from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** The kustomize command line. */
export const KUSTOMIZE: PresetSpec = {
  summary: "version and the built-in schema; never a build",
  places: usualPlaces("kustomize"),
  scope: {
    interspersed: true,
    commands: [read("version", { flags: [valued("-o --output", oneOf("yaml json"))] }), read("openapi info")],
    timeoutSeconds: 45,
  },
  configuration: [".config/kustomize"],
  examples: ["version", "version -o json", "version --output=yaml", "version --output json", "openapi info"],
  refused: [
    ...refuse(
      "a build prints generated secrets, clones what it names and may run plugins",
      "build",
      "build /tmp/x",
      "build https://198.51.100.7/x",
      "build --enable-alpha-plugins --enable-exec /tmp/x",
      "build --enable-helm --helm-command /tmp/x /tmp/x",
      "build --enable-helm",
      "build --load-restrictor LoadRestrictionsNone /tmp/x",
      "localize /tmp/x",
    ),
    ...refuse(
      "it runs functions",
      "fn run /tmp/x",
      "fn run --enable-exec /tmp/x",
      "fn source /tmp/x",
      "cfg run /tmp/x",
    ),
    ...refuse(
      "it prints resources, secrets too",
      "cfg cat /tmp/x",
      "cfg grep kind=Secret /tmp/x",
      "cfg tree /tmp/x --field spec",
      "cfg tree --all /tmp/x",
    ),
    ...refuse("it changes files", "edit add resource x", "edit set image x=y", "create --autodetect"),
    ...refuse("it asks a cluster", "openapi fetch"),
    ...refuse("a folder may hold what it likes", "cfg count .", "cfg count /etc", "cfg tree /root"),
    ...refuse(
      "only the declared forms of flags pass",
      "version --short",
      "version -ojson",
      "--stack-trace version",
      "version extra",
    ),
  ],
};
