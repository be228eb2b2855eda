import { describe, expect, it } from "vitest";
import { retagged } from "./retag";

describe("tags", () => {
  it.each([
    [{ add: "c" }, ["a", "b", "c"]],
    [{ add: "a" }, ["a", "b"]],
    [{ remove: "a" }, ["b"]],
    [{ remove: "c" }, ["a", "b"]],
    [{ add: "c", remove: "a" }, ["b", "c"]],
    [{}, ["a", "b"]],
  ])("with %j are %j", (change, tags) => expect(retagged(["a", "b"], change)).toEqual(tags));
});
