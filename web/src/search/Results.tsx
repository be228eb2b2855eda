import { useNavigate } from "@tanstack/react-router";
import { type MouseEvent, useState } from "react";
import { api } from "../api/client";
import { person } from "../api/person";
import type { Hit } from "../api/types";
import { Card } from "../grid/Card";
import { Grid } from "../grid/Grid";
import { Failed } from "../shell/Failed";
import { Icon, type IconName } from "../shell/Icon";
import { texts } from "../texts";
import { type Asked, withNot } from "./asked";
import { nameOf } from "./names";
import { Notes } from "./Notes";
import { Took } from "./Took";
import { useMore, type useSearch } from "./useSearch";
import { useSettled } from "./useSettled";
import { Why } from "./Why";

const BAR_PX = 8;
const LATE_MS = 500;

/** What was found: a line about it, then the grid. Where the next answer is late, what stands there says that it is of the one before. */
export function Results({ asked, found, hits, onChange }: { asked: Asked; found: ReturnType<typeof useSearch>; hits: readonly Hit[]; onChange: (asked: Asked) => void }) {
  const navigate = useNavigate();
  const [why, setWhy] = useState<{ hit: Hit; rank: number; queryId: string | undefined } | undefined>();
  const first = found.data?.pages[0];
  const { hasNextPage, isFetchingNextPage, isPlaceholderData } = found;
  const more = useMore(found);
  const late = useSettled(isPlaceholderData, LATE_MS) && isPlaceholderData;

  const clicked = (hit: Hit, rank: number) => {
    // What is asked now is not what these were found by, as long as its answer is on its way.
    const query = asked.id && !isPlaceholderData ? { query_image_id: asked.id } : {};
    const click = { user_id: person(), displayed_image_id: hit.id, rank, query_id: first?.query_id ?? "", ...query };
    void api.POST("/click", { body: click, keepalive: true }).catch(() => undefined); // what is lost here costs nobody anything
  };
  const similar = (hit: Hit) => onChange({ id: hit.id, ...(asked.filters ? { filters: asked.filters } : {}) });
  const explain = (hit: Hit, rank: number) => setWhy({ hit, rank, queryId: first?.query_id });
  const notLike = (hit: Hit) => onChange(withNot(asked, hit.id));
  const pressed = (hit: Hit, rank: number, key: string): boolean => {
    if (key === "s") similar(hit);
    else if (key === "n") notLike(hit);
    else if (key === "w") explain(hit, rank);
    else if (key === "Enter") {
      clicked(hit, rank);
      void navigate({ to: "/ui/picture/$id", params: { id: String(hit.id) } });
    } else return false;
    return true;
  };

  if (found.error && !first) return <Failed title={texts.search.failed} error={found.error} again={() => void found.refetch()} />;
  if (!first) return <Waiting />;
  return (
    <section aria-label={texts.search.results} aria-busy={found.isFetching} className="flex flex-col gap-3">
      {found.error && <Failed title={texts.search.failed} error={found.error} again={() => void found.refetch()} />}
      <p className="flex items-baseline gap-2 text-small text-soft" role="status">
        {late ? (
          texts.search.looking
        ) : (
          <>
            <span>{texts.search.found(hits.length, hasNextPage)}</span>
            <span aria-hidden="true">·</span>
            <Took answer={first} />
          </>
        )}
      </p>
      {!late && <Notes answer={first} asked={asked} />}
      <div className={late ? "opacity-50" : ""}>
        <Grid tiles={hits} label={texts.search.results} below={BAR_PX} onMore={more} onKey={pressed}>
          {(hit, rank, focusable) => (
            <Card
              id={hit.id}
              name={nameOf(hit)}
              thumbnail={hit.thumbnail_url}
              score={hit.score}
              alike={hit.duplicates?.length}
              box={hit.bbox && hit.width ? [hit.bbox[0]! / hit.width, hit.bbox[1]! / hit.height, hit.bbox[2]! / hit.width, hit.bbox[3]! / hit.height] : undefined}
              focusable={focusable}
              onOpen={() => clicked(hit, rank)}
              onHold={() => explain(hit, rank)}
            >
              <div className="pointer-events-none absolute inset-x-0 bottom-2 flex items-end justify-between gap-1 overflow-hidden rounded-b-picture bg-linear-to-t from-black/70 py-1.5 pt-6 @min-[9rem]:px-1.5 transition-opacity starting:opacity-0">
                <span className="hidden px-1 text-tiny text-white figures @min-[9rem]:inline">{hit.score.toFixed(3)}</span>
                <span className="pointer-events-auto mx-auto flex flex-col @min-[5.5rem]:flex-row @min-[9rem]:me-0">
                  <Action icon="search" label={texts.card.similar} onClick={() => similar(hit)} />
                  <Action icon="minus" label={texts.card.not} onClick={() => notLike(hit)} />
                  <Action icon="info" label={texts.why.title} onClick={() => explain(hit, rank)} />
                </span>
              </div>
            </Card>
          )}
        </Grid>
      </div>
      <p className="py-6 text-center text-small text-soft" role="status">
        {isFetchingNextPage ? texts.search.loadingMore : !hasNextPage && hits.length > 0 ? texts.search.end : ""}
      </p>
      {why && <Why {...why} onSimilar={similar} onNot={notLike} onClose={() => setWhy(undefined)} />}
    </section>
  );
}

/** What keys do, for a hand. The focus goes to the picture first, so that a dialog leads back to it. */
function Action({ icon, label, onClick }: { icon: IconName; label: string; onClick: () => void }) {
  const act = (event: MouseEvent) => {
    event.currentTarget.closest("li")?.querySelector("a")?.focus({ preventScroll: true });
    onClick();
  };
  return (
    <button type="button" tabIndex={-1} aria-label={label} title={label} onClick={act} className="flex size-7 items-center justify-center rounded-inner text-white hover:bg-white/20">
      <Icon name={icon} size={16} />
    </button>
  );
}

const GHOSTS = [1.3, 0.8, 1.5, 1, 1.2, 0.7, 1.4, 1, 1.3, 0.9, 1.1, 1.5];

function Waiting() {
  return (
    <div aria-hidden="true" className="flex flex-wrap gap-1.5">
      {GHOSTS.map((shape, at) => (
        <span key={at} className="h-44 rounded-picture bg-sunk" style={{ flexGrow: shape, flexBasis: shape * 130 }} />
      ))}
    </div>
  );
}
