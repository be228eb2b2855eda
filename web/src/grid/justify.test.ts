import { describe, expect, it } from "vitest";
import { justified, neighbour, placeOf, shape } from "./justify";

const sizes = Array.from({ length: 101 }, (_, at) => ({ width: 200 + ((at * 37) % 300), height: 200 }));

describe("a justified grid", () => {
  const rows = justified(sizes, 1000, 200, 6, 8);

  it("shows every picture once, in order", () => {
    expect(rows.flatMap((row) => row.tiles.map((tile) => tile.index))).toEqual(sizes.map((_, at) => at));
  });

  it("fills every row but the last from edge to edge, each picture whole", () => {
    for (const row of rows.slice(0, -1)) {
      const last = row.tiles.at(-1)!;
      expect(last.left + last.width).toBeCloseTo(1000, 6);
      for (const tile of row.tiles) expect(tile.width / (row.height - 8)).toBeCloseTo(shape(sizes[tile.index]!), 6);
    }
  });

  it("puts rows below one another", () => {
    for (let at = 1; at < rows.length; at++) expect(rows[at]!.top).toBeCloseTo(rows[at - 1]!.top + rows[at - 1]!.height + 6, 6);
  });

  it("is walked with arrows and never left", () => {
    expect(neighbour(rows, 0, "ArrowLeft")).toBe(0);
    expect(neighbour(rows, 100, "ArrowRight")).toBe(100);
    expect(neighbour(rows, 100, "ArrowDown")).toBe(100);
    const below = neighbour(rows, 1, "ArrowDown");
    expect(rows[1]!.tiles.map((tile) => tile.index)).toContain(below);
    expect(rows[0]!.tiles.map((tile) => tile.index)).toContain(neighbour(rows, below, "ArrowUp"));
  });

  it("keeps its current picture wherever a new list puts it", () => {
    const list = (...ids: number[]) => ids.map((id) => ({ id }));
    expect(placeOf(list(7, 8, 9), { index: 1, id: 8 })).toBe(1);
    expect(placeOf(list(9, 7, 8), { index: 1, id: 8 })).toBe(2);
    expect(placeOf(list(9, 7), { index: 1, id: 8 })).toBe(1);
    expect(placeOf(list(9), { index: 1, id: 8 })).toBe(0);
    expect(placeOf(list(9, 7), { index: 0 })).toBe(0);
    expect(placeOf([], { index: 1, id: 8 })).toBe(0);
  });

  it("holds odd sizes", () => {
    expect(justified([], 1000, 200, 6, 8)).toEqual([]);
    expect(shape({ width: 0, height: 0 })).toBe(1);
    expect(justified([{ width: 1, height: 100_000 }, { width: 100_000, height: 1 }], 320, 120, 6, 0).length).toBeGreaterThan(0);
  });
});
