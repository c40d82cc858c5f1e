import {
  integer,
  oneOf,
  operands,
  read,
  refuse,
  switches,
  usualPlaces,
  valued,
  WORD,
  write,
} from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** The Helm command line. */
export const HELM: PresetSpec = {
  summary: "releases and their history",
  places: usualPlaces("helm"),
  scope: {
    interspersed: true,
    globalFlags: [valued("-n --namespace", WORD)],
    commands: [
      read("version", { flags: switches("--short") }),
      read("list", {
        flags: [
          ...switches("-A --all-namespaces", "-q --short", "--failed", "--deployed", "--pending"),
          valued("-m --max", integer(1, 1000)),
          valued("-o --output", oneOf("json yaml table")),
        ],
      }),
      read("ls", {
        flags: [
          ...switches("-A --all-namespaces", "-q --short"),
          valued("-o --output", oneOf("json yaml table")),
        ],
      }),
      read("history", {
        flags: [valued("--max", integer(1, 1000)), valued("-o --output", oneOf("json yaml table"))],
        ...operands(1, 1),
      }),
      read("search repo", {
        flags: [...switches("-l --versions"), valued("-o --output", oneOf("json yaml table"))],
        ...operands(0, 1),
      }),
      write("rollback", {
        flags: switches("--wait", "--no-hooks"),
        ...operands(2, 2, integer(1, 1_000_000), [WORD]),
      }),
    ],
    environment: { set: { HELM_PLUGINS: "/nonexistent", HELM_DEBUG: "false" } },
    timeoutSeconds: 45,
  },
  configuration: [".config/helm", ".cache/helm", ".local/share/helm", ".kube"],
  examples: [
    "version --short",
    "list",
    "list -A -o json",
    "-n web ls",
    "history shop --max 10",
    "search repo postgres",
    "rollback shop 3 --wait",
  ],
  refused: [
    ...refuse(
      "values and manifests hold credentials",
      "get values shop",
      "get all shop",
      "get manifest shop",
      "get notes shop",
      "get hooks shop",
      "get values shop --all",
      "show values ./x",
    ),
    ...refuse("notes of a release often print its password", "status shop"),
    ...refuse("it prints the token of the cluster", "env", "list --debug"),
    ...refuse(
      "it runs code: plugins, hooks, post-renderers, templates of a folder",
      "plugin list",
      "plugin install x",
      "template ./x",
      "install x ./x",
      "upgrade x ./x",
      "upgrade x ./x --post-renderer /tmp/x",
      "test shop",
      "lint ./x",
      "dependency build ./x",
      "secrets view x",
      "diff upgrade x ./x",
    ),
    ...refuse(
      "it chooses another cluster, identity or configuration",
      "--kubeconfig /tmp/x list",
      "--kube-apiserver https://198.51.100.7 list",
      "--kube-token x list",
      "--kube-context x list",
      "--registry-config /tmp/x list",
      "list --repository-config=/tmp/x",
    ),
    ...refuse(
      "addresses of repositories hold passwords",
      "repo list",
      "repo add x https://198.51.100.7",
      "registry login x",
      "pull x",
      "push x y",
    ),
    ...refuse("it removes", "uninstall shop", "rollback shop", "rollback shop -- 1"),
  ],
};
