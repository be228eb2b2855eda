import { describe, expect, it } from "vitest";
import { nameOf } from "./names";

describe("a picture's name", () => {
  it("is its caption, else its file's, else its number", () => {
    expect(nameOf({ id: 1, uri: "omma:9f86d0", attributes: { caption: "a lamp", filename: "c.jpg" } })).toBe("a lamp");
    expect(nameOf({ id: 1, uri: "omma:9f86d0", attributes: { caption: " ", filename: "c.jpg" } })).toBe("c.jpg");
    expect(nameOf({ id: 1, uri: "file:///a/b%20c.jpg", attributes: { caption: " a lamp " } })).toBe("a lamp");
    expect(nameOf({ id: 1, uri: "file:///a/b%20c.jpg" })).toBe("b c.jpg");
    expect(nameOf({ id: 1, uri: "omma:9f86d0" })).toBe("#1");
    expect(nameOf({ id: 1, uri: "s3://a/%E0%A4%A" })).toBe("%E0%A4%A");
    expect(nameOf({ id: 1, attributes: { caption: "x".repeat(10_000) } })).toHaveLength(120);
  });
});
