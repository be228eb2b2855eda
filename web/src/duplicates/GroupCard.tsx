import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Picture } from "../api/types";
import { Compare } from "../picture/Compare";
import { Thumbnail } from "../picture/Thumbnail";
import { nameOf } from "../search/names";
import { Failed } from "../shell/Failed";
import { Icon } from "../shell/Icon";
import { texts } from "../texts";
import { best, type Measure } from "./best";
import { type Group, type useDecisions, useMembers, useSharpness } from "./useDuplicates";

const bytes = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
const SHOWN = 24;

/** Copies of one picture beside each other: the one to keep is marked, the rest can go. */
export function GroupCard({
  group,
  measure,
  chosen,
  decisions,
  onChoose,
  onDone,
  onBack,
}: {
  group: Group;
  measure: Measure;
  chosen: ReadonlyMap<number, Picture>;
  decisions: ReturnType<typeof useDecisions>;
  onChoose: (picture: Picture) => void;
  onDone: () => void;
  onBack: () => void;
}) {
  const { members, known, error, again } = useMembers(group.ids);
  const sharp = useSharpness(members, measure === "sharpness");
  const [own, setOwn] = useState<number | undefined>();
  const [compared, setCompared] = useState<Picture | undefined>();
  const first = best(members.map((one) => ({ ...one, sharpness: sharp.get(one.id) })), measure);
  const kept = members.find((one) => one.id === own) ?? first;
  const others = members.filter((one) => one.id !== kept?.id).map((one) => one.id);
  if (!known) return <Coming count={group.ids.length} />;
  if (error)
    return (
      <li className="border-b border-line">
        <Failed error={error} again={again} />
      </li>
    );
  if (!kept || !others.length) return null;
  const decide = (act: (back: () => void) => void) => {
    onDone();
    act(onBack);
  };
  return (
    <li className="flex flex-col gap-3 border-b border-line pb-6">
      <ul aria-label={texts.duplicates.group(members.length)} className="grid grid-cols-2 gap-3 sm:grid-cols-[repeat(auto-fill,minmax(10rem,1fr))]">
        {[...members].sort((one, other) => Number(other.id === first?.id) - Number(one.id === first?.id)).slice(0, SHOWN).map((one) => (
          <li key={one.id} className="flex min-w-0 flex-col gap-1">
            <div className={`relative overflow-hidden rounded-picture bg-sunk ${one.id === kept.id ? "ring-3 ring-mark" : ""}`}>
              {one.id === kept.id ? (
                <Small picture={one} />
              ) : (
                <button type="button" className="block w-full" title={texts.picture.compare} onClick={() => setCompared(one)}>
                  <Small picture={one} />
                </button>
              )}
              <label className="absolute end-1 top-1 flex size-8 items-center justify-center rounded-full bg-ground/85">
                <input type="checkbox" className="size-4 accent-ink" checked={chosen.has(one.id)} aria-label={texts.duplicates.choose(nameOf(one))} onChange={() => onChoose(one)} />
              </label>
            </div>
            <label className="flex min-h-6 items-center gap-1.5 text-small">
              <input type="radio" name={`keep-${group.ids[0]}`} className="size-4 accent-ink" checked={one.id === kept.id} onChange={() => setOwn(one.id)} />
              {texts.duplicates.keepThis}
            </label>
            <p className="text-tiny text-soft figures">
              <span className="block">
                <bdi>
                  {one.width} × {one.height} · {bytes.format(one.bytes)}B
                </bdi>
              </span>
              <span className="block">
                {day.format(new Date(one.created_at))}
                {sharp.has(one.id) && ` · ${texts.duplicates.sharp(sharp.get(one.id) ?? 0)}`}
              </span>
              <Link to="/ui/picture/$id" params={{ id: String(one.id) }} className="block truncate underline decoration-line underline-offset-4 hover:text-ink">
                <bdi>{nameOf(one)}</bdi>
              </Link>
            </p>
          </li>
        ))}
      </ul>
      {members.length > SHOWN && <p className="text-small text-soft">{texts.duplicates.more(members.length - SHOWN)}</p>}
      <div className="flex flex-wrap gap-2">
        <button type="button" className="button button-strong" onClick={() => decide((back) => decisions.remove(others, back))}>
          <Icon name="check" size={16} />
          {texts.duplicates.keepOne(others.length)}
        </button>
        <button type="button" className="button" onClick={() => decide((back) => decisions.merge([kept.id, ...others], true, back))}>
          {texts.duplicates.same}
        </button>
        <button type="button" className="button" onClick={() => decide((back) => decisions.apart([kept.id, ...others], back))}>
          {texts.duplicates.different}
        </button>
      </div>
      {compared && <Compare left={kept.content_url} right={compared.content_url} onClose={() => setCompared(undefined)} />}
    </li>
  );
}

/** Of a group whose pictures are on their way: as high as it will be, so that those below stay where a hand is about to be. */
function Coming({ count }: { count: number }) {
  return (
    <li aria-busy="true" className="flex flex-col gap-3 border-b border-line pb-6">
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-[repeat(auto-fill,minmax(10rem,1fr))]">
        {Array.from({ length: Math.min(count, SHOWN) }, (_, at) => (
          <span key={at} className="h-52 rounded-picture bg-sunk sm:h-56" />
        ))}
      </div>
      <span className="h-9" />
    </li>
  );
}

function Small({ picture }: { picture: Picture }) {
  return <Thumbnail src={picture.thumbnail_url} alt={nameOf(picture)} loading="lazy" className="h-32 w-full object-contain sm:h-36" />;
}
