import { type FormEvent, useState } from "react";
import type { Picture } from "../api/types";
import { texts } from "../texts";
import type { useDecisions } from "./useDuplicates";

/** What is done with the chosen pictures, whichever groups they are of. */
export function Chosen({ pictures, decisions, onClear }: { pictures: readonly Picture[]; decisions: ReturnType<typeof useDecisions>; onClear: () => void }) {
  const [tag, setTag] = useState("");
  const ids = pictures.map((one) => one.id);
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (tag.trim()) decisions.tag(ids, tag.trim());
    setTag("");
  };
  return (
    <section aria-label={texts.duplicates.chosenLabel} className="sticky bottom-18 z-20 flex flex-wrap items-center gap-2 rounded-sheet border border-line bg-raised p-3 shadow-lg sm:bottom-3">
      <p role="status" className="text-small figures">
        {texts.duplicates.chosen(ids.length)}
      </p>
      <form onSubmit={send}>
        <input className="field w-40" dir="auto" aria-label={texts.duplicates.tag} placeholder={texts.duplicates.tag} value={tag} onChange={(event) => setTag(event.target.value)} />
      </form>
      <button type="button" className="button" disabled={ids.length < 2} onClick={() => decisions.merge(ids, false)}>
        {texts.duplicates.same}
      </button>
      <button type="button" className="button ms-auto" onClick={onClear}>
        {texts.duplicates.none}
      </button>
    </section>
  );
}
