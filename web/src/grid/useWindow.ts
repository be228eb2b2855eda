import { type RefObject, useLayoutEffect, useState } from "react";

const STEP_PX = 200;

/** How wide an element is, and which part of it is in the window, in its own px and in steps, so that few scrolls redraw. */
export function useWindow(place: RefObject<HTMLElement | null>): { width: number; from: number; to: number } {
  const [seen, setSeen] = useState({ width: 0, from: 0, to: 0 });
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    let asked = 0;
    const look = () => {
      asked = 0;
      const box = element.getBoundingClientRect();
      const from = Math.floor(Math.max(0, -box.top) / STEP_PX) * STEP_PX;
      const to = Math.ceil((innerHeight - box.top) / STEP_PX) * STEP_PX;
      const width = Math.floor(box.width);
      setSeen((now) => (now.width === width && now.from === from && now.to === to ? now : { width, from, to }));
    };
    const soon = () => {
      asked ||= requestAnimationFrame(look);
    };
    look();
    const sizes = new ResizeObserver(soon);
    sizes.observe(element);
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      sizes.disconnect();
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      if (asked) cancelAnimationFrame(asked);
    };
  }, [place]);
  return seen;
}
