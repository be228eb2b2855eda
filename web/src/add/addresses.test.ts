import { expect, it } from "vitest";
import { addressesOf } from "./addresses";

it("takes addresses out of whatever they were pasted in", () => {
  expect(addressesOf("https://a.example/1.jpg\nhttps://a.example/2.jpg?x=1&y=2\r\n https://a.example/1.jpg")).toEqual(["https://a.example/1.jpg", "https://a.example/2.jpg?x=1&y=2"]);
  expect(addressesOf('see <img src="http://b.example/ä.png">, then https://c.example/x.jpg.')).toEqual(["http://b.example/ä.png", "https://c.example/x.jpg"]);
  expect(addressesOf("javascript:alert(1) file:///etc/passwd nothing")).toEqual([]);
});
