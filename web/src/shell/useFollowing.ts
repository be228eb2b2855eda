import { type RefObject, useCallback, useLayoutEffect, useRef } from "react";

/** For a list whose lines leave once they are decided: keys go on at the line that takes the place of one that left.
 *
 * control: what of a line gets the focus. Answers what is called, with the line's place, before it leaves. */
export function useFollowing(list: RefObject<HTMLElement | null>, control: string): (at: number) => void {
  const left = useRef<number | undefined>(undefined);
  useLayoutEffect(() => {
    const at = left.current;
    left.current = undefined;
    if (at === undefined || document.activeElement !== document.body) return; // somebody is elsewhere by now
    const lines = list.current?.children;
    lines?.item(Math.min(at, lines.length - 1))?.querySelector<HTMLElement>(control)?.focus();
  });
  return useCallback((at: number) => void (left.current = at), []);
}
