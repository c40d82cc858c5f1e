import { compileGlob } from "./glob.ts";

/** Names inside a repo that look like secrets; `up` lists them, and `--hide` masks them. */
const SECRET_NAMES: readonly string[] = [
  ".env",
  ".env.*",
  "*.env",
  ".npmrc",
  ".yarnrc.yml",
  ".pypirc",
  ".netrc",
  "_netrc",
  ".git-credentials",
  ".pgpass",
  ".my.cnf",
  ".htpasswd",
  ".dockercfg",
  ".vault-token",
  ".ssh",
  ".gnupg",
  ".aws",
  ".azure",
  ".kube",
  ".docker",
  ".password-store",
  "gcloud",
  "*.pem",
  "*.key",
  "*.p12",
  "*.pfx",
  "*.jks",
  "*.keystore",
  "*.kdbx",
  "*.kdb",
  "*.ppk",
  "*.agekey",
  "*.ovpn",
  "*.mobileprovision",
  "*.tfstate",
  "*.tfvars",
  "id_rsa",
  "id_dsa",
  "id_ecdsa",
  "id_ed25519",
  "id_*_sk",
  "credentials.json",
  "service-account*.json",
  "client_secret*.json",
  "kubeconfig",
  "secrets.yml",
  "secrets.yaml",
  "secrets.json",
  "master.key",
];

// Samples are written to be read.
const HARMLESS = new Set([
  ".env.example",
  ".env.sample",
  ".env.template",
  ".env.dist",
  ".env.defaults",
  "example.env",
]);

const globs = SECRET_NAMES.map(compileGlob);
const suspicious =
  /^[._]|^id_|key|\.(?:env|pem|p12|pfx|jks|kdbx?|ppk|ovpn|mobileprovision|tfstate|tfvars)$|^(?:gcloud|credentials|service|client|kubeconfig|secrets)|keystore$/;

/** Whether a file or folder of this name probably holds secrets. */
export function looksSecret(name: string): boolean {
  // Most names of a large tree fit none of the globs; one expression throws those out at once.
  return suspicious.test(name) && !HARMLESS.has(name) && globs.some((glob) => glob.matches(name));
}
