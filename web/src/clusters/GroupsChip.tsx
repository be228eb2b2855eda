import type { Asked } from "../search/asked";
import { texts } from "../texts";
import { ALIKE } from "./clusters";

/** Between a grid and groups. */
export function GroupsChip({ asked, onChange }: { asked: Asked; onChange: (asked: Asked) => void }) {
  const on = asked.groups !== undefined;
  return (
    <button type="button" aria-pressed={on} className={`chip ${on ? "border-ink bg-ink text-ground" : "text-soft"}`} onClick={() => onChange({ ...asked, groups: on ? undefined : ALIKE })}>
      {texts.asked.groups}
    </button>
  );
}
