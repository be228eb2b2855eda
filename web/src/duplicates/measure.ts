import { sharpnessOf } from "./best";

const SIDE_PX = 384;

/** A picture's sharpness, measured here, all at one size, so that a large blurred one is no sharper than a small clear one. */
export async function sharpness(address: string): Promise<number> {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const scale = Math.min(1, SIDE_PX / Math.max(picture.naturalWidth, picture.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(picture.naturalHeight * scale));
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  if (!drawing) return 0;
  drawing.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return sharpnessOf(drawing.getImageData(0, 0, canvas.width, canvas.height).data, canvas.width, canvas.height);
}
