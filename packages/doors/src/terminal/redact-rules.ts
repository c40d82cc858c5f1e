import type { RedactionPattern } from "@doorward/contracts";
import type { RunClass } from "./redact-classes.ts";

/**
 * One thing to redact. prefix: the literal and the run behind it; after: the run alone; key: the run behind the literal
 * and a separator; url, begin and end: what the literals of URLs with passwords and of private keys begin.
 */
export interface RedactionRule {
  readonly name: string;
  readonly match: "prefix" | "after" | "key" | "url" | "begin" | "end";
  readonly literal: string;
  readonly run: RunClass;
  readonly minLength: number;
  /** Whether upper and lower case differ. */
  readonly exact: boolean;
  /** Whether the literal has to begin a word. */
  readonly starts: boolean;
  /** Whether white space alone separates a key from its value, as on a command line. */
  readonly spaced: boolean;
  /** Whether a value in quotes goes on to the closing quote. */
  readonly quoted: boolean;
}

const plain = { exact: true, starts: false, spaced: false, quoted: false } as const;

function prefixes(
  name: string,
  run: RunClass,
  minLength: number,
  literals: readonly string[],
): RedactionRule[] {
  return literals.map((literal) => ({
    ...plain,
    name,
    match: "prefix",
    literal,
    run,
    minLength,
    // a short literal is also the end of ordinary words, e.g. of "disk-"
    starts: literal.length < 5 && /^[a-zA-Z]/.test(literal),
  }));
}

function keys(name: string, minLength: number, literals: readonly string[]): RedactionRule[] {
  return literals.map((literal) => ({
    ...plain,
    name,
    match: "key",
    literal,
    run: "word",
    minLength,
    exact: false,
    quoted: true,
    spaced: literal.startsWith("--"),
  }));
}

function loose(
  name: string,
  match: "after" | "key" | "url" | "begin" | "end",
  literals: readonly string[],
  run: RunClass = "line",
  minLength = 1,
): RedactionRule[] {
  return literals.map((literal) => ({ ...plain, name, match, literal, run, minLength, exact: false }));
}

/** Rules that are always in force. */
const BUILT_IN_RULES: readonly RedactionRule[] = [
  ...prefixes("github-token", "token", 16, ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"]),
  ...prefixes("gitlab-token", "token", 16, ["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"]),
  ...prefixes("anthropic-key", "token", 12, ["sk-ant-"]),
  ...prefixes("openai-key", "token", 20, ["sk-"]),
  ...prefixes("stripe-key", "token", 12, ["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"]),
  ...prefixes("slack-token", "token", 10, ["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xapp-"]),
  ...prefixes("aws-key-id", "token", 12, ["AKIA", "ASIA"]),
  ...prefixes("google-key", "token", 30, ["AIza"]),
  ...prefixes("google-token", "token", 20, ["ya29.", "GOCSPX-"]),
  ...prefixes("npm-token", "token", 20, ["npm_"]),
  ...prefixes("pypi-token", "token", 20, ["pypi-"]),
  ...prefixes("huggingface-token", "token", 20, ["hf_"]),
  ...prefixes("age-key", "token", 20, ["AGE-SECRET-KEY-"]),
  ...prefixes("doorward-token", "token", 12, ["dwg_", "dwt_"]),
  ...prefixes("json-web-token", "dotted", 32, ["eyJ"]),
  ...prefixes("password-hash", "word", 20, ["$1$", "$5$", "$6$", "$y$", "$2a$", "$2b$", "$2y$", "$argon2"]),
  ...loose("bearer-token", "after", ["bearer "], "word", 12),
  ...loose("basic-credentials", "after", ["basic "], "base64", 12),
  ...loose("authorization", "key", ["authorization", "set-cookie"], "header", 6),
  ...keys("password", 4, ["password", "passwd", "passphrase", "passcode", "--password", "--passwd"]),
  ...keys("secret", 8, ["secret", "--secret", "private_key", "privatekey", "private-key"]),
  ...keys("token", 8, ["token", "--token"]),
  ...keys("key", 8, [
    ...["api", "access", "secret", "account", "encryption", "signing", "master"].flatMap((what) => [
      `${what}key`,
      `${what}_key`,
      `${what}-key`,
    ]),
    "--api-key",
    "credentials",
  ]),
  ...loose("url-credentials", "url", ["://"]),
  ...loose("private-key", "begin", ["private key-----", "private key block-----"]),
  ...loose("private-key", "end", ["-----end "]),
];

/** The built-in rules and a door's own patterns, which come first where both find the same. */
export function redactionRules(patterns: readonly RedactionPattern[]): readonly RedactionRule[] {
  const own = patterns.map((pattern): RedactionRule => ({
    ...plain,
    ...pattern,
    exact: pattern.match === "prefix",
  }));
  return [...own, ...BUILT_IN_RULES];
}
