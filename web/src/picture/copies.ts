/** Groups of copies, as searches fold them. Pure. */

/** uri: not of a vector without a picture. */
export type Copy = { id: number; uri?: string; thumbnail_url: string };

/** The others of the hit that this picture is, or stands for, or that stands for it. */
export function foldedWith(id: number, hits: readonly (Copy & { duplicates?: readonly Copy[] })[]): Copy[] {
  const groups = hits.map((hit): Copy[] => [hit, ...(hit.duplicates ?? [])]);
  return groups.find((group) => group.some((one) => one.id === id))?.filter((one) => one.id !== id) ?? [];
}
