import { describe, expect, it } from "vitest";
import { between, type Box, type Grip, meant, pulled, read, written } from "./box";

const box: Box = [0.2, 0.3, 0.6, 0.7];

describe("a box", () => {
  it("is the same whichever corner comes first, and stays on the picture", () => {
    expect(between([0.8, 0.9], [0.1, -3])).toEqual([0.1, 0, 0.8, 0.9]);
  });

  it("moves whole, to the edge and no further", () => {
    const moved = pulled(box, "move", 9, -9);
    expect(moved.map((value) => Math.round(value * 100))).toEqual([60, 0, 100, 40]);
  });

  it.each<Grip>(["nw", "ne", "sw", "se"])("keeps its least size when %s is pulled too far", (grip) => {
    for (const far of [-5, 5]) expect(meant(pulled(box, grip, far, far))).toBe(true);
  });

  it("is written and read", () => {
    expect(read(written(box))).toEqual(box);
    for (const wrong of [undefined, "", "1,2,3", "0,0,2,2", "0.5,0.5,0.5,0.9", "a,b,c,d"]) expect(read(wrong)).toBeUndefined();
  });
});
