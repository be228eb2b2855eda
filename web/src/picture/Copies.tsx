import { useState } from "react";
import { useMay } from "../api/session";
import type { Picture } from "../api/types";
import { nameOf } from "../search/names";
import { texts } from "../texts";
import { Compare } from "./Compare";
import { Thumbnail } from "./Thumbnail";
import { useCopies } from "./usePicture";

const SHOWN = 11;

/** Near-duplicates, each to be laid over the picture; nothing where there are none. */
export function Copies({ picture }: { picture: Picture }) {
  const copies = useCopies(picture, useMay("read") && picture.state === "indexed").data ?? [];
  const [all, setAll] = useState(false);
  const [compared, setCompared] = useState<number | undefined>();
  if (!copies.length) return null;
  return (
    <section className="flex flex-col gap-2">
      <h2 className="eyebrow">{texts.picture.copies}</h2>
      <ul className="flex flex-wrap gap-1.5">
        {copies.slice(0, all ? copies.length : SHOWN).map((copy) => (
          <li key={copy.id}>
            <button type="button" className="block overflow-hidden rounded-picture" title={texts.picture.compare} onClick={() => setCompared(copy.id)}>
              <Thumbnail src={copy.thumbnail_url} alt={`${texts.picture.compare}: ${nameOf(copy)}`} className="h-20 w-auto" />
            </button>
          </li>
        ))}
        {!all && copies.length > SHOWN && (
          <li className="flex items-center">
            <button type="button" className="button" onClick={() => setAll(true)}>
              {texts.groups.more(copies.length - SHOWN)}
            </button>
          </li>
        )}
      </ul>
      {compared !== undefined && <Compare left={picture.content_url} right={`/images/${compared}/content`} onClose={() => setCompared(undefined)} />}
    </section>
  );
}
