import type { SearchAnswer } from "../api/types";
import { texts } from "../texts";
import { type Asked, hasPicture, narrows } from "./asked";
import { Empty } from "./Empty";

const UNDERSTOOD = 0.5;

/** What an answer says of itself: that nothing comes close, that words were not understood, that something was left out. Of a part of a picture, and away from others, even the best scores are lower than a whole picture's. */
export function Notes({ answer, asked }: { answer: SearchAnswer; asked: Asked }) {
  const lower = asked.box !== undefined || asked.not !== undefined;
  const nothing = answer.results.length === 0;
  const unknown = nothing && answer.understood !== undefined && answer.understood < UNDERSTOOD;
  const none = nothing && !unknown && answer.degraded.length === 0;
  return (
    <>
      {unknown && <Note title={texts.search.notUnderstood} about={texts.search.notUnderstoodAbout} />}
      {!nothing && !lower && answer.no_good_match && (
        <p role="status" className="rounded-control bg-sunk px-4 py-2 text-small">
          <strong>{texts.search.nothing}.</strong> {texts.search.nothingAbout}
        </p>
      )}
      {answer.degraded.length > 0 && (
        <p role="status" className="rounded-control bg-sunk px-4 py-2 text-small">
          {texts.search.degraded(answer.degraded.join(", "))} {answer.coverage.fraction < 1 && texts.search.coverage(answer.coverage.fraction)}
        </p>
      )}
      {none && narrows(asked) && <Note title={texts.search.none} about={texts.search.noneAbout} />}
      {none && !narrows(asked) && <Empty title={hasPicture(asked) ? texts.search.emptyBeside : texts.search.emptyTitle} />}
    </>
  );
}

function Note({ title, about }: { title: string; about: string }) {
  return (
    <div role="status" className="py-4">
      <h2 className="text-title">{title}</h2>
      <p className="text-soft">{about}</p>
    </div>
  );
}
