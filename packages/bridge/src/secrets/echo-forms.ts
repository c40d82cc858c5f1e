/** Values longer than this are looked for in fewer forms, so that their automaton stays small; they are no `Basic` credentials. */
export const LONG_VALUE = 512;

/**
 * Every form in which a far side that echoes a value usually writes it, as bytes; `basic` adds those of `Basic`
 * credentials that hold the value, which are coded once more when they are echoed.
 */
export function echoForms(value: string, basic: boolean): Buffer[] {
  const thorough = value.length <= LONG_VALUE;
  const forms = formsOf(value, thorough, thorough);
  if (!basic || !thorough) return forms;
  const credentials = [0, 1, 2].flatMap((before) => alignedForms(value, before, false));
  return [...forms, ...credentials.flatMap((each) => formsOf(each, true, false))];
}

function formsOf(value: string, thorough: boolean, edges: boolean): Buffer[] {
  const texts = new Set<string>([value, value.toLowerCase(), value.toUpperCase(), reversed(value)]);
  for (const form of [...jsonForms(value), ...urlForms(value), ...htmlForms(value)]) texts.add(form);
  for (const form of [...hexForms(value, thorough), ...base64Forms(value, edges)]) texts.add(form);
  if (thorough) for (const form of spelledForms(value)) texts.add(form);
  const wide = Buffer.from(value, "utf16le");
  return [...[...texts].map((text) => Buffer.from(text, "latin1")), wide, Buffer.from(wide).swap16()];
}

function reversed(value: string): string {
  return Array.from(value).reverse().join("");
}

/** Strings of JSON and of languages alike. */
function jsonForms(value: string): string[] {
  const plain = JSON.stringify(value).slice(1, -1);
  const slashed = plain.replaceAll("/", String.raw`\/`);
  const careful = (upper: boolean): string =>
    plain.replace(/[<>&'+=/]/g, (char) => String.raw`\u00${hexOf(char, upper)}`);
  const html = (upper: boolean): string =>
    plain.replace(/[<>&]/g, (char) => String.raw`\u00${hexOf(char, upper)}`);
  return [plain, slashed, careful(false), careful(true), html(false), html(true), ...quotedTwice(plain)];
}

/** JSON in a string of JSON. */
function quotedTwice(plain: string): string[] {
  return [JSON.stringify(plain).slice(1, -1), plain.replaceAll("'", String.raw`\'`)];
}

function urlForms(value: string): string[] {
  const upper = [
    encodeURIComponent(value),
    encodeURI(value),
    escaped(value, /[^A-Za-z0-9._~-]/g),
    escaped(value, /[^A-Za-z0-9._*-]/g),
  ];
  const spaced = [...upper, ...upper.map((form) => form.replaceAll("%20", "+"))];
  const forms = spaced.flatMap((form) => [form, form.replace(/%../g, (hex) => hex.toLowerCase())]);
  return [...forms, ...forms.map((form) => form.replaceAll("%", "%25")), value.replaceAll("=", "=3D")];
}

function escaped(value: string, what: RegExp): string {
  return value.replace(what, (char) => `%${hexOf(char, true)}`);
}

function htmlForms(value: string): string[] {
  const base = value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const quotes: readonly (readonly [string, string])[] = [
    ["&quot;", "&#39;"],
    ["&quot;", "&#x27;"],
    ["&#34;", "&#39;"],
    ["&quot;", "'"],
    ['"', "'"],
  ];
  const forms = quotes.map(([double, single]) => base.replaceAll('"', double).replaceAll("'", single));
  return [
    ...forms,
    ...forms.map((form) => form.replaceAll("/", "&#x2F;")),
    ...forms.map((form) => form.replaceAll("+", "&#43;").replaceAll("=", "&#61;")),
  ];
}

function hexForms(value: string, thorough: boolean): string[] {
  const bytes = Array.from(value).map((char) => hexOf(char, false));
  const separators = thorough ? ["", " ", ":", ", 0x"] : [""];
  return separators.flatMap((between) => {
    const text = bytes.join(between);
    return [text, text.toUpperCase().replaceAll("0X", "0x")];
  });
}

/** Forms that write every character as an escape or a number. */
function spelledForms(value: string): string[] {
  const chars = Array.from(value);
  const codes = chars.map((char) => char.charCodeAt(0));
  const hex = (before: string, after = ""): string[] =>
    [false, true].map((upper) => chars.map((char) => `${before}${hexOf(char, upper)}${after}`).join(""));
  return [
    ...hex("%"),
    ...hex(String.raw`\u00`),
    ...hex(String.raw`\x`),
    ...hex("&#x", ";"),
    codes.map((code) => `&#${String(code)};`).join(""),
    codes.join(","),
    codes.join(", "),
    codes.join(" "),
    codes.map((code) => `\\${code.toString(8).padStart(3, "0")}`).join(""),
  ];
}

/** Base64 at all three alignments, with the characters at its ends that hold a few bits of the value. */
function base64Forms(value: string, edges: boolean): string[] {
  const standard = [0, 1, 2].flatMap((before) => alignedForms(value, before, edges));
  const plain = [0, 1, 2].flatMap((before) => alignedForms(value, before, false));
  const written = plain.flatMap((form) => [
    form.replaceAll("/", String.raw`\/`),
    form.replaceAll("/", String.raw`\u002f`).replaceAll("+", String.raw`\u002b`),
    form.replaceAll("/", "%2F").replaceAll("+", "%2B"),
    form.replaceAll("/", "%2f").replaceAll("+", "%2b"),
  ]);
  return [...standard, ...standard.map(forUrls), ...written];
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function alignedForms(value: string, before: number, edges: boolean): string[] {
  const bytes = Buffer.from(value, "latin1");
  const after = (3 - ((before + bytes.length) % 3)) % 3;
  const group = Buffer.concat([Buffer.alloc(before), bytes, Buffer.alloc(after)]).toString("base64");
  const head = before === 0 ? 0 : before;
  const core = group.slice(head === 0 ? 0 : head + 1, after === 0 ? group.length : group.length - after - 1);
  if (!edges) return [core];
  const starts = before === 0 ? [""] : neighbours(group[before] ?? "A", before === 1 ? 0x30 : 0x3c);
  const ends =
    after === 0 ? [""] : neighbours(group[group.length - after - 1] ?? "A", after === 1 ? 0x03 : 0x0f);
  return [
    core,
    ...starts.flatMap((start) => ends.map((end) => `${start}${core}${end}`)),
    ...starts.map((start) => `${start}${core}`),
    ...ends.map((end) => `${core}${end}`),
  ];
}

/** Characters that agree with `char` in the bits outside of `free`. */
function neighbours(char: string, free: number): string[] {
  const fixed = ALPHABET.indexOf(char) & ~free;
  return Array.from(ALPHABET).filter((_, index) => (index & ~free) === fixed);
}

function forUrls(form: string): string {
  return form.replaceAll("+", "-").replaceAll("/", "_");
}

function hexOf(char: string, upper: boolean): string {
  const hex = char.charCodeAt(0).toString(16).padStart(2, "0");
  return upper ? hex.toUpperCase() : hex;
}
