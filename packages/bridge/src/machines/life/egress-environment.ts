import { EGRESS_PORT } from "@doorward/guest";

/** Where a machine finds the authorities that it trusts. */
export const CA_MOUNT = "/opt/doorward/ca";
const BUNDLE = `${CA_MOUNT}/bundle.pem`;
const PROXY = `http://127.0.0.1:${String(EGRESS_PORT)}`;
const DIRECT = "localhost,127.0.0.1,::1";

/**
 * What makes tools use the way out with nothing set by hand: the proxy in the spellings that programs read, and the
 * authorities in the variables that their TLS libraries read. It opens nothing: without a rule the proxy refuses, and
 * without the proxy there is no network at all.
 */
export const EGRESS_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...bothCases({ http_proxy: PROXY, https_proxy: PROXY, all_proxy: PROXY, no_proxy: DIRECT }),
  // Node's own fetch and http look at the proxy variables only when told to (24 and later)
  NODE_USE_ENV_PROXY: "1",
  // Yarn has settings of its own
  YARN_HTTP_PROXY: PROXY,
  YARN_HTTPS_PROXY: PROXY,
  YARN_HTTPS_CA_FILE_PATH: BUNDLE,
  // Node adds these to the authorities that it has built in
  NODE_EXTRA_CA_CERTS: `${CA_MOUNT}/machine-ca.pem`,
  SSL_CERT_FILE: BUNDLE,
  CURL_CA_BUNDLE: BUNDLE,
  GIT_SSL_CAINFO: BUNDLE,
  REQUESTS_CA_BUNDLE: BUNDLE,
  PIP_CERT: BUNDLE,
  CARGO_HTTP_CAINFO: BUNDLE,
  AWS_CA_BUNDLE: BUNDLE,
  DENO_CERT: BUNDLE,
};

/** Our own image has Node's headers, so that native modules are compiled without a download. */
export const IMAGE_ENVIRONMENT: Readonly<Record<string, string>> = {
  npm_package_config_node_gyp_nodedir: "/usr/local",
};

function bothCases(variables: Readonly<Record<string, string>>): Record<string, string> {
  const upper = Object.entries(variables).map(([name, value]): [string, string] => [
    name.toUpperCase(),
    value,
  ]);
  return { ...variables, ...Object.fromEntries(upper) };
}
