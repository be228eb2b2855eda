import { describe, expect, it } from "vitest";
import { inBoth, placed } from "./overlap";

describe("two answers beside each other", () => {
  it("say where the other one has a hit", () => {
    expect(placed([7, 8, 9], [9, 7])).toEqual([
      { id: 7, elsewhere: 1 },
      { id: 8, elsewhere: undefined },
      { id: 9, elsewhere: 0 },
    ]);
    expect(placed([], [1])).toEqual([]);
  });

  it("count what both have among the first", () => {
    expect(inBoth([1, 2, 3], [3, 2, 1], 3)).toBe(3);
    expect(inBoth([1, 2, 3], [3, 2, 1], 1)).toBe(0);
    expect(inBoth([1], [], 10)).toBe(0);
  });
});
