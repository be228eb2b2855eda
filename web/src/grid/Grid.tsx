import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { justified, neighbour, placeOf, type Placed, type Row, type Sized } from "./justify";
import { useWindow } from "./useWindow";

export type Tile = Sized & { id: number };

const GAP = 6;
const AHEAD_PX = 900;
const ARROWS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]);

/** A justified grid of which only what is near the window is in the document.
 *
 * below: px under each picture. onMore: the end is near. onKey: a key on a picture that is no arrow. */
export function Grid<T extends Tile>({
  tiles,
  label,
  below,
  children,
  onMore,
  onKey,
}: {
  tiles: readonly T[];
  label: string;
  below: number;
  children: (tile: T, index: number, focusable: boolean) => ReactNode;
  onMore?: () => void;
  onKey?: (tile: T, index: number, key: string) => boolean;
}) {
  const place = useRef<HTMLUListElement>(null);
  const { width, from, to } = useWindow(place);
  const rows = useMemo(() => (width > 0 ? justified(tiles, width, aimOf(width), GAP, below) : []), [tiles, width, below]);
  const last = rows.at(-1);
  const height = last ? last.top + last.height : 0;
  const [current, setCurrent] = useState<{ index: number; id?: number }>({ index: 0 });
  const wantsFocus = useRef(false);
  const at = useMemo(() => placeOf(tiles, current), [tiles, current]);
  const stand = (index: number) => setCurrent({ index, id: tiles[index]?.id });

  useEffect(() => {
    if (onMore && width > 0 && to + AHEAD_PX > height) onMore();
  }, [onMore, to, height, width]);

  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    place.current?.querySelector<HTMLElement>(`[data-index="${at}"] a`)?.focus();
  }, [at]);

  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tile = tiles[at];
    if (ARROWS.has(event.key)) {
      event.preventDefault();
      const rtl = document.documentElement.dir === "rtl";
      const next = neighbour(rows, at, (rtl ? mirrored(event.key) : event.key) as Parameters<typeof neighbour>[2]);
      wantsFocus.current = next !== at;
      stand(next);
    } else if (tile && onKey?.(tile, at, event.key)) event.preventDefault();
  };

  const shown = rows.filter((row) => (row.top + row.height > from - AHEAD_PX && row.top < to + AHEAD_PX) || holds(row, at));
  return (
    <ul ref={place} aria-label={label} onKeyDown={pressed} className="relative list-none" style={{ height }}>
      {shown.flatMap((row) =>
        row.tiles.map((placed) => {
          const tile = tiles[placed.index];
          return (
            tile && (
              <li
                key={tile.id}
                data-index={placed.index}
                onFocus={() => stand(placed.index)}
                aria-setsize={tiles.length}
                aria-posinset={placed.index + 1}
                className="absolute"
                style={{ top: row.top, insetInlineStart: placed.left, width: placed.width, height: row.height }}
              >
                {children(tile, placed.index, placed.index === at)}
              </li>
            )
          );
        }),
      )}
    </ul>
  );
}

function aimOf(width: number): number {
  return width < 480 ? 132 : width < 900 ? 168 : 204;
}

function holds(row: Row, index: number): boolean {
  return row.tiles.some((tile: Placed) => tile.index === index);
}

function mirrored(key: string): string {
  return key === "ArrowLeft" ? "ArrowRight" : key === "ArrowRight" ? "ArrowLeft" : key;
}
