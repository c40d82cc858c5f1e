/** How many characters of a value in a row count as knowing something of it. */
const RUN = 8;

/** What of a value somebody who saw a text knows, in whatever usual coding it stood there; undefined for nothing. */
export function knownPart(saw: string, value: string): string | undefined {
  const wanted = value.toLowerCase();
  const runs = Array.from({ length: wanted.length - RUN + 1 }, (_, at) => wanted.slice(at, at + RUN));
  for (const text of readings(saw)) {
    const lower = text.toLowerCase();
    const found = runs.find((run) => lower.includes(run));
    if (found !== undefined) return found;
  }
  return undefined;
}

function readings(saw: string): string[] {
  const unescaped = decodeEscapes(saw);
  const texts = [saw, unescaped, decodeEscapes(unescaped)];
  return [
    ...texts,
    ...texts.map((text) => Array.from(text).reverse().join("")),
    ...texts.flatMap((text) => decodeRuns(text)),
    saw.replaceAll("\0", ""),
    saw.replaceAll(/\s/g, ""),
  ];
}

function decodeEscapes(text: string): string {
  return text
    .replace(
      /\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|%([0-9a-f]{2})|&#x([0-9a-f]+);/gi,
      (_, ...hex: (string | undefined)[]) =>
        String.fromCharCode(parseInt(hex.slice(0, 4).find((each) => each !== undefined) ?? "0", 16)),
    )
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll("&amp;", "&")
    .replaceAll("&lt;", "<")
    .replaceAll("&quot;", '"')
    .replaceAll("\\/", "/");
}

function decodeRuns(text: string): string[] {
  const hex = text.match(/(?:[0-9a-f]{2}[ :]?){8,}/gi) ?? [];
  const numbers = text.match(/(?:\d{2,3}, ?){8,}/g) ?? [];
  const packed = text.match(/[A-Za-z0-9+/_-]{10,}/g) ?? [];
  return [
    ...hex.map((run) => Buffer.from(run.replace(/[ :]/g, ""), "hex").toString("latin1")),
    ...numbers.map((run) => String.fromCharCode(...run.split(",").map(Number))),
    ...packed.flatMap((run) =>
      [0, 1, 2, 3].map((at) => Buffer.from(run.slice(at), "base64").toString("latin1")),
    ),
  ];
}
