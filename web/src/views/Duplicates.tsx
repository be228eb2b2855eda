import { useRef, useState } from "react";
import { useMay } from "../api/session";
import type { Picture } from "../api/types";
import { type Measure, MEASURES } from "../duplicates/best";
import { Chosen } from "../duplicates/Chosen";
import { GroupCard } from "../duplicates/GroupCard";
import { type Group, useDecisions, useGroups } from "../duplicates/useDuplicates";
import { Failed } from "../shell/Failed";
import { Refused } from "../shell/Refused";
import { useFollowing } from "../shell/useFollowing";
import { texts } from "../texts";

export function Duplicates() {
  const may = useMay("write");
  const [wanted, setWanted] = useState(1);
  const found = useGroups(may, wanted);
  const decisions = useDecisions();
  const [measure, setMeasure] = useState<Measure>("size");
  const [done, setDone] = useState<ReadonlySet<number>>(new Set());
  const [chosen, setChosen] = useState<ReadonlyMap<number, Picture>>(new Map());
  const list = useRef<HTMLUListElement>(null);
  const leaves = useFollowing(list, ".button-strong");
  if (!may) return <Refused why={texts.duplicates.needsRole} />;
  if (found.error && !found.data) return <Failed error={found.error} again={() => void found.refetch()} />;
  const mark = (group: number, is: boolean) =>
    setDone((now) => {
      const next = new Set(now);
      if (is) next.add(group);
      else next.delete(group);
      return next;
    });
  const decided = (group: Group, at: number) => {
    leaves(at);
    mark(group.ids[0]!, true);
    setChosen((now) => new Map([...now].filter(([id]) => !group.ids.includes(id)))); // they leave, or were decided on
  };
  const toggle = (picture: Picture) =>
    setChosen((now) => {
      const next = new Map(now);
      if (!next.delete(picture.id)) next.set(picture.id, picture);
      return next;
    });
  const left = found.groups.filter((group) => !done.has(group.ids[0]!));
  const over = !found.looking && !found.hasNextPage;
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-6 px-4 pt-4 pb-10 sm:px-6">
      <div className="flex flex-wrap items-end justify-between gap-3">
        <div>
          <h1 className="text-title">{texts.duplicates.title}</h1>
          <p role="status" className="text-small text-soft figures">
            {left.length ? texts.duplicates.found(left.length, !over) : over ? texts.duplicates.empty : texts.duplicates.looking}
          </p>
        </div>
        <label className="flex items-center gap-2 text-small text-soft">
          {texts.duplicates.keepBy}
          <select className="field" value={measure} onChange={(event) => setMeasure(event.target.value as Measure)}>
            {MEASURES.map((one) => (
              <option key={one} value={one}>
                {texts.duplicates.by[one]}
              </option>
            ))}
          </select>
        </label>
      </div>
      <ul ref={list} aria-label={texts.duplicates.title} aria-busy={found.looking} className="flex flex-col gap-6">
        {left.map((group, at) => {
          const key = group.ids[0]!;
          return <GroupCard key={key} group={group} measure={measure} chosen={chosen} decisions={decisions} onChoose={toggle} onDone={() => decided(group, at)} onBack={() => mark(key, false)} />;
        })}
      </ul>
      {found.error && <Failed error={found.error} again={() => void found.fetchNextPage()} />}
      {!over && !found.error && (
        <button type="button" className="button self-center" disabled={found.looking} onClick={() => setWanted(wanted + 1)}>
          {found.looking ? texts.duplicates.looking : texts.duplicates.further}
        </button>
      )}
      {chosen.size > 0 && <Chosen pictures={[...chosen.values()]} decisions={decisions} onClear={() => setChosen(new Map())} />}
    </div>
  );
}
