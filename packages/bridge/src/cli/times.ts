const UNITS = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
] as const;

/** A length of time in its two largest units, e.g. 7h59m. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0s";
  let rest = seconds;
  return UNITS.slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return count === 0 ? "" : `${count}${unit}`;
    })
    .join("");
}

/** How long until a time, or that it is over; a dash for none. */
export function until(time: string | null, now = Date.now()): string {
  if (time === null) return "-";
  const left = Date.parse(time) - now;
  return left <= 0 ? "over" : `in ${span(left)}`;
}

/** How long ago a time was; a dash for none. */
export function ago(time: string | null, now = Date.now()): string {
  return time === null ? "-" : `${span(now - Date.parse(time))} ago`;
}

/** Milliseconds as people read them: 840ms, 1.2s, 2m03s. */
export function elapsed(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)}s`;
  return span(milliseconds);
}

/** A number of bytes as people read it. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power] ?? "B"}`;
}
