/** What is done to a picture's tags. Pure. */
export type Retag = { add?: string; remove?: string };

/** The tags with it, each once. */
export function retagged(tags: readonly string[], { add, remove }: Retag): string[] {
  const kept = tags.filter((one) => one !== remove);
  return add === undefined || kept.includes(add) ? kept : [...kept, add];
}
