/** Environment that every command has, whatever its scope; HOME is the operator's. */
const FIXED = { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8", TZ: "UTC" };

/** Names that load code into any program, so that not even a policy may set them. */
const LOADERS =
  /^(?:LD_|DYLD_|_RLD|GCONV_PATH$|BASH_ENV$|BASH_FUNC_|ENV$|SHELLOPTS$|BASHOPTS$|IFS$|PS4$|PROMPT_COMMAND$|NODE_OPTIONS$|PYTHON|PERL5|PERL|RUBY|JAVA_TOOL_OPTIONS$|_JAVA_OPTIONS$|JDK_JAVA_OPTIONS$|CLASSPATH$|LUA_|PHP_INI|PHPRC$|MALLOC_|GLIBC_TUNABLES$|DOORWARD_)/;

/** Names that choose programs, configuration, far sides or credentials of known programs: never for a request to say. */
const STEERING =
  /^(?:PATH$|HOME$|USER$|LOGNAME$|SHELL$|PWD$|TMPDIR$|TMP$|TEMP$|XDG_|GIT_|SSH_|GH_|GITHUB_|HUB_|AWS_|AZURE_|ARM_|CLOUDSDK_|GOOGLE_|GCLOUD_|BOTO|VAULT_|NOMAD_|CONSUL_|TF_|TERRAFORM_|HELM_|KUBE|KUSTOMIZE_|ANSIBLE_|DOCKER_|BUILDKIT_|COMPOSE_|PODMAN_|CONTAINER|REGISTRY_|STORAGE_|EDITOR$|VISUAL$|PAGER$|LESS|MANPAGER$|BROWSER$|TERMINFO|TERMCAP$|NO_PROXY$|ALL_PROXY$|FTP_PROXY$|HTTPS?_PROXY$|SSL_|CURL_|REQUESTS_|NODE_|NPM_|OPENSSL_|GNUPG|GPG_|DBUS_|DISPLAY$|WAYLAND_|LOCPATH$|NLSPATH$|HOSTALIASES$|RES_OPTIONS$|LOCALDOMAIN$|RESOLV_|GODEBUG$|GO|SUDO_|OPENAI_|ANTHROPIC_)|_ASKPASS$|_TOKEN$|_PASSWORD$|_SECRET$|_EDITOR$|_PAGER$|_PROXY$|_COMMAND$/;

/** Why a variable may never be set by a request; null when a policy may allow it. Case does not matter. */
export function neverRequested(key: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(key)) return "it is no name of a variable";
  const upper = key.toUpperCase();
  if (LOADERS.test(upper)) return "it loads code into programs";
  return STEERING.test(upper) ? "it chooses programs, configuration, far sides or credentials" : null;
}

/** Why a variable may not even be set or inherited by the policy; null when it may. */
export function neverSet(key: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(key)) return "it is no name of a variable";
  return LOADERS.test(key.toUpperCase()) ? "it loads code into programs" : null;
}

/** What a scope says about the environment of its commands. */
export interface EnvironmentPolicy {
  readonly set?: Readonly<Record<string, string>> | undefined;
  readonly inherit?: readonly string[] | undefined;
  readonly request?: readonly string[] | undefined;
}

/** Keys of a request that its scope does not let it set, sorted. */
export function deniedKeys(
  asked: Readonly<Record<string, string>>,
  policy: EnvironmentPolicy | undefined,
): string[] {
  const open = new Set(policy?.request ?? []);
  return Object.entries(asked)
    .filter(([key, value]) => !open.has(key) || neverRequested(key) !== null || hasControl(value))
    .map(([key]) => key)
    .sort();
}

function hasControl(value: string): boolean {
  return /[\u0000-\u001f\u007f]/.test(value) || value.length > 4096;
}

/** The whole environment of a command: fixed values, then what the policy inherits, sets and lets the request set. */
export function commandEnvironment(
  asked: Readonly<Record<string, string>>,
  policy: EnvironmentPolicy | undefined,
  host: { readonly home: string; readonly env: Readonly<Record<string, string | undefined>> },
): Readonly<Record<string, string>> {
  const inherited = (policy?.inherit ?? []).flatMap((key) => {
    const value = host.env[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries([
    ...Object.entries({ ...FIXED, HOME: host.home }),
    ...inherited,
    ...Object.entries(asked),
    // Last: what the policy sets is what keeps a program from running code.
    ...Object.entries(policy?.set ?? {}),
  ]);
}
