import type { ActionPreset } from "@doorward/contracts";
import { ANSIBLE } from "./ansible.ts";
import { AWS } from "./aws.ts";
import { AZURE_CLI } from "./azure-cli.ts";
import { DOCKER } from "./docker.ts";
import { GCLOUD } from "./gcloud.ts";
import { GH } from "./gh.ts";
import { GIT } from "./git.ts";
import { HELM } from "./helm.ts";
import { KUBECTL } from "./kubectl.ts";
import { KUSTOMIZE } from "./kustomize.ts";
import { NOMAD } from "./nomad.ts";
import { PODMAN } from "./podman.ts";
import type { PresetSpec } from "./preset.ts";
import { TERRAFORM } from "./terraform.ts";
import { VAULT } from "./vault.ts";

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
