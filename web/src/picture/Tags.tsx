import { useState } from "react";
import { Icon } from "../shell/Icon";
import { texts } from "../texts";
import type { Retag } from "./retag";

/** The tags, each to be taken away, and a field for another one. */
export function Tags({ tags, mayChange, onChange }: { tags: readonly string[]; mayChange: boolean; onChange: (change: Retag) => void }) {
  const [added, setAdded] = useState("");
  return (
    <ul className="flex flex-wrap gap-1.5">
      {tags.map((tag) => (
        <li key={tag} className="max-w-full">
          {mayChange ? (
            <button type="button" className="chip" aria-label={texts.picture.tagRemove(tag.slice(0, 120))} onClick={() => onChange({ remove: tag })}>
              <bdi className="truncate">{tag.slice(0, 200)}</bdi>
              <Icon name="close" size={12} />
            </button>
          ) : (
            <bdi className="chip truncate">{tag.slice(0, 200)}</bdi>
          )}
        </li>
      ))}
      {mayChange && (
        <li>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              const tag = added.trim();
              if (tag && !tags.includes(tag)) onChange({ add: tag });
              setAdded("");
            }}
          >
            <input className="field min-h-7 w-32 rounded-full" dir="auto" aria-label={texts.picture.tagAdd} placeholder={texts.picture.tagAdd} value={added} onChange={(event) => setAdded(event.target.value)} />
          </form>
        </li>
      )}
    </ul>
  );
}
