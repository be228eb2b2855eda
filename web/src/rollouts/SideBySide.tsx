import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { SearchAnswer } from "../api/types";
import { Thumbnail } from "../picture/Thumbnail";
import type { Asked } from "../search/asked";
import { isSearch } from "../search/asked";
import { nameOf } from "../search/names";
import { SearchLine } from "../search/SearchLine";
import { keep } from "../search/uploads";
import { Failed } from "../shell/Failed";
import { texts } from "../texts";
import { inBoth, placed } from "./overlap";
import { type Rollout, usePinned } from "./useRollouts";

const FIRST = 10;

/** One question, both indexes' answers: what only one of them has is marked. The address holds the question. */
export function SideBySide({ rollout }: { rollout: Rollout }) {
  const asked: Asked = useSearch({ from: "/ui/rollouts" });
  const navigate = useNavigate();
  const ask = (next: Asked) => void navigate({ to: "/ui/rollouts", search: next });
  const searching = isSearch(asked);
  const live = usePinned(asked, rollout.control.id, searching);
  const candidate = usePinned(asked, rollout.candidate.id, searching);
  const [pointed, setPointed] = useState<number | undefined>();
  const left = ids(live.data);
  const right = ids(candidate.data);
  return (
    <section className="flex flex-col gap-3">
      <h2 className="text-lead">{texts.rollouts.beside}</h2>
      <div className="max-w-2xl">
        <SearchLine text={asked.text ?? ""} onWords={(text) => ask({ text })} onPicture={(file) => void keep(file).then((upload) => ask({ upload }))} />
      </div>
      {searching ? (
        <>
          <p role="status" className="min-h-5 text-small text-soft figures">
            {live.data && candidate.data && texts.rollouts.overlap(inBoth(left, right, FIRST), Math.min(FIRST, Math.max(left.length, right.length)))}
          </p>
          <div className="grid grid-cols-2 gap-3 sm:gap-6">
            <Column title={texts.rollouts.live} index={rollout.control.id} answer={live} other={right} pointed={pointed} onPoint={setPointed} />
            <Column title={texts.rollouts.candidate} index={rollout.candidate.id} answer={candidate} other={left} pointed={pointed} onPoint={setPointed} />
          </div>
        </>
      ) : (
        <p className="text-small text-soft">{texts.rollouts.besideAbout}</p>
      )}
    </section>
  );
}

function Column({
  title,
  index,
  answer,
  other,
  pointed,
  onPoint,
}: {
  title: string;
  index: string;
  answer: ReturnType<typeof usePinned>;
  other: readonly number[];
  pointed: number | undefined;
  onPoint: (id: number | undefined) => void;
}) {
  const hits = answer.data?.results ?? [];
  const places = placed(ids(answer.data), other);
  return (
    <section aria-label={title} aria-busy={answer.isFetching} className="min-w-0">
      <h3 className="flex flex-wrap items-baseline justify-between gap-x-3 border-b border-line pb-1 text-small">
        <span>
          {title} <bdi className="block truncate text-tiny font-normal text-soft">{index}</bdi>
        </span>
        {answer.data && !answer.error && <bdi className="text-tiny font-normal text-soft figures">{texts.search.took(answer.data.latency_ms)}</bdi>}
      </h3>
      {answer.error ? (
        <Failed error={answer.error} again={() => void answer.refetch()} />
      ) : (
        <ol className="mt-2 grid grid-cols-2 gap-1.5 sm:grid-cols-3 lg:grid-cols-4 xl:grid-cols-5">
          {hits.map((hit, rank) => {
            const elsewhere = places[rank]?.elsewhere;
            const alone = elsewhere === undefined;
            return (
              <li key={hit.id} className="min-w-0" onPointerEnter={() => onPoint(hit.id)} onPointerLeave={() => onPoint(undefined)} onFocus={() => onPoint(hit.id)} onBlur={() => onPoint(undefined)}>
                <Link
                  to="/ui/picture/$id"
                  params={{ id: String(hit.id) }}
                  aria-label={`${texts.card.named(nameOf(hit), hit.score)}, ${alone ? texts.rollouts.alone : texts.rollouts.elsewhere(rank, elsewhere)}`}
                  className={`block rounded-picture outline-offset-2 ${pointed === hit.id ? "ring-3 ring-ink" : alone ? "ring-2 ring-mark" : ""}`}
                >
                  <Thumbnail src={hit.thumbnail_url} alt="" width={hit.width} height={hit.height} loading="lazy" className="aspect-square w-full rounded-picture bg-sunk object-cover" />
                </Link>
                <span aria-hidden="true" className="mt-0.5 flex justify-between text-tiny text-soft figures">
                  <span>{hit.score.toFixed(2)}</span>
                  <span className={alone ? "text-mark-ink" : ""}>{alone ? texts.rollouts.alone : texts.rollouts.moved(rank, elsewhere)}</span>
                </span>
              </li>
            );
          })}
        </ol>
      )}
      {answer.data && !hits.length && <p className="mt-2 text-small text-soft">{texts.search.none}</p>}
    </section>
  );
}

const ids = (answer: SearchAnswer | undefined) => answer?.results.map((hit) => hit.id) ?? [];
