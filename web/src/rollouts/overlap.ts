/** Two answers to one question, laid beside each other. Pure. */

/** Where else a hit stands, from 0; undefined where only this side has it. */
export type Placed = { id: number; elsewhere: number | undefined };

export function placed(mine: readonly number[], other: readonly number[]): Placed[] {
  const at = new Map(other.map((id, rank) => [id, rank]));
  return mine.map((id) => ({ id, elsewhere: at.get(id) }));
}

/** How many of the first so many both have. */
export function inBoth(one: readonly number[], other: readonly number[], first: number): number {
  const known = new Set(other.slice(0, first));
  return one.slice(0, first).filter((id) => known.has(id)).length;
}
