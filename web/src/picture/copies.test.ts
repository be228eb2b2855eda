import { describe, expect, it } from "vitest";
import { foldedWith } from "./copies";

const one = (id: number) => ({ id, thumbnail_url: `/images/${id}/thumbnail` });

describe("copies of a picture", () => {
  const hits = [{ ...one(1), duplicates: [one(2), one(3)] }, one(4)];
  it.each([
    [1, [2, 3]],
    [2, [1, 3]],
    [4, []],
    [5, []],
  ])("of %i are %j", (id, ids) => expect(foldedWith(id, hits).map((copy) => copy.id)).toEqual(ids));
});
