/** Groups as they are shown. Pure. */

export type Cluster = { ids: number[]; representative: number; label?: string };

/** Least mean cosine within a group, unless the slider says otherwise. */
export const ALIKE = 0.4;

/** Those with company, and the pictures that are like no other. */
export function parted(clusters: readonly Cluster[]): { groups: Cluster[]; single: number[] } {
  return { groups: clusters.filter((one) => one.ids.length > 1), single: clusters.flatMap((one) => (one.ids.length === 1 ? one.ids : [])) };
}
