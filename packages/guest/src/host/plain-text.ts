/** Text that a machine reported, with control characters and overlong parts taken out, safe to show on a terminal. */
export function plainText(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?")
    .slice(0, 1000);
}
