/** Largest picture that is handed to the model; what most of them take as base64. */
export const IMAGE_BYTES = 3_750_000;

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const JPEG = Buffer.from([0xff, 0xd8, 0xff]);

/** Media type of a picture that models see, by its first bytes; null for anything else. */
export function imageType(head: Buffer): string | null {
  const text = head.toString("latin1", 0, 12);
  if (head.subarray(0, PNG.length).equals(PNG)) return "image/png";
  if (head.subarray(0, JPEG.length).equals(JPEG)) return "image/jpeg";
  if (/^GIF8[79]a/.test(text)) return "image/gif";
  if (/^RIFF[^]{4}WEBP/.test(text)) return "image/webp";
  return null;
}
