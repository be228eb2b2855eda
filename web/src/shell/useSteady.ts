import { useState } from "react";

/** Rows, as they are shown. What puts those that are shown in other places waits while a pointer is on them: a click meant for one would meet another.
 *
 * of: what they are rows of; those of another are shown at once. Answers what their list heeds, too. */
export function useSteady<T extends { id: number }>(latest: readonly T[], of: string) {
  const [shown, setShown] = useState({ rows: latest, of });
  const [pointed, setPointed] = useState(false);
  const moves = shown.of === of && shown.rows.some((row, at) => row.id !== latest[at]?.id);
  const rows = pointed && moves ? shown.rows : latest;
  if (rows !== shown.rows || shown.of !== of) setShown({ rows, of });
  return [rows, { onPointerEnter: () => setPointed(true), onPointerLeave: () => setPointed(false) }] as const;
}
