import { Link } from "@tanstack/react-router";
import { type MouseEvent, type ReactNode, useState } from "react";
import { Thumbnail } from "../picture/Thumbnail";
import { texts } from "../texts";

/** A picture of the grid, with the bar of its score under it. box: of the part that matched, in fractions.
 *
 * onHold: a finger rests on it. children: what is laid over it while it is pointed at or in focus; the hundred others of a grid go without. */
export function Card({
  id,
  name,
  thumbnail,
  score,
  box,
  alike = 0,
  focusable,
  onOpen,
  onHold,
  children,
}: {
  id: number;
  name: string;
  thumbnail: string;
  score: number | null;
  box?: readonly [number, number, number, number];
  alike?: number;
  focusable: boolean;
  onOpen?: () => void;
  onHold?: () => void;
  children?: ReactNode;
}) {
  const [near, setNear] = useState(false);
  const held = (event: MouseEvent) => {
    if (!onHold || (event.nativeEvent as globalThis.PointerEvent).pointerType !== "touch") return;
    event.preventDefault();
    onHold();
  };
  const percent = (value: number) => `${value * 100}%`;
  return (
    <div
      className="@container relative flex h-full flex-col"
      onPointerEnter={() => setNear(true)}
      onPointerLeave={(event) => setNear(event.currentTarget.contains(document.activeElement))}
      onFocus={() => setNear(true)}
      onBlur={(event) => setNear(event.currentTarget.contains(event.relatedTarget) || event.currentTarget.matches(":hover"))}
    >
      <Link
        to="/ui/picture/$id"
        params={{ id: String(id) }}
        tabIndex={focusable ? 0 : -1}
        aria-label={texts.card.named(name, score)}
        onClick={onOpen}
        onContextMenu={held}
        className="relative block min-h-0 flex-1 overflow-hidden rounded-picture bg-sunk"
      >
        <Thumbnail
          src={thumbnail}
          alt=""
          loading="lazy"
          draggable={false}
          className="size-full object-cover"
          instead={<span className="flex h-full items-center justify-center p-2 text-center text-tiny text-soft">{texts.card.unseen}</span>}
        />
        {box && (
          <span
            className="absolute rounded-mark border-2 border-mark shadow-[0_0_0_1px_#fff8]"
            style={{ left: percent(box[0]), top: percent(box[1]), width: percent(box[2] - box[0]), height: percent(box[3] - box[1]) }}
          />
        )}
        {alike > 0 && (
          <span className="absolute end-1.5 top-1.5 rounded-full bg-black/65 px-2 py-0.5 text-tiny text-white figures" title={texts.card.alike(alike)}>
            +{alike}
          </span>
        )}
      </Link>
      {score !== null && (
        <span className="mt-1 block h-[3px] rounded-full bg-line" title={score.toFixed(3)}>
          <span className="block h-full rounded-full bg-mark" style={{ width: percent(Math.min(1, Math.max(0, score))) }} />
        </span>
      )}
      {near && children}
    </div>
  );
}
