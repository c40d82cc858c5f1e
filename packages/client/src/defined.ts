type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields of an object that are not undefined, as `exactOptionalPropertyTypes` wants them. */
export function defined<T extends object>(fields: T): Defined<T>;
export function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
