import { describe, expect, it } from "vitest";
import { parted } from "./clusters";

describe("groups", () => {
  it("of one picture stand together at the end", () => {
    const pair = { ids: [3, 1], representative: 3, label: "lamp" };
    expect(parted([pair, { ids: [7], representative: 7 }, { ids: [9], representative: 9 }])).toEqual({ groups: [pair], single: [7, 9] });
    expect(parted([])).toEqual({ groups: [], single: [] });
  });
});
