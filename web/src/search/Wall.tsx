import { useMemo } from "react";
import { useMay } from "../api/session";
import { Clusters } from "../clusters/Clusters";
import { GroupsChip } from "../clusters/GroupsChip";
import { Card } from "../grid/Card";
import { Grid } from "../grid/Grid";
import { Failed } from "../shell/Failed";
import { texts } from "../texts";
import { type Asked, chipsOf, withChips } from "./asked";
import { Empty } from "./Empty";
import { FilterBar } from "./FilterBar";
import { nameOf } from "./names";
import { useMore, useWall } from "./useSearch";

/** Before a search: what the collection holds. */
export function Wall({ asked, onChange }: { asked: Asked; onChange: (asked: Asked, replace?: boolean) => void }) {
  const wall = useWall(asked, useMay("read"));
  const pictures = useMemo(() => wall.data?.pages.flatMap((page) => page.images) ?? [], [wall.data]);
  const chips = chipsOf(asked);
  const first = wall.data?.pages[0];
  const more = useMore(wall);
  if (wall.error && !first) return <Failed error={wall.error} again={() => void wall.refetch()} />;
  if (!first) return null;
  if (!pictures.length && !chips.length) return <Empty />;
  return (
    <section aria-label={texts.search.wallLabel} className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <FilterBar chips={chips} hits={pictures} onChange={(next) => onChange(withChips(asked, next))}>
          <GroupsChip asked={asked} onChange={onChange} />
        </FilterBar>
        {asked.groups === undefined && <p className="text-small text-soft figures">{texts.search.wall(first.count, first.count_capped ?? false)}</p>}
      </div>
      {asked.groups === undefined ? (
        <>
          <Grid tiles={pictures} label={texts.search.wallLabel} below={0} onMore={more}>
            {(picture, _, focusable) => <Card id={picture.id} name={nameOf(picture)} thumbnail={picture.thumbnail_url} score={null} focusable={focusable} />}
          </Grid>
          {wall.error && <Failed error={wall.error} again={() => void (wall.isFetchNextPageError ? wall.fetchNextPage() : wall.refetch())} />}
        </>
      ) : (
        <Clusters asked={asked} onChange={onChange} />
      )}
    </section>
  );
}
