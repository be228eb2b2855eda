import { describe, expect, it } from "vitest";
import { type Chip, filterOf, readChip, suggested, writtenChip } from "./filters";

describe("chips", () => {
  it.each<Chip>([
    { field: "tag", value: "a:b, c=d" },
    { field: "tag", value: "-odd", not: true },
    { field: "attr", name: "price", value: "4=0" },
    { field: "before", value: "2026-02-28" },
    { field: "private", value: "true", not: true },
  ])("come back as they were written %#", (chip) => expect(readChip(writtenChip(chip))).toEqual(chip));

  it.each(["", "tag", "tag:", "colour:red", "attr:x", "attr:=1", "wider:-1", "after:yesterday", "private:maybe"])("refuse %s", (text) => expect(readChip(text)).toBeUndefined());

  it("become the server's filter: tags narrow, owners are alternatives", () => {
    const chips: Chip[] = [
      { field: "tag", value: "lamp" },
      { field: "tag", value: "red" },
      { field: "owner", value: "ann" },
      { field: "owner", value: "bob" },
      { field: "wider", value: "640" },
      { field: "attr", name: "sold", value: "true", not: true },
    ];
    expect(filterOf(chips)).toEqual({
      and: [{ tags: "lamp" }, { tags: "red" }, { width: { gte: 640 } }, { not: { "attributes.sold": true } }, { owner: { in: ["ann", "bob"] } }],
    });
    expect(filterOf([])).toBeUndefined();
    expect(filterOf([{ field: "private", value: "true" }])).toEqual({ private: true });
    expect(filterOf([{ field: "attr", name: "size", value: '"42"' }])).toEqual({ "attributes.size": "42" });
  });

  it("are suggested by how many have them, and never what all have", () => {
    const hits = [{ tags: ["a", "b"] }, { tags: ["a", "c"] }, { tags: ["a", "c"] }];
    expect(suggested(hits, [{ field: "tag", value: "b" }], 5)).toEqual([["c", 2]]);
  });
});
