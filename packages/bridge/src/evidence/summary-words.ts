/** The first hex digits of a digest. */
export function short(digest: string): string {
  return digest.slice("sha256:".length, "sha256:".length + 12);
}

/** How something ended that the bridge was killed in. */
export const NOT_KNOWN = "not known how it ended, the bridge was lost";

/** Milliseconds as people read them. */
export function seconds(milliseconds: number): string {
  return milliseconds < 60_000
    ? `${(milliseconds / 1000).toFixed(1)}s`
    : `${String(Math.round(milliseconds / 60_000))}m`;
}

/** When something ends, if it does. */
export function until(expiresAt: string | null): string {
  return expiresAt === null ? "" : ` until ${expiresAt}`;
}

/** More about it, if there is more. */
export function detail(text: string | null): string {
  return text === null ? "" : `: ${text}`;
}
