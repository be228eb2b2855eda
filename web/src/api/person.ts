/** A number for this browser, so that clicks of one person can be told from those of others; it names nobody. */
const KEY = "omma.person";

export function person(): string {
  try {
    const known = localStorage.getItem(KEY);
    if (known) return known;
    const made = `page-${[...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(16)).join("")}`;
    localStorage.setItem(KEY, made);
    return made;
  } catch {
    return "page";
  }
}
