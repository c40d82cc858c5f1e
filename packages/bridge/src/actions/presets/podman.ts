import { common, examples, FILTER, IMAGE, refused } from "./container-engines.ts";
import { operands, read, refuse, switches, usualPlaces } from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** Podman's command line. */
export const PODMAN: PresetSpec = {
  summary: "lists of containers, pods, images, networks and volumes; start, stop and restart by name",
  places: usualPlaces("podman"),
  scope: {
    interspersed: true,
    commands: [
      ...common(),
      read("info"),
      read("pod ps", { flags: [...switches("-q --quiet"), FILTER] }),
      read("container exists", operands(1, 1)),
      read("image exists", operands(1, 1, IMAGE)),
    ],
    environment: {},
    timeoutSeconds: 30,
  },
  configuration: [".config/containers", ".local/share/containers"],
  examples: [...examples, "info", "pod ps", "container exists web"],
  refused: [
    ...refused,
    ...refuse(
      "it runs code, on this host too",
      "unshare id",
      "machine ssh",
      "container runlabel x alpine",
      "kube play x.yaml",
      "play kube x.yaml",
      "healthcheck run web",
      "container checkpoint web",
    ),
    ...refuse(
      "it chooses another engine, storage or runtime",
      "--remote ps",
      "-r ps",
      "--url ssh://x ps",
      "--root /tmp/x ps",
      "--runtime /tmp/x ps",
      "--hooks-dir /tmp/x start web",
      "--conmon /tmp/x ps",
      "--connection x ps",
    ),
    ...refuse(
      "it writes a service file that systemd runs, or prints the environment",
      "generate systemd web",
      "generate kube web",
      "secret inspect --showsecret x",
      "image mount alpine",
      "mount",
    ),
  ],
};
