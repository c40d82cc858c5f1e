import type { ActionPreset } from "@doorward/contracts";
import { AWS, AZURE_CLI, GCLOUD } from "./clouds.ts";
import { DOCKER, PODMAN } from "./containers.ts";
import { ANSIBLE, NOMAD, TERRAFORM, VAULT } from "./infrastructure.ts";
import { HELM, KUBECTL, KUSTOMIZE } from "./kubernetes.ts";
import type { PresetSpec } from "./preset.ts";
import { GH, GIT } from "./source-control.ts";

export type { PresetSpec, RefusedLine } from "./preset.ts";

/** What each preset is; docs/actions-presets.md says how they were chosen. */
export const ACTION_PRESET_SPECS: Readonly<Record<ActionPreset, PresetSpec>> = {
  "docker-cli": DOCKER,
  podman: PODMAN,
  kubectl: KUBECTL,
  helm: HELM,
  terraform: TERRAFORM,
  git: GIT,
  gh: GH,
  "aws-cli": AWS,
  gcloud: GCLOUD,
  "azure-cli": AZURE_CLI,
  kustomize: KUSTOMIZE,
  ansible: ANSIBLE,
  vault: VAULT,
  nomad: NOMAD,
};
