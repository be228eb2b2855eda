import { describe, expect, it } from "vitest";
import { best, sharpnessOf } from "./best";

const one = (id: number, width: number, bytes: number, day: number, sharpness?: number) => ({ id, width, height: 100, bytes, created_at: `2026-01-0${day}T00:00:00Z`, sharpness });
const group = [one(1, 300, 50, 3, 9), one(2, 400, 40, 1, 2), one(3, 400, 60, 2, 5)];

describe("the best of a group", () => {
  it("is what was asked for, and of equals the one of most bytes", () => {
    expect(best(group, "size")?.id).toBe(3);
    expect(best(group, "sharpness")?.id).toBe(1);
    expect(best(group, "newest")?.id).toBe(1);
    expect(best(group, "oldest")?.id).toBe(2);
    expect(best(group.map((member) => ({ ...member, quality_score: member.id === 2 ? 0.8 : 0.5 })), "quality")?.id).toBe(2);
    expect(best(group, "quality")?.id).toBe(3); // before the server has measured it
    expect(best([], "size")).toBeUndefined();
    expect(best([one(5, 10, 1, 1), one(4, 10, 1, 1)], "size")?.id).toBe(4);
  });
});

describe("sharpness", () => {
  const picture = (grey: (x: number, y: number) => number) => {
    const pixels = new Uint8ClampedArray(4 * 32 * 32);
    for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) pixels.fill(grey(x, y), 4 * (32 * y + x), 4 * (32 * y + x) + 3);
    return sharpnessOf(pixels, 32, 32);
  };

  it("is more for hard edges than for soft ones, and nothing for none", () => {
    expect(picture(() => 120)).toBeCloseTo(0, 6);
    expect(picture((x) => (x < 16 ? 0 : 200))).toBeGreaterThan(picture((x) => Math.min(200, Math.max(0, 20 * (x - 8)))));
    expect(sharpnessOf(new Uint8ClampedArray(4), 1, 1)).toBe(0);
  });
});
