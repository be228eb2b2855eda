import { describe, expect, it } from "vitest";
import { type Asked, bodyOf, formOf, readAsked, withNot, writeAsked } from "./asked";

const read = (address: string) => readAsked(new URLSearchParams(address));

describe("the address of a search", () => {
  it("is plain for words and for a stored picture", () => {
    expect(writeAsked({ text: "a red chair" }).toString()).toBe("text=a+red+chair");
    expect(writeAsked({ id: 7 }).toString()).toBe("id=7");
  });

  it.each<Asked>([
    { text: "123" },
    { id: 7, box: "0.1,0.2,0.8,0.9", text: "at night", weight: 0.25, not: [3, 9] },
    { upload: "ab".repeat(32), near: "keep", score: 0.3, phash: 0, parts: true },
    { text: "<script>", filters: ["tag:lamp", "-owner:ann", "attr:price=40", "after:2026-01-31"] },
    { text: "a lamp", groups: 0.4 },
    { groups: 0 },
  ])("comes back as it went %#", (asked) => {
    expect(readAsked(writeAsked(asked))).toEqual(asked);
  });

  it("passes over what makes no sense", () => {
    expect(read("id=-1&box=1,2&weight=7&not=a,0&score=9&phash=65&near=all&f=:x&f=wider:many&upload=zz")).toEqual({});
    expect(read("text=x&box=0,0,1,1")).toEqual({ text: "x" });
    expect(read("id=1&box=0.5,0.5,0.4,0.9")).toEqual({ id: 1 });
  });
});

describe("what the server is asked", () => {
  it("weighs picture and words", () => {
    expect(bodyOf({ id: 7, text: "red", weight: 0.25, box: "0,0,0.5,0.5" }, undefined).queries).toEqual([
      { image_id: 7, bbox: "0,0,0.5,0.5", bbox_unit: "fraction", weight: 0.75 },
      { text: "red", weight: 0.25 },
    ]);
  });

  it("gives what it shall not be like a negative weight, shared", () => {
    const queries = bodyOf({ text: "red", not: [1, 2] }, undefined).queries ?? [];
    expect(queries.slice(1)).toEqual([{ image_id: 1, weight: -0.3 }, { image_id: 2, weight: -0.3 }]);
  });

  it("sends a form only where a form can say it", () => {
    expect(formOf({ upload: "a", not: [1] }, undefined)).toBeUndefined();
    expect(formOf({ upload: "a", filters: ["tag:lamp"] }, "next")).toEqual({ k: "60", timeout_ms: "6000", explain: "false", cursor: "next", filter: '{"tags":"lamp"}' });
  });

  it("keeps the last few that are not wanted, once each", () => {
    const many = Array.from({ length: 12 }, (_, at) => at + 1).reduce<Asked>((asked, id) => withNot(withNot(asked, id), id), { text: "x" });
    expect(many.not).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  });
});
