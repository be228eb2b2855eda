import { useMay } from "../api/session";
import type { Hit } from "../api/types";
import { useSayOf } from "../feedback/useFeedback";
import { Thumbnail } from "../picture/Thumbnail";
import { Sheet } from "../shell/Sheet";
import { texts } from "../texts";
import { nameOf } from "./names";

/** Why a picture is there: its figures, where to go on from it, and what is said of it. */
export function Why({ hit, rank, queryId, onSimilar, onNot, onClose }: { hit: Hit; rank: number; queryId: string | undefined; onSimilar: (hit: Hit) => void; onNot: (hit: Hit) => void; onClose: () => void }) {
  const mayWrite = useMay("write");
  const saying = useSayOf();
  const facts: [string, string | undefined][] = [
    [texts.why.rank, String(rank + 1)],
    [texts.why.cosine, hit.score.toFixed(4)],
    [texts.why.phash, hit.phash_distance?.toString()],
    [texts.why.region, hit.bbox && `${hit.bbox[0]}, ${hit.bbox[1]} – ${hit.bbox[2]}, ${hit.bbox[3]}`],
    [texts.why.alike, hit.duplicates && String(hit.duplicates.length)],
    [texts.why.size, hit.width ? `${hit.width} × ${hit.height}` : undefined],
    [texts.why.tags, hit.tags?.join(", ")],
    [texts.why.attributes, hit.attributes && JSON.stringify(hit.attributes)],
    [texts.why.uri, hit.uri],
  ];
  return (
    <Sheet title={texts.why.title} open onClose={onClose}>
      <div className="flex gap-4">
        <Thumbnail src={hit.thumbnail_url} alt={nameOf(hit)} className="h-28 w-28 shrink-0 rounded-picture object-cover" />
        <dl className="grid min-w-0 flex-1 grid-cols-[auto_minmax(0,1fr)] content-start gap-x-4 gap-y-1 text-small">
          {facts.map(
            ([name, value]) =>
              value && (
                <div key={name} className="contents">
                  <dt className="text-soft">{name}</dt>
                  <dd className="line-clamp-3 break-words figures">
                    <bdi>{value.slice(0, 1_000)}</bdi>
                  </dd>
                </div>
              ),
          )}
        </dl>
      </div>
      <div className="mt-5 flex flex-wrap gap-2">
        {([[texts.card.similar, onSimilar], [texts.card.not, onNot]] as const).map(([name, act]) => (
          <button
            key={name}
            type="button"
            className="button"
            onClick={() => {
              onClose();
              act(hit);
            }}
          >
            {name}
          </button>
        ))}
      </div>
      {mayWrite && (
        <div className="mt-4 flex flex-wrap items-center gap-2">
          <span className="text-small text-soft">{texts.why.ask}</span>
          {(["relevant", "irrelevant"] as const).map((action) => (
            <button key={action} type="button" className="button" disabled={saying.isPending} aria-pressed={saying.isSuccess && saying.variables.action === action} onClick={() => saying.mutate({ image_id: hit.id, action, query_id: queryId })}>
              {texts.why.isIt[action]}
            </button>
          ))}
        </div>
      )}
      {hit.duplicates && (
        <ul className="mt-4 flex flex-wrap gap-1.5">
          {hit.duplicates.slice(0, 24).map((one) => (
            <li key={one.id}>
              <a href={`/ui/picture/${one.id}`}>
                <Thumbnail src={one.thumbnail_url} alt={nameOf(one)} className="h-16 rounded-picture" />
              </a>
            </li>
          ))}
        </ul>
      )}
    </Sheet>
  );
}
