/** Which picture of a group is the best one. Pure. */
export const MEASURES = ["size", "quality", "sharpness", "newest", "oldest"] as const;
export type Measure = (typeof MEASURES)[number];
/** sharpness, quality_score: undefined until they are measured, here and by the server. */
export type Judged = { id: number; width: number; height: number; bytes: number; created_at: string; sharpness?: number; quality_score?: number };

/** Of equals the one of most bytes, then the oldest; undefined for none. */
export function best<T extends Judged>(pictures: readonly T[], measure: Measure): T | undefined {
  const by = (one: T): readonly number[] => {
    const size = one.width * one.height;
    const added = Date.parse(one.created_at);
    if (measure === "quality") return [one.quality_score ?? 0, size, one.bytes, -one.id];
    if (measure === "sharpness") return [one.sharpness ?? 0, size, one.bytes, -one.id];
    if (measure === "newest") return [added, size, one.bytes, one.id];
    if (measure === "oldest") return [-added, size, one.bytes, -one.id];
    return [size, one.bytes, -one.id];
  };
  return pictures.reduce<T | undefined>((found, one) => (found && !beyond(by(one), by(found)) ? found : one), undefined);
}

function beyond(one: readonly number[], other: readonly number[]): boolean {
  for (const [at, value] of one.entries()) if (value !== other[at]) return value > (other[at] ?? 0);
  return false;
}

/** How much of a picture's grey is edges: the variance of its Laplacian, 0 for a plain or a tiny one.
 *
 * pixels: RGBA, row by row. */
export function sharpnessOf(pixels: Uint8ClampedArray, width: number, height: number): number {
  if (width < 3 || height < 3) return 0;
  const grey = new Float32Array(width * height);
  for (let at = 0; at < grey.length; at++) grey[at] = 0.299 * pixels[4 * at]! + 0.587 * pixels[4 * at + 1]! + 0.114 * pixels[4 * at + 2]!;
  let sum = 0;
  let squares = 0;
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      const edge = grey[at - 1]! + grey[at + 1]! + grey[at - width]! + grey[at + width]! - 4 * grey[at]!;
      sum += edge;
      squares += edge * edge;
    }
  const count = (width - 2) * (height - 2);
  return squares / count - (sum / count) ** 2;
}
