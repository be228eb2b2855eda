import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { texts } from "../texts";
import { between, type Box, type Grip, meant, pulled } from "./box";

const GRIPS: readonly Grip[] = ["nw", "ne", "sw", "se"];
const CORNER: Record<string, string> = {
  nw: "-left-2.5 -top-2.5 cursor-nwse-resize",
  ne: "-right-2.5 -top-2.5 cursor-nesw-resize",
  sw: "-left-2.5 -bottom-2.5 cursor-nesw-resize",
  se: "-right-2.5 -bottom-2.5 cursor-nwse-resize",
};
const STEP = 0.02;

type Pull = { grip: Grip | "draw"; from: readonly [number, number]; box: Box | undefined };

/** A picture to draw a box on, and to move it. onChange: while it is drawn with settled false, then once with true. */
export function BoxCanvas({
  src,
  alt,
  box,
  onChange,
  onError,
  className = "",
}: {
  src: string;
  alt: string;
  box: Box | undefined;
  onChange: (box: Box | undefined, settled: boolean) => void;
  onError?: () => void;
  className?: string;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const pull = useRef<Pull | undefined>(undefined);
  const [drawing, setDrawing] = useState(false);

  const at = (event: PointerEvent): readonly [number, number] => {
    const sides = frame.current!.getBoundingClientRect();
    return [(event.clientX - sides.left) / sides.width, (event.clientY - sides.top) / sides.height];
  };
  const begin = (grip: Pull["grip"]) => (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    frame.current!.setPointerCapture(event.pointerId);
    pull.current = { grip, from: at(event), box };
    setDrawing(true);
  };
  const boxAt = (event: PointerEvent): Box | undefined => {
    const { grip, from, box: before } = pull.current!;
    const [x, y] = at(event);
    if (grip === "draw") return between(from, [x, y]);
    return before && pulled(before, grip, x - from[0], y - from[1]);
  };
  const move = (event: PointerEvent) => {
    if (!pull.current) return;
    const next = boxAt(event);
    if (next && meant(next)) onChange(next, false);
  };
  const end = (event: PointerEvent) => {
    if (!pull.current) return;
    const next = boxAt(event);
    pull.current = undefined;
    setDrawing(false);
    onChange(next && meant(next) ? next : undefined, true); // a click beside the box takes it away
  };
  const pressed = (event: KeyboardEvent) => {
    if (!box) return;
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (step) onChange(pulled(box, event.shiftKey ? "se" : "move", step[0]!, step[1]!), true);
    else if (event.key === "Delete" || event.key === "Backspace") onChange(undefined, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const percent = (value: number) => `${value * 100}%`;
  return (
    <div
      ref={frame}
      data-testid="canvas"
      onPointerDown={begin("draw")}
      onPointerMove={move}
      onPointerUp={end}
      onPointerCancel={end}
      dir="ltr"
      className={`relative w-fit touch-none overflow-hidden rounded-picture select-none ${drawing ? "cursor-grabbing" : "cursor-crosshair"} ${className}`}
    >
      <img src={src} alt={alt} draggable={false} onError={onError} className="block max-h-[inherit] max-w-full" />
      {box && (
        <>
          <div className="pointer-events-none absolute inset-0 bg-black/45" style={{ clipPath: hole(box) }} />
          <div
            role="group"
            tabIndex={0}
            aria-label={texts.asked.box}
            onKeyDown={pressed}
            onPointerDown={begin("move")}
            className="absolute cursor-move rounded-mark border-2 border-mark shadow-[0_0_0_1px_#fffa]"
            style={{ left: percent(box[0]), top: percent(box[1]), width: percent(box[2] - box[0]), height: percent(box[3] - box[1]) }}
          >
            {GRIPS.map((grip) => (
              <span key={grip} data-grip={grip} onPointerDown={begin(grip)} className={`absolute flex size-5 items-center justify-center ${CORNER[grip]}`}>
                <span className="size-2.5 rounded-full border-2 border-white bg-mark" />
              </span>
            ))}
          </div>
        </>
      )}
    </div>
  );
}

/** Everything but the box. */
function hole([left, top, right, bottom]: Box): string {
  const corner = (x: number, y: number) => `${x * 100}% ${y * 100}%`;
  const inner = [corner(left, top), corner(left, bottom), corner(right, bottom), corner(right, top), corner(left, top)];
  return `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${inner.join(", ")})`;
}
