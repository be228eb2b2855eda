import { Link } from "@tanstack/react-router";
import { Thumbnail } from "../picture/Thumbnail";
import { texts } from "../texts";
import { readAsked } from "./asked";
import { forget, useRecent } from "./recent";

export function Recent() {
  const recent = useRecent();
  if (!recent.length) return null;
  return (
    <section aria-label={texts.search.recent} className="flex flex-wrap items-center gap-1.5">
      {recent.map((address) => {
        const asked = readAsked(new URLSearchParams(address));
        return (
          <Link key={address} to="/" search={asked} className="chip">
            {asked.id && <Thumbnail src={`/images/${asked.id}/thumbnail`} alt={`#${asked.id}`} className="-ms-2 size-6 rounded-full object-cover" instead={`#${asked.id}`} />}
            {asked.upload && <span>{texts.asked.picture}</span>}
            {asked.text && <bdi className="max-w-48 truncate">{asked.text}</bdi>}
          </Link>
        );
      })}
      <button type="button" className="button button-bare text-soft" onClick={forget}>
        {texts.search.forget}
      </button>
    </section>
  );
}
