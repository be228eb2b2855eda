/** The last searches of this browser, as addresses. */
import { useSyncExternalStore } from "react";

const KEY = "omma.recent";
const MOST = 8;
const listeners = new Set<() => void>();
let known: readonly string[] | undefined;

function all(): readonly string[] {
  if (known === undefined) {
    try {
      const read: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      known = Array.isArray(read) ? read.filter((one): one is string => typeof one === "string").slice(0, MOST) : [];
    } catch {
      known = [];
    }
  }
  return known;
}

function set(next: readonly string[]): void {
  known = next;
  try {
    localStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // Not kept where storage is forbidden.
  }
  for (const listener of listeners) listener();
}

export function remember(address: string): void {
  if (all()[0] !== address) set([address, ...all().filter((one) => one !== address)].slice(0, MOST));
}

export const forget = () => set([]);

// Another window's: what is forgotten there is not to come back from here.
addEventListener("storage", (event) => {
  if (event.key !== KEY && event.key !== null) return;
  known = undefined;
  for (const listener of listeners) listener();
});

export function useRecent(): readonly string[] {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, all);
}
