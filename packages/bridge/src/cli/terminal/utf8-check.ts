/** Second bytes that may follow a lead byte; shorter, surrogate and too large encodings are excluded. */
export interface Utf8Lead {
  readonly more: number;
  readonly low: number;
  readonly high: number;
}

/** What a lead byte announces; undefined for bytes that begin nothing. */
export function utf8Lead(byte: number): Utf8Lead | undefined {
  if (byte >= 0xc2 && byte <= 0xdf) return { more: 1, low: 0x80, high: 0xbf };
  if (byte === 0xe0) return { more: 2, low: 0xa0, high: 0xbf };
  if (byte === 0xed) return { more: 2, low: 0x80, high: 0x9f };
  if (byte >= 0xe1 && byte <= 0xef) return { more: 2, low: 0x80, high: 0xbf };
  if (byte === 0xf0) return { more: 3, low: 0x90, high: 0xbf };
  if (byte === 0xf4) return { more: 3, low: 0x80, high: 0x8f };
  if (byte >= 0xf1 && byte <= 0xf3) return { more: 3, low: 0x80, high: 0xbf };
  return undefined;
}
