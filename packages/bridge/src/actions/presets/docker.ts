import { common, examples, refused } from "./container-engines.ts";
import { integer, operands, read, refuse, switches, usualPlaces, valued, WORD } from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** Docker's command line. */
export const DOCKER: PresetSpec = {
  summary: "lists of containers, images, networks and volumes; start, stop and restart by name",
  places: usualPlaces("docker"),
  scope: {
    interspersed: true,
    commands: [
      ...common(),
      read("info"),
      read("context ls", { flags: switches("-q --quiet") }),
      read("search", { flags: [valued("--limit", integer(1, 100))], ...operands(1, 1, WORD) }),
    ],
    environment: { set: { DOCKER_CLI_HINTS: "false" } },
    timeoutSeconds: 30,
  },
  configuration: [".docker"],
  examples: [...examples, "info"],
  refused: [
    ...refused,
    ...refuse("labels hold passwords of proxies", "ps --format json", "container ls --format json"),
    ...refuse("a plugin is a program of its own", "scout quickview", "compose ps", "ai", "mcp"),
    ...refuse(
      "it changes many things at once",
      "system prune -f",
      "volume rm x",
      "rm -f web",
      "swarm init",
      "plugin install x",
    ),
  ],
};
