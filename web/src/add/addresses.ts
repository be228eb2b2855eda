const MOST = 10_000;

/** Web addresses of what was pasted, each once, in its order: a line each, or with anything between them that no address has. Pure. */
export function addressesOf(pasted: string): string[] {
  const found = pasted.match(/https?:\/\/[^\s"'<>]+/gi) ?? [];
  return [...new Set(found.map((one) => one.replace(/[,;.)\]]+$/, "")))].slice(0, MOST);
}
