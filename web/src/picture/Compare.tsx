import { useState } from "react";
import { Sheet } from "../shell/Sheet";
import { texts } from "../texts";

/** Two pictures in one frame, with a slider between them. */
export function Compare({ left, right, onClose }: { left: string; right: string; onClose: () => void }) {
  const [share, setShare] = useState(50);
  return (
    <Sheet title={texts.picture.compare} open onClose={onClose} wide>
      <div dir="ltr" className="relative mx-auto w-fit overflow-hidden rounded-picture">
        <img src={left} alt={texts.asked.picture} className="block max-h-[58vh] min-h-56 max-w-full object-contain" />
        <img src={right} alt={texts.picture.copies} className="absolute inset-0 size-full object-fill" style={{ clipPath: `inset(0 0 0 ${share}%)` }} />
        <span aria-hidden="true" className="absolute inset-y-0 w-0.5 -translate-x-1/2 bg-mark" style={{ left: `${share}%` }} />
        <input
          type="range"
          min={0}
          max={100}
          value={share}
          aria-label={texts.picture.compareSlider}
          onChange={(event) => setShare(Number(event.target.value))}
          className="absolute inset-0 size-full cursor-ew-resize opacity-0"
        />
      </div>
    </Sheet>
  );
}
