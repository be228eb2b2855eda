/** Pictures in rows that are full from edge to edge, each picture whole. Pure. */

export type Sized = { width: number; height: number };
export type Placed = { index: number; left: number; width: number };
export type Row = { top: number; height: number; tiles: Placed[] };

const NARROWEST = 0.45;
const WIDEST = 3.2;

/** Rows about `aim` px high; the last one is left short rather than stretched. below: px under each picture, for its bar. */
export function justified(sizes: readonly Sized[], width: number, aim: number, gap: number, below: number): Row[] {
  const rows: Row[] = [];
  let top = 0;
  let first = 0;
  let shapes = 0;
  const close = (end: number, height: number) => {
    const tiles: Placed[] = [];
    let left = 0;
    for (let index = first; index < end; index++) {
      const wide = shape(sizes[index]!) * height;
      tiles.push({ index, left, width: wide });
      left += wide + gap;
    }
    rows.push({ top, height: height + below, tiles });
    top += height + below + gap;
    first = end;
    shapes = 0;
  };
  for (let index = 0; index < sizes.length; index++) {
    shapes += shape(sizes[index]!);
    const count = index - first + 1;
    const height = (width - gap * (count - 1)) / shapes;
    if (height <= aim) close(index + 1, height);
  }
  if (first < sizes.length) close(sizes.length, aim);
  return rows;
}

/** Width over height; a picture whose size is not known yet is square. */
export function shape(size: Sized): number {
  const ratio = size.width > 0 && size.height > 0 ? size.width / size.height : 1;
  return Math.min(WIDEST, Math.max(NARROWEST, ratio));
}

/** Where the current tile stands: it is the same one wherever a new list puts it, and the one in its place where the list has it no more. */
export function placeOf(tiles: readonly { id: number }[], current: { index: number; id?: number }): number {
  if (tiles[current.index]?.id === current.id) return current.index;
  const moved = tiles.findIndex((tile) => tile.id === current.id);
  return moved >= 0 ? moved : Math.min(current.index, Math.max(0, tiles.length - 1));
}

/** The picture that an arrow leads to from this one. */
export function neighbour(rows: readonly Row[], index: number, key: "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown"): number {
  const at = rows.findIndex((row) => row.tiles.some((tile) => tile.index === index));
  const row = rows[at];
  if (!row) return 0;
  const last = rows.at(-1)!.tiles.at(-1)!.index;
  if (key === "ArrowLeft") return Math.max(0, index - 1);
  if (key === "ArrowRight") return Math.min(last, index + 1);
  const other = rows[at + (key === "ArrowDown" ? 1 : -1)];
  if (!other) return index;
  const tile = row.tiles.find((one) => one.index === index)!;
  const middle = tile.left + tile.width / 2;
  const away = (one: Placed) => Math.abs(one.left + one.width / 2 - middle);
  return other.tiles.reduce((best, one) => (away(one) < away(best) ? one : best)).index;
}
