/** Boxes on a picture, in fractions of its sides. Pure. */

export type Box = readonly [left: number, top: number, right: number, bottom: number];
export type Grip = "nw" | "ne" | "sw" | "se" | "move";

const LEAST = 0.02;
const ROUNDING = 1e-6;
const unit = (value: number) => Math.min(1, Math.max(0, value));

/** Of two opposite corners, whichever comes first. */
export function between(from: readonly [number, number], to: readonly [number, number]): Box {
  return [unit(Math.min(from[0], to[0])), unit(Math.min(from[1], to[1])), unit(Math.max(from[0], to[0])), unit(Math.max(from[1], to[1]))];
}

/** Whether it is large enough to have been meant. */
export function meant(box: Box): boolean {
  return box[2] - box[0] >= LEAST - ROUNDING && box[3] - box[1] >= LEAST - ROUNDING;
}

/** The box after a grip was pulled by so much; it stays on the picture and keeps its least size. */
export function pulled(box: Box, grip: Grip, dx: number, dy: number): Box {
  const [left, top, right, bottom] = box;
  if (grip === "move") {
    const x = Math.min(1 - right, Math.max(-left, dx));
    const y = Math.min(1 - bottom, Math.max(-top, dy));
    return [left + x, top + y, right + x, bottom + y];
  }
  const west = grip.endsWith("w");
  const north = grip.startsWith("n");
  return [
    west ? unit(Math.min(left + dx, right - LEAST)) : left,
    north ? unit(Math.min(top + dy, bottom - LEAST)) : top,
    west ? right : unit(Math.max(right + dx, left + LEAST)),
    north ? bottom : unit(Math.max(bottom + dy, top + LEAST)),
  ];
}

/** As the address and the server have it: `0.1,0.2,0.8,0.9`. */
export function written(box: Box): string {
  return box.map((value) => String(Math.round(value * 10_000) / 10_000)).join(",");
}

/** The box that was written so; undefined for anything else. */
export function read(text: string | undefined): Box | undefined {
  const numbers = (text ?? "").split(",").map(Number);
  const [left = NaN, top = NaN, right = NaN, bottom = NaN] = numbers;
  const box: Box = [left, top, right, bottom];
  return numbers.length === 4 && box.every((value) => value >= 0 && value <= 1) && meant(box) ? box : undefined;
}
