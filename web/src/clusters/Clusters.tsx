import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Thumbnail } from "../picture/Thumbnail";
import { type Asked, chipsOf, isSearch, withChips } from "../search/asked";
import { useSettled } from "../search/useSettled";
import { Failed } from "../shell/Failed";
import { Slider } from "../shell/Slider";
import { texts } from "../texts";
import { ALIKE, type Cluster, parted } from "./clusters";
import { HITS, PICTURES, useClusters } from "./useClusters";

const LIVE_MS = 250;
const SHOWN = 18;

/** What is asked for, in groups that look alike, the largest first. */
export function Clusters({ asked, onChange }: { asked: Asked; onChange: (asked: Asked, replace?: boolean) => void }) {
  const found = useClusters(asked);
  const [alike, setAlike] = useState(asked.groups ?? ALIKE);
  const settled = useSettled(alike, LIVE_MS);
  useEffect(() => {
    if (settled !== asked.groups) onChange({ ...asked, groups: settled }, true);
  }, [settled]);
  if (found.error && !found.data) return <Failed title={texts.groups.failed} error={found.error} again={() => void found.refetch()} />;
  const { groups, single } = parted(found.data ?? []);
  const pictures = groups.reduce((sum, one) => sum + one.ids.length, single.length);
  const most = isSearch(asked) ? HITS : PICTURES;
  return (
    <section aria-label={texts.groups.label} aria-busy={found.isFetching} className="flex flex-col gap-6">
      <div className="flex flex-wrap items-end justify-between gap-x-8 gap-y-3">
        <p role="status" className="text-small text-soft figures">
          {found.data ? texts.groups.found(groups.length, pictures) : texts.groups.looking}
          {pictures === most && ` · ${texts.groups.capped(most)}`}
        </p>
        <div className="w-full sm:w-64">
          <Slider label={texts.groups.alike} ends={[texts.groups.loose, texts.groups.close]} min={0.1} max={0.9} step={0.05} value={alike} onChange={setAlike} />
        </div>
      </div>
      <ol className="flex flex-col gap-6">
        {groups.map((group) => (
          <li key={group.representative}>
            <Group group={group} asked={asked} onChange={onChange} />
          </li>
        ))}
      </ol>
      {single.length > 0 && (
        <section className="flex flex-col gap-2">
          <h2 className="text-base font-semibold">
            {texts.groups.single} <span className="text-small font-normal text-soft figures">{single.length}</span>
          </h2>
          <Strip label={texts.groups.single} ids={single} />
        </section>
      )}
    </section>
  );
}

function Group({ group, asked, onChange }: { group: Cluster; asked: Asked; onChange: (asked: Asked) => void }) {
  const name = group.label ?? texts.groups.unnamed;
  const { groups: _, ...flat } = asked;
  return (
    <section className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="flex min-w-0 items-baseline gap-2 text-base font-semibold">
          <bdi className="truncate">{name.slice(0, 120)}</bdi> <span className="text-small font-normal text-soft figures">{group.ids.length}</span>
        </h2>
        <span className="ms-auto flex gap-1.5">
          {group.label && (
            <button type="button" className="chip" onClick={() => onChange(withChips(flat, [...chipsOf(asked), { field: "tag", value: group.label! }]))}>
              {texts.groups.only}
            </button>
          )}
          <Link to="/" search={{ id: group.representative }} className="chip">
            {texts.groups.similar}
          </Link>
        </span>
      </div>
      <Strip label={texts.groups.of(name.slice(0, 120), group.ids.length)} ids={group.ids} />
    </section>
  );
}

/** Pictures in a line that is scrolled sideways. */
function Strip({ label, ids }: { label: string; ids: readonly number[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? ids : ids.slice(0, SHOWN);
  return (
    <ul aria-label={label} className={`flex gap-1.5 pb-1 ${all ? "flex-wrap" : "overflow-x-auto"}`}>
      {shown.map((id) => (
        <li key={id} className="shrink-0">
          <Link to="/ui/picture/$id" params={{ id: String(id) }} className="block h-24 min-w-16 overflow-hidden rounded-picture bg-sunk -outline-offset-2 sm:h-32">
            <Thumbnail src={`/images/${id}/thumbnail`} alt={`#${id}`} loading="lazy" className="h-full w-auto" />
          </Link>
        </li>
      ))}
      {shown.length < ids.length && (
        <li className="flex shrink-0 items-center">
          <button type="button" className="button" onClick={() => setAll(true)}>
            {texts.groups.more(ids.length - shown.length)}
          </button>
        </li>
      )}
    </ul>
  );
}
