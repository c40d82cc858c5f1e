import { oneOf, operands, read, refuse, usualPlaces, valued } from "./preset.ts";
import type { PresetSpec } from "./preset.ts";

/** Vault's command line. */
export const VAULT: PresetSpec = {
  summary: "the server's state and the names of its mounts and policies; never a secret or a token",
  places: usualPlaces("vault"),
  scope: {
    commands: [
      read("version"),
      read("-version"),
      read("status", { flags: formatFlag() }),
      read("secrets list", { flags: formatFlag() }),
      read("auth list", { flags: formatFlag() }),
      read("policy list", { flags: formatFlag() }),
      read("policy read", { flags: formatFlag(), ...operands(1, 1) }),
      read("plugin list", { flags: formatFlag() }),
      read("operator members", { flags: formatFlag() }),
      read("operator raft list-peers", { flags: formatFlag() }),
    ],
    environment: {
      set: { VAULT_CLI_NO_COLOR: "1" },
      inherit: ["VAULT_ADDR", "VAULT_CACERT", "VAULT_NAMESPACE"],
    },
    timeoutSeconds: 60,
  },
  configuration: [".vault", ".vault-token"],
  examples: [
    "version",
    "status",
    "status -format=json",
    "secrets list",
    "auth list -format json",
    "policy list",
    "policy read ci",
    "operator raft list-peers",
  ],
  refused: [
    ...refuse(
      "it prints secrets",
      "read secret/x",
      "read -field=password secret/x",
      "kv get secret/x",
      "kv get -mount=secret x",
      "kv list secret",
      "list secret",
      "kv metadata get secret/x",
      "unwrap",
      "unwrap x",
      "read database/creds/x",
      "agent generate-config x",
    ),
    ...refuse(
      "it prints or makes tokens",
      "print token",
      "token lookup",
      "token create",
      "token renew",
      "login",
      "login -method=userpass",
      "token capabilities x",
    ),
    ...refuse(
      "it runs code",
      "agent -config=/tmp/x",
      "proxy -config=/tmp/x",
      "server -dev",
      "ssh x@y",
      "plugin register x",
    ),
    ...refuse(
      "it writes",
      "write secret/x a=b",
      "kv put secret/x a=b",
      "delete secret/x",
      "policy write x /tmp/x",
      "secrets enable kv",
      "operator unseal",
      "operator init",
      "operator generate-root",
      "audit enable file",
      "lease revoke x",
    ),
    ...refuse(
      "it would send the token elsewhere, or print the request",
      "status -address=https://198.51.100.7",
      "-address=https://198.51.100.7 status",
      "status -agent-address=x",
      "status -output-curl-string",
      "status -tls-skip-verify",
      "status -ca-cert=/tmp/x",
      "secrets list -detailed",
    ),
    ...refuse(
      "only the declared forms of flags pass",
      "status --format=json",
      "status -format=pretty",
      "status -- x",
      "policy read",
      "policy read ci -format=json",
    ),
  ],
};

function formatFlag() {
  return [valued("-format", oneOf("json table yaml"))];
}
